import { createHash } from 'node:crypto';
import type session from 'express-session';
import type { SessionData } from 'express-session';
import { type RedisOptions, RedisSessionStore } from '../../lib/index.js';
import { lifetimePolicy } from '../../lib/lifetime/lifetime.policy.js';
import { MemorySessionStore } from '../../lib/memory/memory-session.store.js';
import type { AtomicSessionStore, SessionIndex } from '../../lib/session/session-store.js';
import { type RedisClient, RedisDeployment } from './redis-deployment.js';
import { TestClock } from './test-clock.js';
import { UserSessions } from './user-sessions.js';

export const MINUTE = 60_000;
export const HOUR = 60 * MINUTE;
export const DAY = 24 * HOUR;

const lifetime = lifetimePolicy({
  idle: HOUR,
  absolute: DAY,
  touchEvery: 6 * MINUTE,
  rotateEvery: Infinity,
  rotationGrace: 30_000,
});

export type Callback<T> = (error?: unknown, result?: T) => void;

/** A store as the tests of stores see it: its own methods, its index, and express-session's with callback or promise. */
export type TestedStore = AtomicSessionStore & {
  readonly index: SessionIndex;
  get(sid: string, callback?: Callback<SessionData | null>): Promise<SessionData | null | undefined>;
  set(sid: string, data: SessionData, callback?: Callback<void>): Promise<void>;
  touch(sid: string, data: SessionData, callback?: Callback<void>): Promise<void>;
  destroy(sid: string, callback?: Callback<void>): Promise<void>;
  all(callback?: Callback<SessionData[]>): Promise<SessionData[] | undefined>;
  ids(callback?: Callback<string[]>): Promise<string[] | undefined>;
  length(callback?: Callback<number>): Promise<number | undefined>;
  clear(callback?: Callback<void>): Promise<void>;
  load(sid: string, done: Callback<session.Session>): void;
};

/** A place where sessions are, for a test file. */
export interface SessionPlace {
  /** This many stores on the same sessions, each with a connection of its own where there are connections. */
  stores(clock: TestClock, count?: number, prefix?: string): Promise<TestedStore[]>;
  clear(): Promise<void>;
  stop(): Promise<void>;
  /** The handles that the stores have reported as unreadable. */
  readonly unreadable: string[];
}

/** A place with keys to look at. */
export interface RedisPlace extends SessionPlace {
  readonly redis: RedisKeys;
}

type Start<P> = () => Promise<P>;

/** The places in which sessions are in Redis. */
export const REDIS_PLACES: [string, Start<RedisPlace>][] = [
  ['RedisSessionStore', async () => redisPlace(await RedisDeployment.start('redis'))],
  ['RedisSessionStore on a cluster', async () => redisPlace(await RedisDeployment.start('cluster'))],
];

export const MEMORY_PLACE: [string, Start<SessionPlace>] = ['MemorySessionStore', () => Promise.resolve(memoryPlace())];

/** All places that keep the same promises. */
export const PLACES: [string, Start<SessionPlace>][] = [MEMORY_PLACE, ...REDIS_PLACES];

/**
 * Starts a place for the tests of a `describe`, and gives each of them an empty one with a clock of its own. A session
 * that a store reports as unreadable fails the test that does not take the report.
 */
export function usersIn<P extends SessionPlace>(
  start: Start<P>,
  { connections = 1 }: { connections?: number } = {},
): PlacedSessions<P> {
  const sessions = new PlacedSessions<P>(connections);
  beforeAll(async () => {
    sessions.place = await start();
  });
  beforeEach(() => sessions.begin());
  afterEach(() => {
    expect(sessions.place.unreadable.splice(0)).toEqual([]);
  });
  afterAll(() => sessions.place.stop());
  return sessions;
}

/** The sessions of users in the place that a `describe` has started. */
export class PlacedSessions<P extends SessionPlace> extends UserSessions {
  place!: P;
  readonly #current: { store: TestedStore; clock: TestClock };
  #all: readonly UserSessions[] = [];

  constructor(private readonly connections: number) {
    const current = { clock: new TestClock() } as { store: TestedStore; clock: TestClock };
    super(current);
    this.#current = current;
  }

