import type { Ioredis } from '../../lib/redis/ioredis.js';
import { IoredisSubscriber } from '../../lib/redis/ioredis-subscriber.js';
import { eventually } from '../support/eventually.js';
import { ioredis, type IoredisVersion } from '../support/ioredis-clients.js';
import { createUser } from '../support/redis-acl.js';
import { RedisLine } from '../support/redis-line.js';
import { RedisServer } from '../support/redis-server.js';
import { documentedRights } from '../topology/topologies.js';

const PING_INTERVAL = 20;

describe.each<IoredisVersion>([5, 6])('a subscription by ioredis %s', (version) => {
  let server: RedisServer;
  let line: RedisLine;
  const heard: string[] = [];

  beforeAll(async () => {
    server = await RedisServer.start();
    line = await RedisLine.to(server);
  });
  afterEach(() => heard.splice(0));
  afterAll(async () => {
    await line.close();
    await server.stop();
  });

  async function subscribed(url: string) {
    const client = ioredis({ url }, version, { lazyConnect: true });
    const subscriber = new IoredisSubscriber(client as Ioredis, PING_INTERVAL);
    let isOver = false;
    subscriber.on('error', () => undefined);
    subscriber.on('end', () => (isOver = true));
    await subscriber.connect();
    await subscriber.subscribe('sess:ended', (message) => heard.push(message));
    return { subscriber, isOver: () => isOver };
  }

  it('goes on where its user may not ping', async () => {
    const url = await createUser(server, `${documentedRights()} -ping +info`);
    const { subscriber, isOver } = await subscribed(url);
    const refused = async () =>
      Number(/cmdstat_ping:.*rejected_calls=(\d+)/.exec(await server.ask('INFO', 'all'))?.[1]);

    const before = (await refused()) || 0;
    await eventually('some pings', async () => (await refused()) >= before + 5);
    await server.ask('PUBLISH', 'sess:ended', 'an end');

    await eventually('the message', () => heard.length > 0);
    expect([heard, isOver(), subscriber.isReady]).toEqual([['an end'], false, true]);
    subscriber.destroy();
    await eventually('its end', isOver);
  });

  it('ends when its server is silent, so that another can be opened', async () => {
    const { subscriber, isOver } = await subscribed(line.url);

    line.forget();

    await eventually('its end', isOver);
    expect(subscriber.isReady).toBe(false);
  });
});
