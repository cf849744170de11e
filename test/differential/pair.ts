import expressSession, { type MemoryStore, type SessionData } from 'express-session';
import { MemorySessionStore } from '../../lib/memory/memory-session-store.js';
import { within } from '../../lib/store/time-budget.js';
import { ForeignStoreAdapter } from '../../lib/store/foreign-store-adapter.js';
import { type AtomicSessionStore, type FoundSession, isLive } from '../../lib/store/session-store.js';
import { Browser } from '../support/browser.js';
import { sessionLoop, type SessionLoop } from '../support/session-loop.js';
import type { TestClock } from '../support/test-clock.js';
import type { Data, Glimpse, Program, Run } from './program.js';
import { Stack } from './stack.js';

export const SECRET = 'a secret that is only good for tests, 32 bytes';
export const NAME = 'sid';
export const LIFETIME = {
  idle: 60_000,
  touchEvery: 6_000,
  absolute: 365 * 86_400_000,
  rotateEvery: Infinity,
  rotationGrace: 1,
};

/** What one application answered, with everything in it that is random given a name. */
export interface Observation {
  /** 0 when the connection broke off. */
  status: number;
  headers: Record<string, string | undefined>;
  body: string;
  ownCookies: string[];
  sessionCookie: SessionCookie | undefined;
  seen: Glimpse[];
  errors: string[];
}

/** A `Set-Cookie` of the session's. */
export interface SessionCookie {
  /** Whether it hands out the id that the handler saw, and not another. */
  id: 'of the session' | 'of another session' | 'none';
  /** Everything but the expiry. */
  attributes: string[];
  expires: number | undefined;
}

type StoredSession = Data & { cookie: { expires: string | null; originalMaxAge: number | null } };

export interface TheirSession {
  data: Data;
  left: number | null;
  idle: number | null;
}

export interface Step {
  method?: 'GET' | 'HEAD' | 'POST';
  program: Program;
  ifNoneMatch?: boolean;
}

const COMPARED_HEADERS = ['content-type', 'etag', 'location', 'x-mark', 'cache-control', 'vary'];
let runs = 0;

/** One of the two applications, and a browser's dealings with it. */
export class Client {
  readonly browser: Browser;
  /** What the last request's handler left behind. */
  run: Run | undefined;
  /** When the cookie ends that was last received, if it was to end. */
  cookieEnds: number | undefined;

  constructor(
    private readonly stack: Stack,
    clock: TestClock,
  ) {
    this.browser = new Browser(stack.url, { now: clock.now });
  }

  /** The id that the browser's cookie names. */
  get id(): string | undefined {
    const value = this.browser.cookies.get(NAME);
    return value === undefined ? undefined : idIn(value);
  }

  async send({ method = 'GET', program, ifNoneMatch = false }: Step): Promise<Observation> {
    const run = `${++runs}`;
    const headers = {
      'x-run': run,
      'x-program': encodeURIComponent(JSON.stringify(program)),
      'if-none-match': ifNoneMatch ? '*' : undefined,
    };
    let broken: unknown;
    const response = await this.browser.request(method, '/program', { headers }).catch((error: unknown) => {
      broken = error;
      return undefined;
    });
    this.run = await within(5_000, this.stack.take(run)).catch((error: unknown) => {
      throw new Error(`${method} ${JSON.stringify(program)} does not end`, { cause: broken ?? error });
    });
    const { seen, errors, id } = this.run;
    const cookies = response?.setCookies ?? [];
    const [sessionCookie, ...more] = cookies.filter((cookie) => cookie.startsWith(`${NAME}=`));
    if (more.length > 0) throw new Error(`several session cookies: ${cookies.join(', ')}`);
    const observation = {
      status: response?.status ?? 0,
      headers: Object.fromEntries(COMPARED_HEADERS.map((name) => [name, response?.headers[name]?.toString()])),
      body: response?.text ?? '',
      ownCookies: cookies.filter((cookie) => cookie !== sessionCookie),
      sessionCookie: sessionCookie === undefined ? undefined : parse(sessionCookie, id),
      seen,
      errors,
    };
    this.cookieEnds = observation.sessionCookie ? observation.sessionCookie.expires : this.cookieEnds;
    return observation;
  }
}

