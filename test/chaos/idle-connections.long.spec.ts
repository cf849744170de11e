import { execSync } from 'node:child_process';
import { Browser } from '../support/browser.js';
import { eventually } from '../support/eventually.js';
import { realProcess } from '../support/process-watch.js';
import { RedisServer } from '../support/redis-server.js';
import { Child } from './child/child.js';
import { RawClient } from './child/raw-client.js';

const WANTED = 10_000;
/** Files that each process needs besides. */
const SPARE = 500;
const AT_ONCE = 200;
const USERS = 100;

const say = (line: string) => realProcess.stdout.write(`${line}\n`);

/** As many as this machine lets a process open. */
function connections(): number {
  const limit = Number(execSync('ulimit -n', { encoding: 'utf8' }));
  const possible = Number.isNaN(limit) ? WANTED : Math.min(WANTED, limit - SPARE);
  if (possible < WANTED) say(`Only ${possible} idle connections, not ${WANTED}: ulimit -n is ${limit}`);
  return possible;
}

let redis: RedisServer;
let child: Child;
let browser: Browser;
const idle: RawClient[] = [];

beforeAll(async () => {
  redis = await RedisServer.start();
  child = await Child.start({ REDIS_URL: redis.url, KEEP_ALIVE: '600000' });
  browser = new Browser(child.url, { timeout: 60_000 });
}, 60_000);
afterAll(async () => {
  for (const client of idle) client.hangUp();
  browser.close();
  await child.kill();
  await redis.stop();
}, 60_000);

async function cookies(): Promise<string[]> {
  return Promise.all(
    Array.from({ length: USERS }, async (_, i) => {
      const user = new Browser(child.url);
      await user.post('/login', { json: { id: `user-${i}` } });
      user.close();
      return `sid=${user.cookies.get('sid')}`;
    }),
  );
}

/** Opens connections that have each had a response to a request with a session, and stay. */
async function connect(count: number, cookiesOfUsers: string[]): Promise<void> {
  for (let opened = 0; opened < count; opened += AT_ONCE) {
    await Promise.all(
      Array.from({ length: Math.min(AT_ONCE, count - opened) }, async (_, i) => {
        const client = await RawClient.connect(child.url);
        idle.push(client);
        client.send(client.request('GET', '/mine', cookiesOfUsers[i % USERS] ?? ''));
        await eventually('the response', () => client.status === 200, { timeout: 20_000 });
      }),
    );
  }
}

/** The median of many requests, one after another, in milliseconds. */
async function timeOfOthers(): Promise<number> {
  const times: number[] = [];
  for (let value = 0; value < 300; value++) {
    const start = performance.now();
    expect((await browser.request('PUT', '/mine/others', { json: { value } })).status).toBe(200);
    times.push(performance.now() - start);
  }
  return times.sort((a, b) => a - b)[150] ?? NaN;
}

async function memory(): Promise<{ rss: number; heapUsed: number }> {
  return (await browser.get('/memory')).json();
}

it('thousands of idle connections with sessions leave others as quick as before', async () => {
  const count = connections();
  const all = await cookies();
  await browser.post('/login', { json: { id: 'others' } });
  await timeOfOthers();
  const [before, memoryBefore] = [await timeOfOthers(), await memory()];

  await connect(count, all);
  const [after, memoryAfter] = [await timeOfOthers(), await memory()];

  const each = (what: 'rss' | 'heapUsed') => ((memoryAfter[what] - memoryBefore[what]) / count / 1024).toFixed(1);
  say(
    `${count} idle connections: others take ${after.toFixed(2)} ms, without them ${before.toFixed(2)} ms; ` +
      `each costs the server ${each('rss')} KiB, ${each('heapUsed')} of it in the heap`,
  );
  expect(idle.every(({ status }) => status === 200)).toBe(true);
  expect(after).toBeLessThan(2 * before + 2);
}, 120_000);
