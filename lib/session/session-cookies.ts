import { sign, unsign } from 'cookie-signature';
import session from 'express-session';
import type { ResolvedSessionAuthOptions } from '../session-auth.options.js';
import { formatSessionId, parseSessionId, type SessionId } from './session-id.js';
import type { SessionRequest } from './session.types.js';

/** The attributes of a cookie, live on `req.session.cookie`: express-session's class, which its types keep private. */
export type Cookie = Omit<session.Cookie, 'expires'> & {
  expires: Date | null;
  serialize(name: string, value: string): string;
};
/** That class, to make cookies of. */
export const CookieClass = session.Cookie as unknown as new (attributes: object) => Cookie;

/** An id that a request showed, its signature verified. */
export interface PresentedId extends SessionId {
  /** Signed by an older secret: to be signed anew. */
  readonly outdated: boolean;
}

/** A browser may hold several cookies of our name (another path or domain): so many are verified... */
const MOST_VERIFIED = 16;
/** ...and so many that hold are looked for in the store. */
const MOST_CANDIDATES = 4;
/** Longer values than this are none of ours (which have some 120 characters) and are not worth an HMAC. */
const LONGEST_VALUE = 256;

/** Reads and writes the session cookie (RFC 6265), signed as express-session signs it. */
export class SessionCookies {
  constructor(
    private readonly secrets: ResolvedSessionAuthOptions['secrets'],
    private readonly attributes: ResolvedSessionAuthOptions['cookie'],
  ) {}

  /** Whether the cookie is for this path: `/admin` covers `/admin/users`, not `/administrator` (RFC 6265, 5.1.4). */
  covers(request: SessionRequest): boolean {
    const { path } = this.attributes;
    if (path === '/') {
      return true;
    }
    const requested = pathOf(request);
    return requested === path || requested.startsWith(path.endsWith('/') ? path : `${path}/`);
  }

  /** The ids in the request's cookies whose signature holds, in the browser's order. All else is as good as absent. */
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
      if (++verified === MOST_VERIFIED || ids.length === MOST_CANDIDATES) {
        break;
      }
    }
    return ids;
  }

  /** Whether a cookie with these attributes would be sent at all. */
  sendable(cookie: Cookie, request: SessionRequest): boolean {
    return cookie.secure !== true || isSecure(request);
  }

  /** The configured attributes for this request; expiry is the caller's to set. */
  for(request: SessionRequest): Cookie {
    const { path, domain, sameSite, secure, partitioned } = this.attributes;
    return new CookieClass({
      path,
      domain,
      sameSite,
      secure: secure === 'auto' ? isSecure(request) : secure,
      ...(partitioned && { partitioned }),
    });
  }

  /** The `Set-Cookie` value that hands out this id. */
  issue(id: SessionId, cookie: Cookie): string {
    return cookie.serialize(this.attributes.name, `s:${sign(formatSessionId(id), this.secrets[0])}`);
  }

  /** The `Set-Cookie` value that makes the browser forget the cookie. */
  expire(cookie: Cookie): string {
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
        return id && { ...id, outdated: secret !== this.secrets[0] };
      }
    }
    return undefined;
  }
}

/** The path the client asked for, without its query. */
export function pathOf(request: SessionRequest): string {
  const url = request.originalUrl ?? request.url ?? '/';
  const query = url.indexOf('?');
  return query === -1 ? url : url.slice(0, query);
}

/** Whether nobody between the client and us could read along: TLS here, or (Express's `trust proxy`) at the proxy. */
function isSecure(request: SessionRequest): boolean {
  return (request.socket as { encrypted?: boolean }).encrypted === true || request.secure === true;
}

/** The values of all cookies of this name. The first of a name wins in `cookie.parse`, but may be the dead one. */
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
    return undefined; // Malformed percent-encoding: a cookie that nobody here wrote.
  }
}
