import type { SessionResponse } from './session-request.js';

/** Fields that tell some caches otherwise than `Cache-Control` does (RFC 9213), and those that came before that RFC. */
const TARGETED_FIELD = /^(.+-cache-control|surrogate-control|edge-control|x-accel-expires)$/;
/** What Express says of a file (`sendFile`, `download`) of which the handler says nothing. */
const DEFAULT_FOR_FILES = 'public, max-age=0';
/** What a logout may make the browser forget. Never `"cookies"`: that would take those of all sibling hosts as well. */
const SITE_DATA = ['"cache"', '"storage"'];

/** Whether a header tells a CDN or a reverse proxy how long to keep the response, past `Cache-Control`. */
export function isTargetedField(name: string): boolean {
  return TARGETED_FIELD.test(name.toLowerCase());
}

/** No cache stores this response: neither the browser's, nor a proxy's, nor a CDN's. */
export function forbidCaching(response: SessionResponse): void {
  response.setHeader('Cache-Control', 'no-store');
  for (const name of response.getHeaderNames().filter(isTargetedField)) {
    response.removeHeader(name);
  }
}

/** What a response tells caches and the browser about its user's data, besides what its cookie demands. */
export class ResponseCaching {
  #isAdmitted = false;
  #clearsSiteData = false;

  constructor(private readonly response: SessionResponse) {}

  /** A guard has admitted the request. So that a later user of the browser cannot see the page, no cache stores it. */
  admit(): void {
    this.#isAdmitted = true;
  }

  /** The browser forgets what it keeps of this site, except for cookies. */
  clearSiteData(): void {
    this.#clearsSiteData = true;
  }

  /** The response failed: it tells the browser nothing of a logout. */
  discard(): void {
    this.#clearsSiteData = false;
  }

  /** Whether {@link writeHeaders} may set any. */
  get hasHeaders(): boolean {
    return this.#isAdmitted || this.#clearsSiteData;
  }

  /** Sets the headers. A handler that says how long its response may be kept has the last word. */
  writeHeaders(): void {
    const { response } = this;
    if (this.#isAdmitted && !saysHowLong(response)) {
      forbidCaching(response);
    }
    if (this.#clearsSiteData) {
      response.setHeader('Clear-Site-Data', [...new Set([...directivesOf(response), ...SITE_DATA])].join(', '));
    }
  }
}

/** Whether the handler says how long its response may be kept. */
function saysHowLong(response: SessionResponse): boolean {
  const cacheControl = response.getHeader('Cache-Control');
  return response.hasHeader('Expires') || (cacheControl !== undefined && cacheControl !== DEFAULT_FOR_FILES);
}

/** What the handler has put into `Clear-Site-Data` itself. */
function directivesOf(response: SessionResponse): string[] {
  const given = [response.getHeader('Clear-Site-Data') ?? []].flat().join(',');
  return given.split(',').flatMap((directive) => directive.trim() || []);
}
