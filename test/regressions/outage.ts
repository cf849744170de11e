import type { BrowserResponse, Browser } from '../support/browser.js';
import { eventually } from '../support/eventually.js';
import type { RedisLine } from '../support/redis-line.js';
import { ADA, type Application, isLoggedIn } from './scenario.js';
import type { Stage } from './stage.js';

/** `redisTimeout` of the applications here. */
export const TIMEOUT = 300;
/** A response that takes longer hangs. How little it takes beyond `redisTimeout`, `npm run bench -- --only outage` tells. */
const HANGS_AFTER = TIMEOUT + 5_000;
const RECOVERS_WITHIN = 15_000;

export interface Outage {
  /** Takes Redis away from the application. */
  begin(): unknown;
  /** Gives it back. */
  end(): unknown;
  /** Redis comes back without its data. */
  forgets: boolean;
}

/** The ways in which the one server of a stage goes away. */
export function outagesOf(on: Stage): [string, Outage][] {
  return [
    ['refuses connections', { begin: () => on.redis.kill(), end: () => on.redis.restart(), forgets: true }],
    ['hangs', { begin: () => on.redis.pause(), end: () => on.redis.resume(), forgets: false }],
  ];
}

/** Every kind of request, each from a browser that is logged in but for the one that logs in. */
export async function askEverything(application: Application, begin: () => Promise<void>, limit = HANGS_AFTER) {
  const [visitor, member, leaver] = [
    await application.loggedIn(),
    await application.loggedIn(),
    await application.loggedIn(),
  ];
  const requests: Record<string, () => Promise<BrowserResponse>> = {
    public: () => visitor.get('/public', { timeout: limit }),
    guarded: () => member.get('/me', { timeout: limit }),
    session: () => member.tab().get('/session', { timeout: limit }),
    login: () => application.browser().post('/login', { json: ADA, timeout: limit }),
    again: () => visitor.tab().post('/login', { json: ADA, timeout: limit }),
    logout: () => leaver.post('/logout', { timeout: limit }),
  };
  await begin();
  const responses = await Promise.all(
    Object.entries(requests).map(async ([name, send]) => {
      return [name, { response: await send().catch(() => undefined) }] as const;
    }),
  );
  return { responses: Object.fromEntries(responses), member };
}

export function statuses(responses: Record<string, { response?: BrowserResponse }>) {
  return Object.fromEntries(
    Object.entries(responses).map(([name, { response }]) => [name, response?.status ?? 'no response']),
  );
}

/** Begins and ends an outage; one that a test has left, ends with it. */
export function beginnings(outage: Outage): { begin: () => Promise<void>; end: () => Promise<void> } {
  let away = false;
  const end = async () => {
    away = false;
    await outage.end();
  };
  afterEach(async () => {
    if (away) await end();
  });
  return {
    end,
    begin: async () => {
      away = true;
      await outage.begin();
    },
  };
}

/** Resolves when this browser's requests reach Redis, with the status of the first that does. */
export async function untilServed(browser: Browser): Promise<number> {
  const probe = async () => {
    const { status } = await browser.get('/me');
    return status !== 503 && status;
  };
  return eventually('the connection', probe, { timeout: RECOVERS_WITHIN });
}

/** Breaks the connection to Redis while that is asked for a session. */
export async function resetMidCommand(application: Application, line: RedisLine, path: string) {
  const browser = await application.loggedIn();
  line.pause();
  const asked = browser.get(path, { timeout: HANGS_AFTER });
  await eventually('the command to be on its way', () => line.held > 0, { interval: 1 });
  line.resetAll();
  line.resume();
  return { browser, response: await asked };
}

export async function reconnected(browser: Browser): Promise<void> {
  await eventually('the connection', () => isLoggedIn(browser), { timeout: RECOVERS_WITHIN, interval: 2 });
}
