import { cookieExpiresAt, expiresAt, idleLimit, type Lifetime, type Lived } from '../model/lifetime.js';
import type { SessionId } from '../model/session-id.js';
import type { Clock } from '../model/clock.js';
import type { Cookie } from './express-session.js';
import { forbidCaching } from './response-caching.js';
import type { SessionCookies } from './session-cookies.js';
import { hasHungUp, type SessionRequest, type SessionResponse } from './session-request.js';
import { CookieNotSendableException } from '../session-auth.errors.js';

/** What a {@link ResponseCookie} works with. */
export interface CookieRuntime {
  readonly cookies: SessionCookies;
  readonly lifetime: Lifetime;
  readonly clock: Clock;
  /** Logs a mistake of the application's, but each one only once. Default level: `error`. */
  readonly logOnce: (message: string, level?: 'warn' | 'error') => void;
}

/** What one response does with the session cookie: by default nothing. */
export class ResponseCookie {
  #action: { id: SessionId; session: Lived } | 'clear' | undefined;
  /** What a `Set-Cookie` header beside that of the session's new id says. */
  #marker: string | undefined;
  /** What takes cookies of another name back. */
  #takeBacks: string[] | undefined;
  #takesBackAnyway = false;
  #isSent = false;
  #isSuperseded = false;

  constructor(
    private readonly request: SessionRequest,
    private readonly response: SessionResponse,
    private readonly runtime: CookieRuntime,
  ) {}

  /** The response sets the cookie to this id of this session. */
  issue(id: SessionId, session: Lived): void {
    this.#action = { id, session };
  }

  /** With the session's new id, the response sets this cookie too. */
  accompany(marker: string | undefined): void {
    this.#marker = marker ?? this.#marker;
  }

  /** If the response sets or clears the cookie, it says this too: it takes back a cookie that ours replaces. */
  replaces(takeBack: string): void {
    this.#takeBacks = [...new Set([...(this.#takeBacks ?? []), takeBack])];
  }

  /** The response says this in any case: it takes back a cookie whose session has ended. */
  takeBack(takeBack: string): void {
    this.replaces(takeBack);
    this.#takesBackAnyway = true;
  }

  /** The response clears the cookie. */
  clear(): void {
    this.#action = 'clear';
    this.#marker = undefined;
  }

  /** The browser has a newer cookie than the request: that of a login, which no new anonymous session may take away. */
  supersede(): void {
    this.#isSuperseded = true;
  }

  get isSuperseded(): boolean {
    return this.#isSuperseded;
  }

  /** The response leaves the cookie as it is. */
  leave(): void {
    this.#action = undefined;
    this.#marker = undefined;
  }

  /** `req.session.cookie` of a session: the configured attributes, and the session's own end. */
  describe(session: Lived): Cookie {
    const { cookies, lifetime } = this.runtime;
    const cookie = cookies.cookieFor(this.request);
    cookie.expires = session.maxAge === null ? null : new Date(expiresAt(session, lifetime));
    cookie.originalMaxAge = session.maxAge === null ? null : idleLimit(session, lifetime);
    return cookie;
  }

  /** Whether {@link writeHeader} may set it. */
  get hasHeader(): boolean {
    return this.#action !== undefined || this.#takesBackAnyway;
  }

  /**
   * Sets the header. Called once, right before the headers go out.
   *
   * @param isExposed false when a handler has taken `req.session` away: then no id is issued
   */
  writeHeader(isExposed: boolean): void {
    this.#isSent = true;
    const value = this.#headerValue(isExposed);
    if (value === undefined && !this.#takesBackAnyway) {
      return;
    }
    const others = [this.response.getHeader('Set-Cookie') ?? []].flat().map(String);
    const own = value === undefined ? [] : [value, this.#marker].filter((one) => one !== undefined);
    this.response.setHeader('Set-Cookie', [...others, ...own, ...(this.#takeBacks ?? [])]);
    // No cache may give this response, and the cookie in it, to anybody else (RFC 6265, section 8.1; RFC 9111, 7.3).
    forbidCaching(this.response);
  }

  /** The headers have gone out: a cookie issued now does not reach the browser. */
  get isSent(): boolean {
    return this.#isSent;
  }

  /** The client has hung up: nobody waits for the response any more. */
  get isAbandoned(): boolean {
    return hasHungUp(this.response);
  }

  /** Why a cookie issued now would not reach the browser; `undefined` when it would. */
  whyUnsendable(): string | undefined {
    if (this.#isSent) {
      return 'The session cookie cannot be sent any more: the response has begun. Log in before it does.';
    }
    return this.runtime.cookies.isSendable(this.request)
      ? undefined
      : 'The session cookie is Secure, but this connection is not, so it cannot be sent and nothing is stored. Behind ' +
          'a proxy that ends TLS, trust it: app.set("trust proxy", 1) on Express, the option trustProxy on ' +
          'Fastify, with the addresses of your proxies (a number trusts nobody).';
  }

  /** @throws CookieNotSendableException when a cookie issued now would not reach the browser */
  checkSendable(): void {
    if (this.isAbandoned) {
      throw new CookieNotSendableException('The client has hung up.');
    }
    const unsendable = this.whyUnsendable();
    if (unsendable !== undefined) {
      this.runtime.logOnce(unsendable);
      throw new CookieNotSendableException(unsendable);
    }
  }

  #headerValue(isExposed: boolean): string | undefined {
    const { cookies, lifetime, clock } = this.runtime;
    if (this.#action === undefined || !cookies.isSendable(this.request)) {
      return undefined;
    }
    if (this.#action === 'clear') {
      return cookies.clear(this.request);
    }
    const { id, session } = this.#action;
    return isExposed ? cookies.issue(this.request, id, cookieExpiresAt(session, lifetime, clock.now())) : undefined;
  }
}
