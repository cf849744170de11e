import type { Cookie } from './session-cookies.js';
import type { SessionId } from './session-id.js';
import type { SessionDraft } from './session-draft.js';
import type { Lived } from './lifetime-policy.js';
import type { SessionRuntime } from './session.runtime.js';
import type { SessionRequest, SessionResponse } from './session.types.js';

/** What one answer says of the session cookie: nothing, unless it is to be issued, renewed or forgotten. */
export class ResponseCookie {
  #saying: SessionId | 'nothing' | 'forget' = 'nothing';
  /** The headers have gone out. `headersSent` says so before, while the answer is held back. */
  #gone = false;

  constructor(
    private readonly request: SessionRequest,
    private readonly response: SessionResponse,
    private readonly runtime: Pick<SessionRuntime, 'cookies' | 'lifetime'>,
  ) {}

  /** The browser is to get the cookie with this id, and an expiry that follows from the session's. */
  issue(id: SessionId): void {
    this.#saying = id;
  }

  /** The browser is to forget the cookie. */
  forget(): void {
    this.#saying = 'forget';
  }

  /** The browser is to keep what it has. */
  keep(): void {
    this.#saying = 'nothing';
  }

  /** The cookie of a session, with the configured attributes, for the application to see and change. */
  of(lived: Lived): Cookie {
    return this.#dated(this.runtime.cookies.for(this.request), lived);
  }

  /** Sets the header. Called once, right before the headers go. */
  write(draft: SessionDraft | undefined): void {
    this.#gone = true;
    const value = this.#saying === 'nothing' ? undefined : this.#value(draft);
    if (value === undefined) {
      return;
    }
    const others = [this.response.getHeader('Set-Cookie') ?? []].flat().map(String);
    this.response.setHeader('Set-Cookie', [...others, value]);
    // Nobody else may get this answer from a cache, and the cookie with it (RFC 6265, section 8.1; RFC 9111, 7.3).
    this.response.setHeader('Cache-Control', 'no-store');
  }

  /** The headers have gone out, and what is issued now will not reach the browser. */
  get gone(): boolean {
    return this.#gone;
  }

  /** Nobody waits for the answer any more. */
  get forNobody(): boolean {
    return this.response.destroyed;
  }

  /** Why a cookie issued now would not reach the browser; `undefined` when it would. */
  whyUnsendable(): string | undefined {
    if (this.#gone) {
      return 'The session cookie cannot be sent any more: the answer has begun. Log in before it does.';
    }
    const cookie = (this.request.session?.cookie as Cookie | undefined) ?? this.runtime.cookies.for(this.request);
    return this.runtime.cookies.sendable(cookie, this.request)
      ? undefined
      : 'The session cookie is Secure, but this connection is not, so it cannot be sent and nothing is stored. Behind ' +
          'a proxy that ends TLS, tell Express to trust it: app.set("trust proxy", 1).';
  }

  #value(draft: SessionDraft | undefined): string | undefined {
    const { cookies } = this.runtime;
    const stored = draft?.stored;
    const id = typeof this.#saying === 'object' && stored !== undefined ? this.#saying : undefined;
    if (id === undefined && this.#saying !== 'forget') {
      return undefined;
    }
    const shown = draft?.live?.cookie as Cookie | undefined;
    const cookie = id && stored ? this.#dated(shown ?? cookies.for(this.request), stored) : cookies.for(this.request);
    if (!cookies.sendable(cookie, this.request)) {
      return undefined;
    }
    return id ? cookies.issue(id, cookie) : cookies.expire(cookie);
  }

  /** Has the cookie end with the session. */
  #dated(cookie: Cookie, lived: Lived): Cookie {
    const { lifetime } = this.runtime;
    cookie.expires = lived.idle === null ? null : new Date(lifetime.expiresAt(lived));
    cookie.originalMaxAge = lived.idle === undefined ? lifetime.idle : lived.idle;
    return cookie;
  }
}
