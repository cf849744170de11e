import { sign, unsign } from 'cookie-signature';
import { formatSessionId, parseSessionId, type SessionId } from '../model/session-id.js';
import type { ResolvedSessionAuthOptions } from '../session-auth.options.js';
import { CookieValues } from './cookie-values.js';
import { type Cookie, CookieClass } from './express-session.js';
import { isSecure, pathOf, type SessionRequest } from './session-request.js';

/** A session id from a request's cookie, whose signature holds. */
export interface PresentedId extends SessionId {
  /** An older value of the option `secret` signed it. */
  readonly hasOlderSignature: boolean;
}

/** Reads and writes the session cookie (RFC 6265), signed as express-session signs it. */
export class SessionCookies {
  readonly #values: CookieValues;

  constructor(
    private readonly secrets: ResolvedSessionAuthOptions['secrets'],
    private readonly attributes: ResolvedSessionAuthOptions['cookie'],
  ) {
    this.#values = new CookieValues(attributes.name);
  }

  /**
   * Whether browsers send the cookie to this path: `/admin` covers `/admin/users`, not `/administrator` (RFC 6265,
   * 5.1.4).
   */
  covers(request: SessionRequest): boolean {
    const { path } = this.attributes;
    if (path === '/') {
      return true;
    }
    const requested = pathOf(request);
    return requested === path || requested.startsWith(path.endsWith('/') ? path : `${path}/`);
  }

  /** The ids in the request's cookies whose signature holds, in the browser's order. Everything else is ignored. */
  read(request: SessionRequest): PresentedId[] {
    return [...this.#values.in(request.headers.cookie)].flatMap((value) => this.#verify(value) ?? []);
  }

  /** Whether browsers accept the cookie over this request's connection. */
  isSendable(request: SessionRequest): boolean {
    return this.attributes.secure !== true || isSecure(request);
  }

  /** A cookie with the configured attributes. Its expiry is the caller's to set. */
  cookieFor(request: SessionRequest): Cookie {
    const { path, domain, sameSite, secure, partitioned } = this.attributes;
    return new CookieClass({
      path,
      domain,
      sameSite,
      secure: secure === 'auto' ? isSecure(request) : secure,
      ...(partitioned && { partitioned }),
    });
  }

  /** The `Set-Cookie` value that gives the browser this id until then; `null` for until the browser closes. */
  issue(request: SessionRequest, id: SessionId, expiresAt: number | null): string {
    const cookie = this.cookieFor(request);
    cookie.expires = expiresAt === null ? null : new Date(expiresAt);
    return cookie.serialize(this.attributes.name, `s:${sign(formatSessionId(id), this.secrets[0])}`);
  }

  /** The `Set-Cookie` value that makes the browser forget the cookie. */
  clear(request: SessionRequest): string {
    const cookie = this.cookieFor(request);
    cookie.expires = new Date(0);
    return cookie.serialize(this.attributes.name, '');
  }

  #verify(value: string): PresentedId | undefined {
    const id = value.startsWith('s:') ? parseSessionId(value.slice(2, value.lastIndexOf('.'))) : undefined;
    if (id === undefined) {
      return undefined; // No id of ours is signed here, whoever signed it.
    }
    const secret = this.secrets.find((one) => unsign(value.slice(2), one) !== false);
    return secret === undefined ? undefined : { ...id, hasOlderSignature: secret !== this.secrets[0] };
  }
}
