import type { CookieOptions, ResolvedSessionAuthOptions } from '../session-auth.options.js';
import { OLD_COOKIE_OPTIONS } from './express-session-options.js';
import { demand, isObject, oneOf, refuseUnknown, WHAT_IS_PRODUCTION } from './checks.js';

type ResolvedCookie = ResolvedSessionAuthOptions['cookie'];

/** RFC 6265, section 4.1.1: a cookie's name is an RFC 2616 token. */
const NAME = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
/** Printable ASCII, without ";", which ends the attribute, and "<", which the `cookie` package refuses. */
const PATH = /^\/[\x20-:=-~]*$/;
const DOMAIN = /^\.?[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*$/i;

/** RFC 6265bis, section 5.7: browsers drop a cookie whose name and value have more bytes than this. */
const MOST_BYTES = 4_096;
/** The longest value: `s%3A`, the id of a user's session and its signature, all of that percent-encoded at the worst. */
const VALUE_BYTES = 's%3A'.length + 28 + 1 + 43 + 1 + 3 * 43;

const SET_SECURE = 'Set cookie.secure to true.';

/** The session cookie's attributes with their defaults, checked by the rules of browsers. */
export function resolveCookie(cookie: CookieOptions, production: boolean): ResolvedCookie {
  demand(
    typeof cookie !== 'function',
    'cookie',
    'it is a function, which express-session calls for each request',
    'Give an object. For one session, set req.session.cookie.maxAge; a login has "remember", and secure: "auto" goes by the connection.',
  );
  demand(isObject(cookie), 'cookie', 'it is no object', 'As in { sameSite: "strict" }.');
  const resolved: ResolvedCookie = {
    name: cookie.name ?? (production ? '__Host-Http-sid' : 'sid'),
    path: cookie.path ?? '/',
    domain: cookie.domain,
    sameSite: oneOf('cookie.sameSite', cookie.sameSite ?? 'lax', ['lax', 'strict', 'none']),
    secure: cookie.secure ?? (production ? true : 'auto'),
    partitioned: cookie.partitioned ?? false,
  };
  refuseUnknown(cookie, resolved, 'cookie.', OLD_COOKIE_OPTIONS);
  checkForm(resolved);
  checkSecurity(resolved, production);
  checkPrefix(resolved);
  return resolved;
}

function checkForm({ name, path, domain }: ResolvedCookie): void {
  demand(
    matches(name, NAME),
    'cookie.name',
    'it contains characters that a cookie name cannot',
    'Use letters, digits, "-" and "_".',
  );
  demand(
    name.length <= MOST_BYTES - VALUE_BYTES,
    'cookie.name',
    `browsers drop a cookie whose name and value have more than ${MOST_BYTES} bytes, and the name alone has ${name.length}`,
    `Give a name of at most ${MOST_BYTES - VALUE_BYTES} characters.`,
  );
  demand(
    matches(path, PATH),
    'cookie.path',
    'it does not start with "/", or contains characters that a path cannot',
    'Give an absolute path, URL-encoded, such as "/app".',
  );
  demand(
    domain === undefined || matches(domain, DOMAIN),
    'cookie.domain',
    'it is no host name',
    'As in "example.com"; or leave it out.',
  );
}

export function isCookieName(name: unknown): boolean {
  return matches(name, NAME);
}

/** Whether a value is a string that matches. `test()` alone would convert any value to one. */
function matches(value: unknown, pattern: RegExp): boolean {
  return typeof value === 'string' && pattern.test(value);
}

/** RFC 6265bis, section 5.7: SameSite=None and Partitioned need Secure. */
function checkSecurity({ sameSite, secure, partitioned }: ResolvedCookie, production: boolean): void {
  demand(
    [true, false, 'auto'].includes(secure),
    'cookie.secure',
    `${JSON.stringify(secure)} is not known`,
    'Choose true, false or "auto".',
  );
  demand(
    typeof partitioned === 'boolean',
    'cookie.partitioned',
    `${JSON.stringify(partitioned)} is not known`,
    'Choose true or false.',
  );
  demand(
    secure === true || !production,
    'cookie.secure',
    `${JSON.stringify(secure)} is refused in production: the cookie could travel unencrypted`,
    `Leave it out, or give true. ${WHAT_IS_PRODUCTION}`,
  );
  if (secure === false) {
    demand(sameSite !== 'none', 'cookie.sameSite', 'browsers refuse "none" without Secure', SET_SECURE);
    demand(!partitioned, 'cookie.partitioned', 'browsers refuse it without Secure', SET_SECURE);
  }
}

/**
 * RFC 6265bis, section 4.1.3: what browsers demand of cookies whose names have these prefixes, in whatever case.
 * `__Http-` and `__Host-Http-` also demand HttpOnly, which the cookie always has.
 */
function checkPrefix({ name, path, domain, secure }: ResolvedCookie): void {
  demand(
    secure === true || !/^__(secure|host|http)-/i.test(name),
    'cookie.name',
    `browsers refuse "${name}" without Secure`,
    'Set cookie.secure to true, or give another name.',
  );
  demand(
    (path === '/' && domain === undefined) || !/^__host-/i.test(name),
    'cookie.name',
    `browsers refuse "${name}" with a domain, or a path other than "/"`,
    'Name it "__Secure-sid".',
  );
}
