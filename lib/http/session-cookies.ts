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

/** A browser may hold several cookies of our name, for other paths or domains. Those after so many are ignored. */
const MOST_VALUES = 16;
/** A longer value is not ours (which has some 120 characters) and is not worth computing a signature. */
const LONGEST_VALUE = 256;
/** Percent-encoding of nothing but ASCII, as this module writes it. Anything else would cost an exception. */
const ENCODED_ASCII = /^(?:[^%]|%[0-7][0-9a-f])*$/i;

/** Reads and writes the session cookie (RFC 6265), signed as express-session signs it. */
export class SessionCookies {
  /** A pair of our name in a Cookie header, compared byte for byte: Node gives each byte as one character. */
  readonly #pair: RegExp;

  constructor(
    private readonly secrets: ResolvedSessionAuthOptions['secrets'],
    private readonly attributes: ResolvedSessionAuthOptions['cookie'],
  ) {
    const name = attributes.name.replaceAll(/[^\w]/g, '\\$&');
    this.#pair = new RegExp(`(?:^|;)[ \\t]*${name}[ \\t]*=([^;]*)`, 'g');
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
    const header = request.headers.cookie;
    if (header === undefined || !header.includes(this.attributes.name)) {
      return [];
    }
    return [...this.#valuesIn(header)].flatMap((value) => this.#verify(value) ?? []);
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

  /** The different values of the first cookies of our name. The first one may be of a session that has ended. */
  #valuesIn(header: string): Set<string> {
    const values = new Set<string>();
    let found = 0;
    for (const [, raw = ''] of header.matchAll(this.#pair)) {
      values.add(decode(trim(raw)));
      if (++found === MOST_VALUES) {
        break;
      }
    }
    return values;
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

/** Takes away spaces and tabs around a value, and nothing else (RFC 6265, section 5.2). */
function trim(value: string): string {
  let start = 0;
  let end = value.length;
  while (start < end && isBlank(value, start)) {
    start++;
  }
  while (end > start && isBlank(value, end - 1)) {
    end--;
  }
  return value.slice(start, end);
}

function isBlank(text: string, index: number): boolean {
  return text[index] === ' ' || text[index] === '\t';
}

/** The value without quotes and percent-encoding; empty where this module cannot have written it. */
function decode(value: string): string {
  if (value.length > LONGEST_VALUE || !ENCODED_ASCII.test(value)) {
    return '';
  }
  const isQuoted = value.length > 1 && value.startsWith('"') && value.endsWith('"');
  return decodeURIComponent(isQuoted ? value.slice(1, -1) : value);
}
