import { setTimeout as sleep } from 'node:timers/promises';
import type { Flag, VariantName } from '../app/variant.js';
import { cartOf, logInAll, putAll, times } from '../load/requests.js';
import type { AppProcess } from '../stage/app-process.js';
import type { RedisStage } from '../stage/redis-stage.js';
import type { Actor } from '../stage/stage.js';
import type { Scenario } from './scenario.js';

/** The stores that are compared. The second adds to the first what a team adds by hand that lists a user's devices. */
export type MemorySubject = 'hand-wired' | 'hand-wired + index' | 'ours' | 'ours, device: false';

/** What one user with one session takes up in Redis, in bytes. */
export interface MemoryFigures {
  subject: MemorySubject;
  /** The size of other data in the session; `undefined` for none. */
  step?: string;
  users: number;
  /** The share of `used_memory`: keys, values, expiries and their hash tables. */
  usedMemory: number;
  byKind: Record<Kind, KindFigures>;
}

/** All keys of a kind, per user. */
interface KindFigures {
  keys: number;
  /** By MEMORY USAGE, which leaves out the expiry and the hash tables. */
  bytes: number;
  /**
   * Of the value, by STRLEN. With a header of 4 bytes (6 from 252 characters on), jemalloc rounds it up: to a multiple of
   * 32 from 128 bytes on, of 64 from 256, of 128 from 512, of 256 from 1024.
   */
  length: number;
}

type Client = Awaited<ReturnType<RedisStage['client']>>;
type Kind = 'session' | 'index' | 'ended';

/** Milliseconds after which Redis has finished the work that a burst of commands leaves. */
const CALM = 500;

/**
 * Logins of users with one session each and more and more other data in it, and the memory that deleting all of it frees.
 *
 * The number of users is a power of two, like the size of Redis's hash tables: one key per user exactly fills a table,
 * two keys per user fill one of twice the size. With another number, the buckets left empty would distort the ratios.
 */
export const memory: Scenario = async (stage, { memoryUsers, sizes }) => {
  const redis = await stage.redis();
  const start = (variant: VariantName, ...flags: Flag[]) =>
    stage.anotherActor(variant, redis, { flags: ['production', ...flags] });
  const handWired = await start('hand-wired');
  const ours = await start('ours');
  const withoutDevice = await start('ours', 'no-device');

  const figures: MemoryFigures[] = [];
  for (const kilobytes of [undefined, ...sizes]) {
    const sample: Sample = { users: memoryUsers, kilobytes };
    figures.push(
      await weigh('hand-wired', handWired, sample),
      await weigh('hand-wired + index', handWired, sample, addIndexes),
      await weigh('ours', ours, sample),
      await weigh('ours, device: false', withoutDevice, sample),
    );
  }
  return { memory: figures };
};

interface Sample {
  users: number;
  kilobytes: number | undefined;
}

async function weigh(
  subject: MemorySubject,
  { app, redis }: Actor,
  { users, kilobytes }: Sample,
  addMore?: (client: Client) => Promise<void>,
): Promise<MemoryFigures> {
  const { variant } = app;
  const [goneCookie = ''] = await logInAll(app, [0]);
  await redis.flush(variant);
  const cookies = await logInAll(
    app,
    times(users, (index) => index),
  );
  if (kilobytes !== undefined) await putAll(app, cookies, cartOf(kilobytes * 1000));
  const byKind = await withClient(redis, variant, async (client) => {
    await addMore?.(client);
    return weighKeys(client, users);
  });
  const full = await usedMemory(redis, app, goneCookie);
  await redis.flush(variant);
  const empty = await usedMemory(redis, app, goneCookie);
  const step = kilobytes !== undefined && { step: `${kilobytes} kB` };
  return { subject, ...step, users, usedMemory: (full - empty) / users, byKind };
}

/** A client for this only: the buffers of one that stays connected would blur the figures. */
async function withClient<T>(redis: RedisStage, variant: VariantName, use: (client: Client) => Promise<T>): Promise<T> {
  const client = await redis.client(variant);
  try {
    return await use(client);
  } finally {
    client.destroy();
  }
}

/** What a team adds to connect-redis by hand to list a user's devices: a sorted set of the user's session ids. */
async function addIndexes(client: Client): Promise<void> {
  const keys = await client.keys('sess:*');
  await Promise.all(
    keys.map(async (key) => {
      const [text, ttl] = await Promise.all([client.get(key), client.pTTL(key)]);
      const { passport } = JSON.parse(text ?? '') as { passport: { user: string } };
      const index = `user:${passport.user}`;
      await client.zAdd(index, { score: Date.now() + ttl, value: key.slice('sess:'.length) });
      await client.pExpire(index, ttl);
    }),
  );
}

/**
 * Redis's memory, just after the application has used its connection: Redis frees the buffers of connections that are idle
 * for two seconds. Its own figure for these buffers lags behind, so it is of no use here.
 *
 * @param goneCookie of a session that no longer exists, so that it is only looked for: to renew a key's expiry is enough
 *   for Redis to double a table that is exactly full
 */
async function usedMemory(redis: RedisStage, app: AppProcess, goneCookie: string): Promise<number> {
  await (await fetch(`${app.url}/me`, { headers: { cookie: goneCookie } })).text();
  await sleep(CALM);
  return Number((await redis.info('memory'))['used_memory']);
}

async function weighKeys(client: Client, users: number): Promise<MemoryFigures['byKind']> {
  const byKind: Record<Kind, KindFigures> = { session: none(), index: none(), ended: none() };
  const weighKey = async (key: string): Promise<void> => {
    const kind = kindOf(key);
    const [bytes, length] = await Promise.all([
      client.memoryUsage(key, { SAMPLES: 0 }),
      kind === 'index' ? 0 : client.strLen(key),
    ]);
    const sum = byKind[kind];
    sum.keys += 1 / users;
    sum.bytes += (bytes ?? 0) / users;
    sum.length += length / users;
  };
  await Promise.all((await client.keys('*')).map(weighKey));
  return byKind;
}

const none = (): KindFigures => ({ keys: 0, bytes: 0, length: 0 });

/**
 * The library's index of a user ends with the id's hash tag, `sess:{TAG}`. An older build names it
 * `sess:{TAG}:user:<hash>`, and keeps what is left of a session under `<its key>:ended`.
 */
function kindOf(key: string): Kind {
  if (key.endsWith('}') || key.includes('}:user:') || key.startsWith('user:')) return 'index';
  return key.endsWith(':ended') ? 'ended' : 'session';
}
