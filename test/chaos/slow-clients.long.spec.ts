import { setTimeout as sleep } from 'node:timers/promises';
import { Browser } from '../support/browser.js';
import { eventually } from '../support/eventually.js';
import { RedisServer } from '../support/redis-server.js';
import { Stalls } from '../support/stalls.js';
import { Child } from './child/child.js';
import { RawClient } from './child/raw-client.js';

/** What others' requests may take meanwhile while this process is running, in milliseconds; alone they take one or two. */
const QUICK = 400;
const SLOW_CLIENTS = 20;
const LARGE = 20_000_000;

let redis: RedisServer;
let child: Child;
const closers: (() => unknown)[] = [];

beforeAll(async () => {
  redis = await RedisServer.start();
  child = await Child.start({ REDIS_URL: redis.url });
}, 60_000);
afterEach(() => {
  for (const close of closers.splice(0).reverse()) close();
});
afterAll(async () => {
  await child.kill();
  await redis.stop();
});

async function loggedIn(): Promise<{ browser: Browser; cookie: string; data: () => Promise<Record<string, unknown>> }> {
  const browser = new Browser(child.url);
  closers.push(() => browser.close());
  await browser.post('/login', { json: { id: 'ada' } });
  const data = async () => (await browser.get('/mine')).json<{ data: Record<string, unknown> }>().data;
  return { browser, cookie: `sid=${browser.cookies.get('sid')}`, data };
}

async function rawClient(): Promise<RawClient> {
  const client = await RawClient.connect(child.url);
  closers.push(() => client.hangUp());
  return client;
}

/** The slowest of somebody else's requests while this goes on. */
async function slowestDuring(work: Promise<unknown>): Promise<number> {
  const { browser } = await loggedIn();
  const stalls = new Stalls();
  closers.push(() => stalls.stop());
  const over = new AbortController();
  const done = work.finally(() => over.abort());
  done.catch(() => undefined);
  let slowest = 0;
  for (let value = 1; !over.signal.aborted; value++) {
    const start = performance.now();
    expect((await browser.request('PUT', '/mine/others', { json: { value } })).status).toBe(200);
    slowest = Math.max(slowest, stalls.timeOf({ start, end: performance.now() }));
    await sleep(10);
  }
  await done;
  return slowest;
}

it('clients that send their requests byte by byte hold nobody up, and what they send is stored', async () => {
  const { cookie, data } = await loggedIn();
  const clients = await Promise.all(Array.from({ length: SLOW_CLIENTS }, rawClient));

  const slowest = await slowestDuring(
    Promise.all(
      clients.map(async (client, i) => {
        await client.sendByteByByte(client.request('PUT', `/mine/slow-${i}`, cookie, { value: i }), 4);
        await eventually('the response', () => client.status === 200);
      }),
    ),
  );

  expect(slowest).toBeLessThan(QUICK);
  expect(await data()).toEqual(Object.fromEntries(clients.map((_, i) => [`slow-${i}`, i])));
});

it('clients that do not read their responses hold nobody up, and what these have stored is there before they are read', async () => {
  const { cookie, data } = await loggedIn();
  const clients = await Promise.all(Array.from({ length: SLOW_CLIENTS }, rawClient));
  for (const [i, client] of clients.entries()) {
    client.pause();
    client.send(client.request('GET', `/large/slow-${i}?bytes=${LARGE}`, cookie));
  }

  await eventually('all to be written', async () => Object.keys(await data()).length === SLOW_CLIENTS, {
    timeout: 20_000,
  });
  expect(await slowestDuring(sleep(1_000))).toBeLessThan(QUICK);
  expect(clients.map(({ status }) => status)).toEqual(clients.map(() => 0));

  const [client] = clients;
  client?.resume();
  await eventually('the whole response', () => (client?.received.length ?? 0) > LARGE);
});

it('clients that hang up hold nobody up, and undo nothing', async () => {
  const { browser, cookie, data } = await loggedIn();
  await browser.request('PUT', '/mine/before', { json: { value: 1 } });
  const clients = await Promise.all(Array.from({ length: 3 * SLOW_CLIENTS }, rawClient));

  const slowest = await slowestDuring(
    Promise.all(
      clients.map(async (client, i) => {
        const request = client.request('PUT', `/mine/gone-${i}?takes=200`, cookie, { value: i });
        const large = client.request('GET', `/large/read-${i}?bytes=1000000`, cookie);
        // Within the request, while it is worked on, within the response.
        client.send([request.slice(0, -5), request, large][i % 3] ?? '');
        await (i % 3 === 2 ? eventually('the response to begin', () => client.status === 200) : sleep(100));
        client.hangUp();
      }),
    ),
  );

  expect(slowest).toBeLessThan(QUICK);
  const stored = await eventually('what was under way to be stored', async () => {
    const keys = await data();
    return clients.every((_, i) => i % 3 === 0 || keys[i % 3 === 1 ? `gone-${i}` : `read-${i}`] !== undefined) && keys;
  });
  expect(stored).toMatchObject({ before: 1 });
  expect(Object.keys(stored).filter((key) => /^gone-(\d+)$/.test(key) && Number(key.slice(5)) % 3 === 0)).toEqual([]);
  expect(child.output).not.toMatch(/error/i);
});
