import type { IncomingHttpHeaders } from 'node:http';
import { type FormField, type KeptRequest } from '../model/kept-request.js';
import { isCrossSite } from './request-origin.js';
import { isSecure, nodeRequest, pathOf, requestTarget, type SessionRequest } from './session-request.js';
import { pathOfThisSite } from './site-path.js';

/** The most of a form that is kept, in bytes as browsers send it; and of a path. */
const MOST_BYTES = 16 * 1024;

/** Safe methods of a navigation: a redirect can follow them. */
const SAFE_METHODS: readonly (string | undefined)[] = ['GET', 'HEAD'];

/**
 * Whether the request is one of a page: a browser's navigation, by a link or by a form of this site. Not those of scripts
 * and API clients, no upload of files, and no page that a browser loads in case its user goes there.
 */
export function isPageRequest(request: SessionRequest): boolean {
  const { method, headers } = request;
  const { 'sec-fetch-mode': mode, 'sec-purpose': purpose } = headers;
  const isNavigation = mode === undefined ? prefersHtml(headers.accept) : mode === 'navigate';
  return (
    isNavigation &&
    purpose === undefined &&
    (SAFE_METHODS.includes(method) || (method === 'POST' && isForm(headers) && isOfThisSite(request)))
  );
}

/** Whether a request asks for this very page, however it is written. To send it there would send it in a circle. */
export function isFor(page: string, request: SessionRequest): boolean {
  const plain = (path: string): string =>
    path
      .replace(/[?#].*$/s, '')
      .replace(/\/$/, '')
      .toLowerCase();
  return plain(page) === plain(pathOf(request));
}

/**
 * What is kept of a request of a page: the path and, of a form, its fields of these names. `undefined` where it has led
 * to no path of this site, or to one of more than 16 kB.
 */
export function keptRequest(request: SessionRequest, names: readonly string[]): KeptRequest | undefined {
  const path = pathOfThisSite(requestTarget(request));
  if (path === undefined || path.length > MOST_BYTES) {
    return undefined;
  }
  if (request.method !== 'POST') {
    return { method: 'GET', path };
  }
  const fields = formFields((request as { body?: unknown }).body, names);
  const size = new URLSearchParams(fields.map(([...field]) => field)).toString().length;
  return { method: 'POST', path, ...(size <= MOST_BYTES && { fields }) };
}

/** A browser that loads a page asks for HTML before all else; a client that takes anything does not. */
function prefersHtml(accept = ''): boolean {
  const html = qualityOf('text/html', accept);
  return html > 0 && html > qualityOf('application/json', accept);
}

function qualityOf(type: string, accept: string): number {
  for (const range of accept.split(',')) {
    const [name = '', ...parameters] = range.split(';').map((part) => part.trim().toLowerCase());
    if (name === type) {
      const quality = parameters.find((one) => one.startsWith('q='))?.slice(2);
      return quality === undefined ? 1 : Number(quality) || 0;
    }
  }
  return 0;
}

function isForm(headers: IncomingHttpHeaders): boolean {
  const [type = ''] = (headers['content-type'] ?? '').split(';');
  return type.trim().toLowerCase() === 'application/x-www-form-urlencoded';
}

/**
 * What another site wants to be sent must not be shown as if the user had written it, also where the options `crossSite`
 * and `trustedOrigins` let such requests in.
 */
function isOfThisSite(request: SessionRequest): boolean {
  const { headers } = request;
  // No browser sends an empty Origin.
  return headers.origin !== '' && !isCrossSite({ headers, isSecure: isSecure(nodeRequest(request)) });
}

/** The fields of a parsed form, whichever parser it was. Of a field `a`, `a[]` and `a[b]` are parts. */
function formFields(body: unknown, names: readonly string[]): FormField[] {
  const isNamed = ([name]: FormField): boolean => names.some((one) => name === one || name.startsWith(`${one}[`));
  return entries(body)
    .flatMap(([name, value]) => fieldsOf(name, value))
    .filter(isNamed);
}

/** What a parser has made of a field, or of several: a text, a list, or an object for `a[b]`. */
function fieldsOf(name: string, value: unknown): FormField[] {
  if (typeof value === 'string') {
    return [[name, value]];
  }
  if (isRepeated(value)) {
    return value.map((one) => [name, one]);
  }
  return entries(value).flatMap(([part, inner]) => fieldsOf(`${name}[${part}]`, inner));
}

/** A name that came several times. Of a list with one entry, its name has told that it is one: `a[]`. */
function isRepeated(value: unknown): value is string[] {
  return Array.isArray(value) && value.length > 1 && value.every((one) => typeof one === 'string');
}

function entries(value: unknown): [string, unknown][] {
  return typeof value === 'object' && value !== null ? Object.entries(value) : [];
}
