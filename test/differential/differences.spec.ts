import { readFileSync } from 'node:fs';
import { jest } from '@jest/globals';
import expressSession, { type MemoryStore } from 'express-session';
import type { CookieOptions } from '../../lib/session-auth.options.js';
import { Browser } from '../support/browser.js';
import { sessionLoop } from '../support/session-loop.js';
import { TestClock } from '../support/test-clock.js';
import { type Difference, DIFFERENCES } from './differences.js';
import {
  call,
  closeServers,
  type Handler,
  type Handlers,
  type ExpressSession,
  type Middleware,
  read,
  serve,
  set,
} from './serve.js';

const SECRET = 'a secret that is only good for tests, 32 bytes';
const ROTATE_EVERY = 25_000;
const LIFETIME = { idle: 60_000, touchEvery: 6_000, absolute: 100_000 };

interface Setting {
  secret?: string | string[];
  cookie?: CookieOptions;
  store?: MemoryStore;
  /** How often ours changes the secret; not within the other scenarios. */
  rotateEvery?: number;
  /** Runs before the session middleware. */
  before?: (request: { headers: { cookie?: string } }) => void;
}

/** One of the two, at work. */
interface Site {
  browser: Browser;
  store: MemoryStore;
  /** What the middleware called `next` with. */
  errors: unknown[];
}

type Start = (handlers: Handlers, setting?: Setting) => Promise<Site>;

interface Scenario {
  run: (start: Start, clock: TestClock) => Promise<unknown>;
  /** What it comes to with express-session, and with our loop. */
  theirs: unknown;
  ours: unknown;
}

const change: Handler = (session, _request, response) => {
  session['changes'] = Number(session['changes'] ?? 0) + 1;
  response.end();
};

const fails = (_id: string, ...more: unknown[]): void => {
  setImmediate(more.at(-1) as (error: Error) => void, new Error('the store fails'));
};

/** How a request ended: its status, or that it did not. */
async function outcome(browser: Browser, path: string): Promise<number | string> {
  const response = await browser.get(path, { timeout: 1_000 }).catch(() => undefined);
  return response?.status ?? 'no response';
}

