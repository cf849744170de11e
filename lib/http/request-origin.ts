import type { IncomingHttpHeaders } from 'node:http';
import type { SessionRequest } from './session-request.js';

/** Methods that ask for something and change nothing (RFC 9110, section 9.2.1). */
const SAFE_METHODS = ['GET', 'HEAD', 'OPTIONS'];

/** Where a request was sent to, and what its browser says of where it comes from. */
export interface RequestOrigin {
  readonly headers: IncomingHttpHeaders;
  /** Its connection is known to be encrypted. */
  readonly isSecure: boolean;
}

/** Whether a request only asks for something. The request that opens a WebSocket does more, whatever its method. */
export function isSafe({ method = 'GET', headers }: Pick<SessionRequest, 'method' | 'headers'>): boolean {
  return SAFE_METHODS.includes(method) && headers.upgrade?.toLowerCase() !== 'websocket';
}

/**
 * Whether a request comes from another site, as Go's `http.CrossOriginProtection` decides. Another origin of the same
 * site counts as another site, too: a subdomain may be in other hands. What no browser has sent has neither header.
 *
 * @param trusted origins that count as this one
 */
export function isCrossSite({ headers, isSecure }: RequestOrigin, trusted: readonly (string | RegExp)[] = []): boolean {
  const { origin = '', host = headers[':authority'] } = headers;
  const site = headers['sec-fetch-site'] ?? '';
  const isOwn =
    site === ''
      ? origin === '' || isOriginOf(String(host), origin, isSecure)
      : site === 'same-origin' || site === 'none';
  return !isOwn && !isTrusted(origin, trusted);
}

/** An origin without `https` is not that of a request over TLS: whoever is on the line can speak in its name. */
function isOriginOf(host: string, origin: string, isSecure: boolean): boolean {
  const schemes = isSecure ? ['https'] : ['https', 'http']; // A proxy may have ended TLS.
  return schemes
    .map((scheme) => `${scheme}://${host}`)
    .some((url) => URL.canParse(url) && new URL(url).origin === origin);
}

/** `null` stands for every page that hides where it comes from: no pattern covers it. */
function isTrusted(origin: string, trusted: readonly (string | RegExp)[]): boolean {
  return origin !== 'null' && trusted.some((one) => (typeof one === 'string' ? one === origin : one.test(origin)));
}