/** express-session and our loop, each in a plain Express application, at the same time of the same clock. */
export class Pair {
  private constructor(
    readonly theirs: Stack,
    readonly ours: Stack,
    readonly theirStore: MemoryStore,
    readonly loop: SessionLoop,
    private readonly ourStore: AtomicSessionStore,
    private readonly clock: TestClock,
  ) {}

  static async start(clock: TestClock, kind: 'own' | 'plain'): Promise<Pair> {
    const theirStore = new expressSession.MemoryStore();
    const theirs = await Stack.start(
      expressSession({
        name: NAME,
        secret: SECRET,
        resave: false,
        saveUninitialized: false,
        store: theirStore,
        cookie: { path: '/', httpOnly: true, sameSite: 'lax', secure: 'auto', maxAge: LIFETIME.idle },
      }),
    );
    const plain = new expressSession.MemoryStore();
    const own = new MemorySessionStore(clock, LIFETIME);
    const loop = sessionLoop({
      secret: SECRET,
      cookie: { name: NAME },
      lifetime: { ...LIFETIME, rotateEvery: false },
      clock,
      store: kind === 'own' ? own : plain,
    });
    const ours = await Stack.start(loop.use);
    const ourStore = kind === 'own' ? own : new ForeignStoreAdapter(plain, clock, 1_000);
    return new Pair(theirs, ours, theirStore, loop, ourStore, clock);
  }

  async close(): Promise<void> {
    await Promise.all([this.theirs.close(), this.ours.close()]);
  }

  /** Lets a touch, which no response waits for, come to its end. */
  async settle(): Promise<void> {
    for (let turn = 0; turn < 5; turn++) {
      await new Promise((resolve) => setImmediate(resolve));
    }
  }

  client(of: 'theirs' | 'ours'): Client {
    return new Client(this[of], this.clock);
  }

  /** What our store holds under this id. */
  async ourSession(id: string | undefined): Promise<FoundSession | undefined> {
    const found = id === undefined ? undefined : await this.ourStore.find(id);
    return isLive(found) ? found : undefined;
  }

  /** What their store holds under this id, for how many milliseconds more, and how many it was given. */
  async theirSession(id: string | undefined): Promise<TheirSession | undefined> {
    const stored = await new Promise<SessionData | null | undefined>((resolve) => {
      this.theirStore.get(id ?? '', (_error: unknown, found?: SessionData | null) => {
        resolve(found);
      });
    });
    if (!stored) {
      return undefined;
    }
    const { cookie, ...data } = JSON.parse(JSON.stringify(stored)) as StoredSession;
    const left = cookie.expires === null ? null : Date.parse(cookie.expires) - this.clock.now();
    return { data, left, idle: cookie.originalMaxAge };
  }
}

/** What is `req.sessionID` for the holder of this cookie: with express-session the whole id, with our loop the handle. */
export function idIn(cookieValue: string): string {
  const [id = ''] = decodeURIComponent(cookieValue).slice('s:'.length).split('.', 1);
  return id;
}

function parse(setCookie: string, id: string | undefined): SessionCookie {
  const [pair = '', ...attributes] = setCookie.split('; ');
  const value = pair.slice(NAME.length + 1);
  const expires = attributes.find((attribute) => attribute.startsWith('Expires='));
  return {
    id: value === '' ? 'none' : idIn(value) === id ? 'of the session' : 'of another session',
    attributes: attributes.filter((attribute) => attribute !== expires).sort(),
    expires: expires === undefined ? undefined : Date.parse(expires.slice('Expires='.length)),
  };
}