const SCENARIOS: Record<Difference, Scenario> = {
  renewal: {
    run: async (start, clock) => {
      const { browser } = await start({ change, read });
      const begun = clock.now();
      const cookies = [];
      for (const [after, path] of [
        [0, '/change'],
        [1_000, '/change'],
        [7_000, '/read'],
        [1_000, '/read'],
      ] as const) {
        clock.advance(after);
        cookies.push((await browser.get(path)).setCookies.length);
      }
      return { cookies, ends: browser.cookies.find('sid')!.expires! - begun };
    },
    theirs: { cookies: [1, 1, 0, 0], ends: 1_000 + LIFETIME.idle },
    ours: { cookies: [1, 0, 0, 0], ends: LIFETIME.absolute },
  },

  lag: {
    run: async (start, clock) => {
      const { browser } = await start({ set, read });
      await browser.get('/set');
      const cookie = browser.cookies.headerFor(new URL(browser.baseUrl));
      clock.advance(5_000);
      await browser.get('/read', { headers: { cookie } });
      clock.advance(56_000);
      return (await browser.get('/read', { headers: { cookie } })).text;
    },
    theirs: '{"a":1}',
    ours: '{}',
  },

  wish: {
    run: async (start, clock) => {
      const { browser } = await start({
        set,
        wish: (session, _request, response) => {
          session.cookie.maxAge = 90_000;
          response.end();
        },
      });
      await browser.get('/set');
      const response = await browser.get('/wish');
      return [response.setCookies.length, browser.cookies.find('sid')!.expires! - clock.now()];
    },
    theirs: [0, 60_000],
    ours: [1, 90_000],
  },

  cache: {
    run: async (start) => {
      const { browser } = await start({ set });
      return (await browser.get('/set')).headers['cache-control'];
    },
    theirs: undefined,
    ours: 'no-store',
  },

  end: {
    run: async (start, clock) => {
      const { browser } = await start({
        change,
        read,
        endless: (session, _request, response) => {
          session['a'] = 1;
          session.cookie.maxAge = null as unknown as number;
          response.end();
        },
      });
      const other = browser.fork();
      await browser.get('/endless');
      clock.advance(70_000);
      const unused = (await browser.get('/read')).text;
      // In use all the time, for longer than `lifetime.absolute`.
      for (let step = 0; step < 5; step++) {
        await other.get('/change');
        clock.advance(30_000);
      }
      return [unused, (await other.get('/read')).text];
    },
    theirs: ['{"a":1}', '{"changes":5}'],
    ours: ['{}', '{"changes":1}'],
  },

  empty: {
    run: async (start) => {
      const { browser, store } = await start({
        regenerate: async (session, _request, response) => {
          await call(session, 'regenerate');
          response.end();
        },
        save: async (session, request, response) => {
          await call(session, 'save');
          const reloaded = await call(request.session as ExpressSession, 'reload').then(
            () => 'reloaded',
            (error: unknown) => (error as Error).message,
          );
          response.end(reloaded);
        },
        emptied: async (session, _request, response) => {
          session['a'] = 1;
          await call(session, 'save');
          delete session['a'];
          response.end();
        },
      });
      const regenerated = (await browser.get('/regenerate')).setCookies.length;
      const saved = (await browser.fork().get('/save', { headers: { cookie: undefined } })).text;
      const stored = Object.keys(sessionsIn(store)).length;
      const emptied = (await browser.get('/emptied', { headers: { cookie: undefined } })).setCookies.length;
      return { regenerated, saved, stored, emptied };
    },
    // What is stored has its cookie here, emptied or not; there, not even then.
    theirs: { regenerated: 1, saved: 'reloaded', stored: 2, emptied: 0 },
    ours: { regenerated: 0, saved: 'failed to load session', stored: 0, emptied: 1 },
  },

  early: {
    run: async (start) => {
      const { browser } = await start({
        read,
        set,
        breaksOff: async (session, _request, response) => {
          session['a'] = 2;
          await new Promise((done) => response.write('first', done));
          response.destroy();
        },
      });
      await browser.get('/set');
      await browser.get('/breaksOff').catch(() => undefined);
      return (await browser.get('/read')).text;
    },
    theirs: '{"a":1}',
    ours: '{"a":2}',
  },

  failedSave: {
    run: async (start) => {
      const store = new expressSession.MemoryStore();
      const { browser } = await start({ set }, { store });
      store.set = fails;
      const response = await browser.get('/set').catch(() => undefined);
      return { status: response?.status, text: response?.text, cookies: response?.setCookies.length };
    },
    theirs: { status: 200, text: 'set', cookies: 1 },
    ours: { status: 503, text: 'The session store cannot be reached. Try again.', cookies: 0 },
  },

  failedLoad: {
    run: async (start) => {
      const store = new expressSession.MemoryStore();
      const { browser } = await start({ set, read }, { store });
      await browser.get('/set');
      const get = store.get.bind(store);
      store.get = fails;
      const failing = await browser.get('/read');
      store.get = get;
      return [failing.status, failing.text, (await browser.get('/read')).text];
    },
    theirs: [500, 'the store fails', '{"a":1}'],
    ours: [200, 'no session', '{"a":1}'],
  },

  failedTouch: {
    run: async (start, clock) => {
      const store = new expressSession.MemoryStore();
      const { browser, errors } = await start({ set, read }, { store });
      await browser.get('/set');
      clock.advance(7_000);
      store.set = fails;
      store.touch = fails;
      const { status } = await browser.get('/read');
      for (let turn = 0; turn < 5; turn++) {
        await new Promise((resolve) => setImmediate(resolve));
      }
      return [status, errors.map(String)];
    },
    // After the response, which is for Express to break the connection, with whatever request is next on it.
    theirs: [200, ['Error: the store fails']],
    ours: [200, []],
  },

  ended: {
    run: async (start) => {
      const { browser, store } = await start({
        set,
        destroyed: async (session, _request, response) => {
          await call(session, 'destroy');
          await call(session, 'save');
          response.end();
        },
      });
      await browser.get('/set');
      await browser.get('/destroyed');
      return Object.keys(sessionsIn(store)).length;
    },
    theirs: 1,
    ours: 0,
  },

  merged: {
    run: async (start) => {
      let arrived: () => void;
      let goOn: () => void;
      const arrival = new Promise<void>((resolve) => (arrived = resolve));
      const leave = new Promise<void>((resolve) => (goOn = resolve));
      const { browser } = await start({
        set,
        read,
        slow: async (session, _request, response) => {
          arrived();
          await leave;
          session['slow'] = true;
          response.end();
        },
        fast: (session, _request, response) => {
          session['fast'] = true;
          response.end();
        },
      });
      await browser.get('/set');
      const slow = browser.tab().get('/slow');
      await arrival;
      await browser.get('/fast');
      goOn!();
      await slow;
      return (await browser.get('/read')).json();
    },
    theirs: { a: 1, slow: true },
    ours: { a: 1, fast: true, slow: true },
  },

  id: {
    run: async (start) => {
      const { browser, store } = await start({
        set,
        id: (_session, request, response) => response.end(request.sessionID),
      });
      await browser.get('/set');
      const id = (await browser.get('/id')).text;
      const [named, ...rest] = decodeURIComponent(browser.cookies.get('sid')!).slice('s:'.length).split('.');
      const secret = rest.length > 1 ? rest[0]! : named!; // Before the signature.
      const stored = sessionsIn(store);
      return {
        characters: [id.length, secret.length],
        isNamed: named === id && Object.keys(stored).join() === id,
        isSecretStored: JSON.stringify(stored).includes(secret),
      };
    },
    theirs: { characters: [32, 32], isNamed: true, isSecretStored: true },
    ours: { characters: [24, 43], isNamed: true, isSecretStored: false },
  },

  attributes: {
    run: async (start) => {
      const { browser, store } = await start({
        careless: (session, _request, response) => {
          session['a'] = 1;
          session.cookie.sameSite = 'strict';
          session.cookie.httpOnly = false;
          response.end();
        },
      });
      const [cookie = ''] = (await browser.get('/careless')).setCookies;
      const stored = JSON.stringify(sessionsIn(store));
      return [cookie.split('; ').slice(3), stored.includes('strict')];
    },
    theirs: [['SameSite=Strict'], true],
    ours: [['HttpOnly', 'SameSite=Lax'], false],
  },

  unsendable: {
    run: async (start) => {
      const { browser, store } = await start({ set }, { cookie: { secure: true } });
      const response = await browser.get('/set');
      return [response.setCookies.length, Object.keys(sessionsIn(store)).length];
    },
    theirs: [0, 1],
    ours: [0, 0],
  },

  candidates: {
    run: async (start) => {
      const { browser } = await start({ set, read });
      await browser.get('/set');
      const cookie = `sid=s%3Adead.dead; sid=${browser.cookies.get('sid')!}`;
      return (await browser.get('/read', { headers: { cookie } })).text;
    },
    theirs: '{}',
    ours: '{"a":1}',
  },

  path: {
    run: async (start) => {
      const { browser } = await start({ admin: read, administrator: read }, { cookie: { path: '/admin' } });
      return [(await browser.get('/admin')).text, (await browser.get('/administrator')).text];
    },
    theirs: ['{}', '{}'],
    ours: ['{}', 'no session'],
  },

  resigned: {
    run: async (start) => {
      const store = new expressSession.MemoryStore();
      const before = await start({ set }, { secret: `old ${SECRET}`, store });
      await before.browser.get('/set');
      const after = await start({ read }, { secret: [`new ${SECRET}`, `old ${SECRET}`], store });
      const cookie = `sid=${before.browser.cookies.get('sid')!}`;
      const response = await after.browser.get('/read', { headers: { cookie } });
      return [response.text, response.setCookies.length];
    },
    theirs: ['{"a":1}', 0],
    ours: ['{"a":1}', 1],
  },

  rotated: {
    run: async (start, clock) => {
      const { browser } = await start({ set, read }, { rotateEvery: ROTATE_EVERY });
      await browser.get('/set');
      const ids: string[][] = [];
      for (let i = 0; i < 3; i++) {
        ids.push(decodeURIComponent(browser.cookies.get('sid')!).slice(2).split('.', 2));
        clock.advance(i < 2 ? ROTATE_EVERY : 0);
        await browser.get('/read'); // Which is offered another secret,
        await browser.get('/read'); // and shows it.
      }
      const [handles, secrets] = [0, 1].map((part) => new Set(ids.map((id) => id[part])).size);
      return { handles, secrets, text: (await browser.get('/read')).text };
    },
    theirs: { handles: 1, secrets: 1, text: '{"a":1}' },
    ours: { handles: 1, secrets: 3, text: '{"a":1}' },
  },

  unserializable: {
    run: async (start) => {
      const { browser } = await start({
        set,
        read,
        bigint: (session, _request, response) => {
          session['big'] = 1n;
          response.end();
        },
      });
      await browser.get('/set');
      return [await outcome(browser, '/bigint'), (await browser.get('/read')).text];
    },
    theirs: ['no response', '{"a":1}'],
    ours: [500, '{"a":1}'],
  },

  foreign: {
    run: async (start) => {
      const store = new expressSession.MemoryStore();
      const { browser } = await start({ set, read }, { store });
      await browser.get('/set');
      const sessions = sessionsIn(store);
      for (const key of Object.keys(sessions)) {
        sessions[key] = '{"neither":"a session"}';
      }
      return [await outcome(browser, '/read'), await outcome(browser, '/read')];
    },
    theirs: [500, 500],
    ours: [200, 200],
  },

  header: {
    run: async (start) => {
      // As cookie-parser leaves a request, but for the header.
      const before = (request: { headers: { cookie?: string }; cookies?: object }): void => {
        const value = /sid=([^;]*)/.exec(request.headers.cookie ?? '')?.[1];
        request.cookies = { sid: value && decodeURIComponent(value) };
        delete request.headers.cookie;
      };
      const { browser } = await start({ set, read }, { before });
      await browser.get('/set');
      return (await browser.get('/read')).text;
    },
    theirs: '{"a":1}',
    ours: '{}',
  },

  node: {
    run: async (start) => {
      let calledBack = false;
      const { browser } = await start({
        set: (session, _request, response) => {
          session['a'] = 1;
          response.end('four', 'utf8', () => (calledBack = true));
        },
      });
      const response = await browser.get('/set');
      return [response.text, response.headers['content-length'], calledBack];
    },
    theirs: ['four', undefined, false],
    ours: ['four', '4', true],
  },
};