  /** Removes all sessions, and begins with a new clock. */
  async begin(): Promise<void> {
    await this.place.clear();
    const clock = new TestClock();
    const stores = await this.place.stores(clock, this.connections);
    Object.assign(this.#current, { clock, store: stores[0] });
    this.#all = stores.map((store) => new UserSessions({ store, clock }));
  }

  /** The same sessions by another connection. */
  on(connection: number): UserSessions {
    return this.#all[connection % this.connections]!;
  }
}

function memoryPlace(): SessionPlace {
  return {
    unreadable: [],
    stores: (clock, count = 1) => {
      const store = new MemorySessionStore(clock, lifetime) as unknown as TestedStore;
      return Promise.resolve(Array.from({ length: count }, () => store));
    },
    clear: () => Promise.resolve(),
    stop: () => Promise.resolve(),
  };
}

function redisPlace(deployment: RedisDeployment): RedisPlace {
  const unreadable: string[] = [];
  const clients: RedisClient[] = [];
  return {
    unreadable,
    redis: new RedisKeys(deployment),
    stores: async (clock, count = 1, prefix = 'sess:') => {
      while (clients.length < count) clients.push(await deployment.connect());
      const onUnreadable = (handle: string) => unreadable.push(handle);
      const options = { prefix, timeout: 20_000, clock, lifetime, onUnreadable };
      return clients
        .slice(0, count)
        .map((client) => new RedisSessionStore({ client, ...options }) as unknown as TestedStore);
    },
    clear: () => deployment.flush(),
    stop: () => deployment.stop(),
  };
}

/** What is stored in Redis, by the documented names of its keys. */
export class RedisKeys {
  constructor(private readonly deployment: RedisDeployment) {}

  get client(): RedisClient {
    return this.deployment.client;
  }

  /** An application's `redis`. */
  get options(): RedisOptions {
    return this.deployment.options;
  }

  session(handle: string): string {
    return `sess:{${handle.slice(0, 8)}}${handle.slice(8)}`;
  }

  tombstone(handle: string): string {
    return `${this.session(handle)}:ended`;
  }

  index(userId: string): string {
    const hash = createHash('sha256').update(userId);
    return `sess:{${hash.copy().digest('base64url').slice(0, 8)}}:user:${hash.digest('hex')}`;
  }

  /** A user's index: handles, and by when it says that their sessions run out. */
  async entries(userId: string): Promise<Record<string, number>> {
    const entries = await this.client.zRangeWithScores(this.index(userId), 0, -1);
    return Object.fromEntries(entries.map(({ value, score }) => [value, score]));
  }

  /** What a tombstone says: from when on, and why. */
  async epitaph(handle: string): Promise<{ at: number; reason: string | undefined }> {
    const [at, reason] = ((await this.client.get(this.tombstone(handle))) ?? '').split(/ +/);
    return { at: Number(at), reason };
  }

  keys(): Promise<string[]> {
    return this.deployment.keys();
  }

  /** How long each of the scripts ran that some work needed, in milliseconds, one after the other. */
  async scriptTimes(work: () => Promise<unknown>): Promise<number[]> {
    const nodes = await Promise.all((await this.deployment.masters()).map((master) => master.client()));
    const settings = { 'slowlog-log-slower-than': '0', 'slowlog-max-len': '100000' };
    await Promise.all(nodes.map((node) => node.configSet(settings)));
    await Promise.all(nodes.map((node) => node.sendCommand(['SLOWLOG', 'RESET'])));
    await work();
    const logs = await Promise.all(nodes.map((node) => node.sendCommand(['SLOWLOG', 'GET', '-1'])));
    await Promise.all(nodes.map((node) => node.configSet({ 'slowlog-log-slower-than': '-1' })));
    const entries = logs.flat() as unknown as [id: number, at: number, microseconds: number, words: string[]][];
    return entries
      .filter(([, , , [command = '']]) => /^eval/i.test(command))
      .sort(([a], [b]) => a - b)
      .map(([, , microseconds]) => microseconds / 1000);
  }
}
