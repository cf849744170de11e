import { sign, unsign } from 'cookie-signature';
import { formatSessionId, parseSessionId, type SessionId } from '../model/session-id.js';
import type { ResolvedSessionAuthOptions } from '../session-auth.options.js';
import { type Cookie, CookieClass } from './express-session.js';
import { isSecure, pathOf, type SessionRequest } from './session-request.js';

/** A session id from a request's cookie, whose signature holds. */
export interface PresentedId extends SessionId {
  /** An older value of the option `secret` signed it. */
  readonly hasOlderSignature: boolean;
}

/** A browser may hold several cookies of our name, for other paths or domains. So many of them are verified. */
const MOST_VERIFIED = 16;
/** So many whose signature holds are looked for in the store. */
const MOST_PRESENTED = 4;
/** A longer value is not ours (which has some 120 characters) and is not worth computing a signature. */
const LONGEST_VALUE = 256;

/** Reads and writes the session cookie (RFC 6265), signed as express-session signs it. */
export class SessionCookies {
  constructor(
    private readonly secrets: ResolvedSessionAuthOptions['secrets'],
    private readonly attributes: ResolvedSessionAuthOptions['cookie'],
  ) {}

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
    const header = request.headers.cookie;
    if (header === undefined || !header.includes(this.attributes.name)) {
      return [];
    }
    const values = new Set(valuesOf(header, this.attributes.name));
    const ids: PresentedId[] = [];
    let verified = 0;
    for (const value of values) {
      const id = this.verify(value);
      if (id !== undefined) {
        ids.push(id);
      }
      if (++verified === MOST_VERIFIED || ids.length === MOST_PRESENTED) {
        break;
      }
    }
    return ids;
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

  private verify(value: string): PresentedId | undefined {
    if (!value.startsWith('s:')) {
      return undefined;
    }
    for (const secret of this.secrets) {
      const text = unsign(value.slice(2), secret);
      if (text !== false) {
        const id = parseSessionId(text);
        return id && { ...id, hasOlderSignature: secret !== this.secrets[0] };
      }
    }
    return undefined;
  }
}

/** The values of all cookies of this name. The first one may be of a session that has ended. */
function valuesOf(header: string, name: string): string[] {
  const values: string[] = [];
  for (const pair of header.split(';')) {
    const equals = pair.indexOf('=');
    if (pair.slice(0, equals).trim() !== name) {
      continue;
    }
    const value = pair.slice(equals + 1).trim();
    const decoded = value.length > LONGEST_VALUE ? undefined : decode(value);
    if (decoded !== undefined) {
      values.push(decoded);
    }
  }
  return values;
}

function decode(value: string): string | undefined {
  try {
    return decodeURIComponent(value.startsWith('"') ? value.slice(1, -1) : value);
  } catch {
    return undefined; // Malformed percent-encoding: this module did not write it.
  }
}