describe('A difference from express-session:', () => {
  const clock = new TestClock();
  const browsers: Browser[] = [];
  const ignore = (): void => undefined;

  beforeAll(() => {
    jest.spyOn(Date, 'now').mockImplementation(clock.now);
    process.on('deprecation', ignore);
  });

  afterEach(async () => {
    browsers.splice(0).forEach((browser) => browser.close());
    await closeServers();
  });

  afterAll(() => {
    process.off('deprecation', ignore);
    jest.restoreAllMocks();
  });

  const starting =
    (of: 'theirs' | 'ours'): Start =>
    async (handlers, setting = {}) => {
      const store = setting.store ?? new expressSession.MemoryStore();
      const session = of === 'theirs' ? theirMiddleware({ ...setting, store }) : ourMiddleware({ ...setting, store });
      const errors: unknown[] = [];
      const middleware: Middleware = (request, response, next) => {
        setting.before?.(request);
        session(request, response, (error) => {
          if (error) errors.push(error);
          next(error);
        });
      };
      const browser = new Browser(await serve(middleware, handlers), { now: clock.now, timeout: 2_000 });
      browsers.push(browser);
      return { browser, store, errors };
    };

  function theirMiddleware({ secret = SECRET, cookie, store }: Setting): Middleware {
    return expressSession({
      name: 'sid',
      secret,
      resave: false,
      saveUninitialized: false,
      store,
      cookie: { sameSite: 'lax', secure: 'auto', maxAge: LIFETIME.idle, ...cookie },
    }) as unknown as Middleware;
  }

  function ourMiddleware({
    secret = SECRET,
    cookie,
    store,
    rotateEvery = 10 * LIFETIME.absolute,
  }: Setting): Middleware {
    return sessionLoop({
      secret,
      cookie,
      lifetime: { ...LIFETIME, rotateEvery, rotationGrace: ROTATE_EVERY },
      clock,
      store,
    }).use;
  }

  it.each(Object.entries(DIFFERENCES))('%s: %s', async (difference) => {
    const { run, theirs, ours } = SCENARIOS[difference as Difference];

    expect(await run(starting('theirs'), clock)).toEqual(theirs);
    expect(await run(starting('ours'), clock)).toEqual(ours);
  });
});

it('docs/differences.md tells of the same differences, by the same titles', () => {
  const document = readFileSync(new URL('../../docs/differences.md', import.meta.url), 'utf8');
  const chapter = document.split(/^## /m).find((text) => text.startsWith('How requests differ\n'));

  expect(chapter?.match(/(?<=^### ).*/gm)).toEqual(Object.values(DIFFERENCES));
});

/** The MemoryStore's own JSON texts, by what it takes for their ids. */
function sessionsIn(store: MemoryStore): Record<string, string> {
  return (store as unknown as { sessions: Record<string, string> }).sessions;
}
