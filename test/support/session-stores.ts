import type session from 'express-session';
import type { SessionData } from 'express-session';
import type { RedisOptions } from '../../lib/index.js';
import { MemorySessionStore } from '../../lib/memory/memory-session-store.js';
import { splitHandle, tagOfUser } from '../../lib/model/session-id.js';
import { GivenConnection } from '../../lib/redis/given-connection.js';
import type { RedisLink } from '../../lib/redis/redis-access.js';
import { RedisSessionStore } from '../../lib/redis/redis-session-store.js';
import type { AtomicSessionStore, SessionIndex } from '../../lib/store/session-store.js';
import { ioredis, type IoredisVersion, type TestIoredis } from './ioredis-clients.js';
import { type RedisClient, RedisDeployment } from './redis-deployment.js';
import type { RedisMonitor } from './redis-monitor.js';
import { TestClock } from './test-clock.js';
import { UserSessions } from './user-sessions.js';

export const MINUTE = 60_000;
export const HOUR = 60 * MINUTE;
export const DAY = 24 * HOUR;

const lifetime = {
  idle: HOUR,
  absolute: DAY,
  touchEvery: 6 * MINUTE,
  rotateEvery: Infinity,
  rotationGrace: 30_000,
};

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

/** The same by clients of ioredis, which an application gives. */
export const IOREDIS_PLACES: [string, Start<RedisPlace>][] = [
  ['RedisSessionStore by ioredis', async () => ioredisPlace(await RedisDeployment.start('redis'), 6)],
  ['RedisSessionStore by ioredis on a cluster', async () => ioredisPlace(await RedisDeployment.start('cluster'), 6)],
];
export const IOREDIS_5_PLACES: [string, Start<RedisPlace>][] = [
  ['RedisSessionStore by ioredis 5', async () => ioredisPlace(await RedisDeployment.start('redis'), 5)],
  ['RedisSessionStore by ioredis 5 on a cluster', async () => ioredisPlace(await RedisDeployment.start('cluster'), 5)],
];

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

function ioredisPlace(deployment: RedisDeployment, version: IoredisVersion): RedisPlace {
  const clients: TestIoredis[] = [];
  const connect = () => {
    const client = ioredis(deployment.options, version);
    clients.push(client);
    return Promise.resolve(new GivenConnection(client));
  };
  const place = redisPlace(deployment, connect);
  return {
    ...place,
    stop: async () => {
      for (const client of clients) client.disconnect();
      await place.stop();
    },
  };
}

function redisPlace(
  deployment: RedisDeployment,
  connect: () => Promise<RedisLink> = async () => ({ client: await deployment.connect() }),
): RedisPlace {
  const unreadable: string[] = [];
  const links: RedisLink[] = [];
  return {
    unreadable,
    redis: new RedisKeys(deployment),
    stores: async (clock, count = 1, prefix = 'sess:') => {
      while (links.length < count) links.push(await connect());
      const onUnreadable = (handle: string) => unreadable.push(handle);
      const options = { prefix, timeout: 20_000, clock, lifetime, onUnreadable };
      return links.slice(0, count).map((link) => new RedisSessionStore({ link, ...options }) as unknown as TestedStore);
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
    const { tag, rest } = splitHandle(handle);
    return `sess:{${tag}}${rest}`;
  }

  index(userId: string): string {
    return `sess:{${tagOfUser(userId)}}`;
  }

  /** A user's index: the handles, and when their sessions expire. */
  async entries(userId: string): Promise<Record<string, number>> {
    const entries = await this.client.zRangeWithScores(this.index(userId), 0, -1);
    return Object.fromEntries(entries.map(({ value, score }) => [tagOfUser(userId) + value, score]));
  }

  /** What remains of a session that was ended. */
  async remains(handle: string): Promise<{ ended?: string; replaced?: boolean }> {
    const value = JSON.parse((await this.client.get(this.session(handle))) ?? '{}') as { ended?: string };
    return value.ended === undefined ? {} : value;
  }

  keys(): Promise<string[]> {
    return this.deployment.keys();
  }

  /** Reads along what Redis is asked. */
  monitor(): Promise<RedisMonitor> {
    return this.deployment.monitor();
  }

  /** Has the servers forget all scripts, so that each is sent as text at its next call. */
  async forgetScripts(): Promise<void> {
    await Promise.all((await this.deployment.masters()).map((master) => master.ask('SCRIPT', 'FLUSH')));
  }

  /** The slot of a cluster that a key is in. */
  async slotOf(key: string): Promise<number> {
    const [master] = await this.deployment.masters();
    return Number((await master!.ask('CLUSTER', 'KEYSLOT', key)).slice(1));
  }
}
