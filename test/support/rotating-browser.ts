import { request as httpRequest } from 'node:http';
import { sign } from 'cookie-signature';
import { SESSION_STORE, type SessionEvent } from '../../lib/index.js';
import type { SessionRecord } from '../../lib/model/session-record.js';
import { type AtomicSessionStore, isLive } from '../../lib/store/session-store.js';
import { SECRET, type TestApplication } from './application.js';
import type { BrowserResponse, Browser, RequestOptions } from './browser.js';

export interface ShownId {
  handle: string;
  secret: string;
}

/** The id in a session cookie's value, or in the `Set-Cookie` header that sets it. */
export function idIn(text: string | undefined): ShownId {
  const [, handle, secret] = /s:([\w-]+)\.([\w-]+)\./.exec(decodeURIComponent(text ?? '')) ?? [];
  if (handle === undefined || secret === undefined) throw new Error(`No session id in ${text}`);
  return { handle, secret };
}

/** A session cookie's value, correctly signed. */
export function signed({ handle, secret }: ShownId, by = SECRET): string {
  return encodeURIComponent(`s:${sign(`${handle}.${secret}`, by)}`);
}

/** The id that the browser shows. */
export function shownBy(browser: Browser): ShownId {
  return idIn(browser.cookies.get('sid'));
}

/** The ids in the session cookies that responses set. */
export function idsSetBy(...responses: BrowserResponse[]): ShownId[] {
  return responses.flatMap(({ setCookies }) => setCookies.map(idIn));
}

/** A session as it stands in the store, the hashes of its secrets included. */
export async function recordOf({ app }: TestApplication, { handle }: ShownId): Promise<SessionRecord | undefined> {
  const found = await app.get<AtomicSessionStore>(SESSION_STORE).find(handle);
  return isLive(found) ? found.record : undefined;
}

/** What has happened to this session, in order. */
export function eventsOf({ events }: TestApplication, { handle }: ShownId): SessionEvent['type'][] {
  return events.filter((event) => event.handle === handle).map(({ type }) => type);
}

/** Ada is signed in on this browser, and the response sets so many session cookies. */
export async function expectSignedIn(browser: Browser, cookies = 0, at = browser.baseUrl): Promise<BrowserResponse> {
  const response = await browser.get(new URL('/me', at).href);
  expect([response.status, response.json()]).toEqual([200, { id: '1', name: 'Ada' }]);
  expect(idsSetBy(response)).toHaveLength(cookies);
  return response;
}

/** A browser on a bad line: the test says when what a response sets arrives in the jar, if ever. */
export class LateBrowser {
  readonly #line: Browser;

  constructor(readonly browser: Browser) {
    this.#line = browser.fork();
  }

  /** Shows the cookie that the jar holds now. */
  async send(path: string, { method = 'GET', ...options }: RequestOptions & { method?: string } = {}) {
    const cookie = this.browser.cookies.headerFor(new URL(path, this.browser.baseUrl));
    const response = await this.#line.request(method, path, { headers: { cookie }, ...options });
    const arrive = (): void => {
      for (const header of response.setCookies) this.browser.cookies.receive(header, response.url);
    };
    return { response, arrive };
  }
}

/** Sends a request and hangs up once `asked` has settled: the response never arrives. */
export async function hangUp(browser: Browser, path: string, asked: Promise<unknown>): Promise<void> {
  const url = new URL(path, browser.baseUrl);
  const cookie = browser.cookies.headerFor(url);
  const outgoing = httpRequest(url, { agent: false, headers: cookie === undefined ? {} : { cookie } });
  outgoing.on('error', () => undefined);
  const closed = new Promise((resolve) => outgoing.on('close', resolve));
  outgoing.end();
  await asked;
  outgoing.destroy();
  await closed;
}

/** Numbers from 0 to 1 that are the same for the same seed. */
export function randomFrom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
