import { SESSION_STORE } from '../../lib/index.js';
import type { RedisSessionStore } from '../../lib/redis/redis-session-store.js';
import { TestApplication } from '../support/application.js';
import { idOf } from '../support/devices.js';
import { eventually } from '../support/eventually.js';
import { RedisDeployment } from '../support/redis-deployment.js';
import type { RedisLine } from '../support/redis-line.js';
import { RedisKeys } from '../support/session-stores.js';

interface Outage {
  redis: RedisDeployment;
  line: RedisLine;
  /** A request that asks Redis in vain. */
  ask: () => Promise<unknown>;
}

/** How Redis goes away and comes back, and whether the module opens another client then. */
const OUTAGES: [string, boolean, (outage: Outage) => Promise<unknown>][] = [
  [
    'was killed and started again',
    false,
    async ({ redis, ask }) => {
      await redis.server.kill();
      await ask();
      await redis.server.restart();
    },
  ],
  [
    'hung',
    true,
    async ({ redis, line, ask }) => {
      const { connections } = line;
      redis.server.pause();
      await ask();
      await eventually('another connection to be opened', () => line.connections > connections);
      redis.server.resume();
    },
  ],
  [
    'was cut off by a router that forgot the connection',
    true,
    async ({ line, ask }) => {
      line.forget();
      await ask();
    },
  ],
];

describe("the store's client", () => {
  let redis: RedisDeployment;
  let line: RedisLine;
  let application: TestApplication;
  let store: RedisSessionStore;

  beforeEach(async () => {
    redis = await RedisDeployment.start('redis');
    line = await redis.line();
    application = await TestApplication.start({ options: { redis: line.options, redisTimeout: 300 } });
    store = application.app.get(SESSION_STORE);
  });

  afterEach(async () => {
    await application.close();
    await line.close();
    await redis.stop();
  });

  it.each(OUTAGES)('works after Redis %s', async (_, isReplaced, outage) => {
    const keys = new RedisKeys(redis);
    const browser = await application.loggedIn();
    const before = store.client as { isOpen: boolean; ping(): Promise<string> };
    expect(await store.client.get(keys.session(idOf(browser).handle))).toMatch(/^\{"seen":/);

    await outage({ redis, line, ask: async () => expect((await browser.get('/me')).status).toBe(503) });
    await eventually('the connection', async () => (await browser.get('/me')).status !== 503, { timeout: 20_000 });
    if (isReplaced) await eventually('another client', () => store.client !== before && !before.isOpen);

    expect(store.client === before).toBe(!isReplaced);
    const again = await application.loggedIn();
    const { handle } = idOf(again);
    expect(await store.client.get(keys.session(handle))).toMatch(/^\{"seen":/);
    await store.destroy(handle);
    expect(await store.client.get(keys.session(handle))).toMatch(/^\{"ended":"logged_out"/);
  });
});
