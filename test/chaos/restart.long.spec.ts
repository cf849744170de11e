import { setTimeout as sleep } from 'node:timers/promises';
import { Browser } from '../support/browser.js';
import { freePort } from '../../scripts/free-port.mjs';
import { realProcess } from '../support/process-watch.js';
import { RedisServer } from '../support/redis-server.js';
import { Child } from './child/child.js';

const CLIENTS = 50;
/** In milliseconds: the slowest handler under way, the responses to it, and what the machine takes. */
const ENDS_WITHIN = 3_000;

const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

async function redisServer(): Promise<RedisServer> {
  const redis = await RedisServer.start();
  closers.push(() => redis.stop());
  return redis;
}

async function childOn(redis: RedisServer, port: number): Promise<Child> {
  const child = await Child.start({ REDIS_URL: redis.url, PORT: `${port}` });
  closers.push(() => child.kill());
  return child;
}

/** Somebody who writes a number into the session again and again, over a connection that is kept. */
class Writer {
  readonly responses: { start: number; response: string }[] = [];
  acknowledged = 0;
  /** Sent, and not turned down for certain. */
  perhaps = 0;
  readonly #browser: Browser;

  private constructor(url: string) {
    this.#browser = new Browser(url);
    closers.push(() => this.#browser.close());
  }

  static async loggedIn(url: string, id: string): Promise<Writer> {
    const writer = new Writer(url);
    const { status } = await writer.#browser.post('/login', { json: { id } });
    expect(status).toBe(201);
    return writer;
  }

  async writeUntil(isOver: () => boolean): Promise<void> {
    for (let value = 1; !isOver(); value++) {
      const start = performance.now();
      const path = `/mine/count?takes=${value % 3 === 0 ? 60 : 0}`;
      const response = await this.#browser.request('PUT', path, { json: { value } }).then(
        ({ status, text }) => (status === 200 ? '200' : `${status} ${text}`),
        (error: unknown) => String((error as NodeJS.ErrnoException).code),
      );
      this.responses.push({ start, response });
      if (response !== 'ECONNREFUSED') this.perhaps = value;
      if (response === '200') this.acknowledged = value;
      await sleep(20);
    }
  }

  async read(): Promise<unknown> {
    return (await this.#browser.get('/mine')).json<{ data: { count?: number } }>().data.count;
  }
}

it('a restart under load answers what it has accepted, keeps what it has answered, and takes a bounded time', async () => {
  const redis = await redisServer();
  const port = await freePort();
  const before = await childOn(redis, port);
  const logins = Array.from({ length: CLIENTS }, (_, i) => Writer.loggedIn(before.url, `user-${i % 10}`));
  const writers = await Promise.all(logins);
  let over = false;
  const writing = writers.map((writer) => writer.writeUntil(() => over));
  await sleep(1_000);

  const asked = performance.now();
  const took = await before.terminate();
  await childOn(redis, port);
  await sleep(500);
  over = true;
  await Promise.all(writing);

  const all = writers.flatMap(({ responses }) => responses);
  const underWay = all.filter(({ start }) => start < asked);
  expect(new Set(underWay.map(({ response }) => response))).toEqual(new Set(['200']));
  // Afterwards, whoever is not answered was not accepted: there is nobody, or the connection was closed as idle.
  const others = new Set(all.filter(({ start }) => start >= asked).map(({ response }) => response));
  expect(['200', 'ECONNREFUSED', 'ECONNRESET', 'EPIPE']).toEqual(expect.arrayContaining([...others]));
  expect(took).toBeLessThan(ENDS_WITHIN);
  expect(before.output).not.toMatch(/error/i);
  for (const writer of writers) {
    const count = await writer.read();
    expect(count).toBeGreaterThanOrEqual(writer.acknowledged);
    expect(count).toBeLessThanOrEqual(writer.perhaps);
  }
  realProcess.stdout.write(`Restart: ${all.length} requests, ${took.toFixed()} ms from SIGTERM to the end\n`);
}, 60_000);

it('a process that is to end does so in a bounded time though Redis hangs', async () => {
  const redis = await redisServer();
  const child = await childOn(redis, 0);
  const writer = await Writer.loggedIn(child.url, 'ada');
  let over = false;
  const writing = writer.writeUntil(() => over);
  await sleep(200);

  redis.pause();
  const took = await child.terminate();
  over = true;
  await writing;

  expect(took).toBeLessThan(ENDS_WITHIN);
}, 60_000);
