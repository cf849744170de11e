import { setTimeout as sleep } from 'node:timers/promises';
import type { VariantName } from '../app/variant.js';
import { cartOf, logInAll, putAll, times } from '../load/requests.js';
import type { Actor } from '../stage/stage.js';
import type { Scenario } from './scenario.js';

/** What sessions take up in Redis, in bytes a session. */
export interface MemoryFigures {
  variant: VariantName;
  /** How much other data is in it; `undefined` for none. */
  step?: string;
  sessions: number;
  /** By which `used_memory` grew, connections aside: keys, values, expiries and their tables. */
  usedMemory: number;
  /** The sum of MEMORY USAGE over all keys of a kind. */
  byKind: Record<string, { keys: number; bytes: number }>;
}

/** Milliseconds in which what is left of a burst of commands has been done. */
const CALM = 500;

/** Logins of as many users, with more and more other data in their sessions, and what Redis has grown by. */
export const memory: Scenario = async (stage, { memorySessions, sizes }) => {
  const figures: MemoryFigures[] = [];
  for (const actor of await stage.actors('keepers')) {
    figures.push(await weigh(actor, memorySessions));
    for (const kilobytes of sizes) figures.push(await weigh(actor, memorySessions, kilobytes));
  }
  return { memory: figures };
};

async function weigh({ app, redis }: Actor, sessions: number, kilobytes?: number): Promise<MemoryFigures> {
  const { variant } = app;
  const users = times(sessions, (index) => index);
  // Once in vain: buffers and the database itself are there then.
  await logInAll(app, users);
  await redis.flush(variant);
  const before = await usedMemory(redis);
  const cookies = await logInAll(app, users);
  if (kilobytes !== undefined) await putAll(app, cookies, cartOf(kilobytes * 1000));
  const after = await usedMemory(redis);
  const byKind = await weighKeys({ app, redis }, sessions);
  await redis.flush(variant);
  const step = kilobytes !== undefined && { step: `${kilobytes} kB` };
  return { variant, ...step, sessions, usedMemory: (after - before) / sessions, byKind };
}

/** What Redis has in use, without the buffers of its connections: those come and go. */
async function usedMemory(redis: Actor['redis']): Promise<number> {
  await sleep(CALM);
  const info = await redis.info('memory');
  return Number(info['used_memory']) - Number(info['mem_clients_normal']);
}

async function weighKeys({ app, redis }: Actor, sessions: number): Promise<MemoryFigures['byKind']> {
  const client = await redis.client(app.variant);
  const byKind: MemoryFigures['byKind'] = {};
  for (const key of await client.keys('*')) {
    const kind = kindOf(key);
    const sum = (byKind[kind] ??= { keys: 0, bytes: 0 });
    sum.keys += 1 / sessions;
    sum.bytes += ((await client.memoryUsage(key, { SAMPLES: 0 })) ?? 0) / sessions;
  }
  client.destroy();
  return byKind;
}

/** The library names what is no session after its id's hash tag: `sess:{TAG}:user:...`. */
function kindOf(key: string): string {
  return /\}[\w-]*:([a-z]+)/.exec(key)?.[1] ?? 'session';
}
