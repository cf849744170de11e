import { createHash } from 'node:crypto';
import { RedisSessionStore } from '../../lib/index.js';
import { lifetimePolicy } from '../../lib/lifetime/lifetime.policy.js';
import { MemorySessionStore } from '../../lib/memory/memory-session.store.js';
import type { AtomicSessionStore, SessionIndex } from '../../lib/session/session-store.js';
import { type RedisClient, RedisDeployment } from './redis-deployment.js';
import type { TestClock } from './test-clock.js';

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

/** A store that keeps sessions by user, as tests use it. */
export type UserSessionStore = AtomicSessionStore & {
  readonly index: SessionIndex;
  ids(): Promise<string[] | undefined>;
};

/** A place where sessions are, for a test file. */
export interface SessionPlace {
  /** So many stores on the same sessions, each with a connection of its own where there are connections. */
  stores(clock: TestClock, count?: number): Promise<UserSessionStore[]>;
  clear(): Promise<void>;
  stop(): Promise<void>;
}

/** A place with keys to look at. */
export interface RedisPlace extends SessionPlace {
  readonly inside: RedisInside;
}

/** The places in which sessions are in Redis. */
export const REDIS_PLACES: [string, () => Promise<RedisPlace>][] = [
  ['RedisSessionStore', async () => redisPlace(await RedisDeployment.start('redis'))],
  ['RedisSessionStore on a cluster', async () => redisPlace(await RedisDeployment.start('cluster'))],
];

/** All places that keep the same promises. */
export const PLACES: [string, () => Promise<SessionPlace>][] = [
  ['MemorySessionStore', () => Promise.resolve(memoryPlace())],
  ...REDIS_PLACES,
];

function memoryPlace(): SessionPlace {
  return {
    stores: (clock, count = 1) => {
      const store = new MemorySessionStore(clock, lifetime);
      return Promise.resolve(Array.from({ length: count }, () => store as unknown as UserSessionStore));
    },
    clear: () => Promise.resolve(),
    stop: () => Promise.resolve(),
  };
}

function redisPlace(redis: RedisDeployment): RedisPlace {
  const inside = new RedisInside(redis);
  const clients: RedisClient[] = [];
  return {
    inside,
    stores: async (clock, count = 1) => {
      while (clients.length < count) clients.push(await redis.connect());
      const onUnreadable = (handle: string) => {
        throw new Error(`${handle} is unreadable`);
      };
      const options = { prefix: 'sess:', timeout: 20_000, clock, lifetime, onUnreadable };
      return clients
        .slice(0, count)
        .map((client) => new RedisSessionStore({ client, ...options }) as unknown as UserSessionStore);
    },
    clear: () => redis.flush(),
    stop: () => redis.stop(),
  };
}

/** What stands in Redis, by the documented names of its keys. */
export class RedisInside {
  constructor(private readonly redis: RedisDeployment) {}

  get client(): RedisClient {
    return this.redis.client;
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
    return this.redis.keys();
  }

  /** For how long each of the scripts ran that some work had run, in milliseconds, one after the other. */
  async scriptTimes(work: () => Promise<unknown>): Promise<number[]> {
    const nodes = await Promise.all((await this.redis.masters()).map((master) => master.client()));
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
