import { SessionRegistry } from '../../lib/index.js';
import { LocalStrategy, SnapshotSerializer, TestApplication } from '../support/application.js';
import { idOf } from '../support/devices.js';
import { eventually } from '../support/eventually.js';
import { GuardedGateway, TRANSPORTS } from '../support/gateways.js';
import { RedisServer } from '../support/redis-server.js';

const MINUTE = 60_000;

it('a Redis that hangs for a minute closes no connection; then messages work, and ends are heard, as before', async () => {
  const { configure, open } = TRANSPORTS[0]!;
  const server = await RedisServer.start();
  const application = await TestApplication.start({
    configure,
    options: { redis: { url: server.url }, redisTimeout: 500 },
    providers: [SnapshotSerializer, LocalStrategy, GuardedGateway],
  });
  const elsewhere = await TestApplication.start({ options: { redis: { url: server.url } } });
  const browser = await application.loggedIn();
  const [client, other] = [await open(application, browser), await open(application, await application.loggedIn())];
  const subscribers = async () => Number(/:(\d+)/.exec(await server.ask('PUBSUB', 'NUMSUB', 'sess:ended'))?.[1]);
  await eventually('the subscription', async () => (await subscribers()) === 1);
  const ask = async () => (await client.ask('who')) as { name?: string; code?: string };

  server.pause();
  const end = performance.now() + MINUTE;
  const heard = new Set<string | undefined>();
  await eventually(
    'a minute to pass',
    async () => {
      const { name, code } = await ask();
      heard.add(code ?? name);
      return performance.now() > end;
    },
    { timeout: 2 * MINUTE, interval: 500 },
  );
  // By memory at first, for as long as recheck allows.
  expect([...heard]).toEqual(['Ada', 'session_store_unavailable']);
  expect([client.isOpen, other.isOpen]).toEqual([true, true]);

  server.resume();
  await eventually('messages to work', async () => (await ask()).name === 'Ada');
  await eventually('the subscription', async () => (await subscribers()) === 1, { timeout: 20_000 });
  await elsewhere.app.get(SessionRegistry).revoke('1', idOf(browser).handle);

  expect(await client.ended()).toBe('revoked');
  expect(other.isOpen).toBe(true);
  other.close();
  await elsewhere.close();
  await application.close();
  await server.stop();
}, 180_000);
