import type { INestApplication } from '@nestjs/common';
import type { Browser, BrowserOptions } from '../support/browser.js';
import { type Gate, Gates } from '../support/gate.js';
import type { TestClock } from '../support/test-clock.js';

/**
 * What a scenario is played on: the hand-wired application or one with the module. Both have the routes of
 * `TestController` and of `ExpressSessionController`; what they differ in is what the scenario observes.
 */
export interface Application {
  readonly app: INestApplication;
  readonly url: string;
  readonly clock: Pick<TestClock, 'now' | 'advance'>;
  browser(options?: BrowserOptions): Browser;
  loggedIn(username?: string, password?: string): Promise<Browser>;
  close(): Promise<void>;
}

export const ADA = { username: 'ada', password: 'lovelace' };
export const GRACE = { username: 'grace', password: 'hopper' };

/** Where the requests wait that name this gate in their path. */
export function gate({ app }: Application, name: string): Gate {
  return app.get(Gates).named(name);
}

/** Whether this browser's next request is one of a logged-in user. */
export async function isLoggedIn(browser: Browser): Promise<boolean> {
  return (await browser.get('/me')).status === 200;
}

/** What the session of this browser holds. */
export async function dataOf(browser: Browser): Promise<Record<string, unknown>> {
  return (await browser.get('/session')).json();
}

export function put(browser: Browser, key: string, value: unknown, { at }: { at?: string } = {}) {
  return browser.request('PUT', at === undefined ? `/session/${key}` : `/gated/${at}/session/${key}`, {
    json: { value },
  });
}

/** The `Set-Cookie` that takes the cookie back, under the module's defaults. */
export const FORGOTTEN = 'sid=; Path=/; Expires=Thu, 01 Jan 1970 00:00:00 GMT; HttpOnly; SameSite=Lax';

/** Matches so many milliseconds, or up to two seconds less: what the test itself took. */
export function near(milliseconds: number): number {
  return new Near(milliseconds) as unknown as number;
}

class Near {
  readonly $$typeof = Symbol.for('jest.asymmetricMatcher');
  constructor(private readonly milliseconds: number) {}
  asymmetricMatch(actual: unknown): boolean {
    return typeof actual === 'number' && actual <= this.milliseconds && actual > this.milliseconds - 2_000;
  }
  toString(): string {
    return `about ${this.milliseconds} ms`;
  }
}
