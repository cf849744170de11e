import { setTimeout as sleep } from 'node:timers/promises';
import { type AtomicSessionStore, isLive } from '../../lib/store/session-store.js';
import { RedisServer } from '../support/redis-server.js';
import { Random } from './random.js';
import { run } from './run.js';

let redis: RedisServer;
beforeAll(async () => {
  redis = await RedisServer.start();
});
afterEach(() => redis.ask('FLUSHALL'));
afterAll(() => redis.stop());

/** What is said of a run in which nothing happens to Redis, but something is wrong with the store. */
async function failuresWith(sabotage?: (store: AtomicSessionStore) => void) {
  const stage = {
    redis: { url: redis.url },
    sabotage,
    troubles: [],
    losses: () => [],
    servers: [redis],
    stop: () => Promise.resolve(),
  };
  const { failures } = await run(stage, { seed: 1, duration: 3_000, visitors: 30 });
  return [...new Set(failures.map((failure) => failure.split(':')[0]))];
}

/** Puts another method in place of the store's, for some of its calls. */
function instead<Method extends 'find' | 'update' | 'end' | 'logIn'>(
  method: Method,
  probability: number,
  other: (
    original: AtomicSessionStore[Method],
    ...args: Parameters<AtomicSessionStore[Method]>
  ) => ReturnType<AtomicSessionStore[Method]>,
) {
  const random = new Random(1);
  return (store: AtomicSessionStore): void => {
    const original = store[method].bind(store) as AtomicSessionStore[Method];
    const call = original as (...args: unknown[]) => unknown;
    Object.assign(store, {
      [method]: (...args: Parameters<AtomicSessionStore[Method]>) =>
        random.chance(probability) ? other(original, ...args) : call(...args),
    });
  };
}

let last = '';

describe('A run', () => {
  it('finds nothing wrong with a store that keeps its promises', async () => {
    expect(await failuresWith()).toEqual([]);
  });

  it.each<[string, string, (store: AtomicSessionStore) => void]>([
    [
      'pretends to have saved',
      'a write was lost',
      instead('update', 0.05, () => Promise.resolve({ outcome: 'saved' })),
    ],
    ['does not end sessions', 'an ended session is alive', instead('end', 1, () => Promise.resolve(true))],
    [
      'mixes sessions up',
      "another user's session",
      instead('find', 0.5, async (find, handle) => {
        const other = last;
        last = handle;
        const [found, mixed] = [await find(handle), await find(other)];
        if (!isLive(found) || !isLive(mixed)) return found;
        return { ...found, record: { ...mixed.record, secretHash: found.record.secretHash }, values: mixed.values };
      }),
    ],
    [
      'is slow',
      'too slow',
      instead('find', 0.01, async (find, handle) => {
        await sleep(900);
        return find(handle);
      }),
    ],
    [
      'forgets new secrets',
      'signed out by rotation',
      instead('update', 1, async (update, record, expiry) => update({ ...record, rotation: undefined }, expiry)),
    ],
    ['loses sessions', 'a session was lost', instead('find', 0.02, () => Promise.resolve(undefined))],
    [
      'tells that sessions are gone, but only who asks for their connections',
      'a connection was closed for nothing',
      instead('find', 0.3, (find, handle, budget) =>
        budget === undefined ? Promise.resolve(undefined) : find(handle, budget),
      ),
    ],
    ['fails for nothing', '503 for nothing', instead('find', 0.01, () => Promise.reject(new Error('broken')))],
  ])('notices a store that %s', async (_, failure, sabotage) => {
    expect(await failuresWith(sabotage)).toContain(failure);
  });

  it('notices an index that is out of step', async () => {
    const sabotage = ({ index }: AtomicSessionStore) => {
      Object.assign(index!, { pages: async function* () {} });
    };
    expect(await failuresWith(sabotage)).toEqual(expect.arrayContaining(['the list of sessions is wrong', 'index']));
  });
});
