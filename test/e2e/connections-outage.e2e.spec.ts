import type { Type } from '@nestjs/common';
import { SessionConnections, SessionRegistry } from '../../lib/index.js';
import { LocalStrategy, SnapshotSerializer, TestApplication } from '../support/application.js';
import { idOf } from '../support/devices.js';
import { eventually } from '../support/eventually.js';
import { type ChatHandlers, GuardedGateway, OpenGateway, type TestClient, TRANSPORTS } from '../support/gateways.js';
import { RedisMonitor } from '../support/redis-monitor.js';
import { RedisServer } from '../support/redis-server.js';

describe.each(TRANSPORTS.slice(0, 2))('over $name', ({ configure, open }) => {
  let server: RedisServer;
  let application: TestApplication;
  const clients: TestClient[] = [];

  beforeEach(async () => {
    server = await RedisServer.start();
  });
  afterEach(async () => {
    for (const client of clients.splice(0)) client.close();
    await application.close();
    await server.stop();
  });

  async function start(recheck: string | number, gateway: Type<ChatHandlers> = GuardedGateway) {
    application = await TestApplication.start({
      configure,
      options: { redis: { url: server.url }, redisTimeout: 500, connections: { recheck } },
      providers: [SnapshotSerializer, LocalStrategy, gateway],
    });
  }

  async function arrive() {
    const browser = await application.loggedIn();
    const client = await open(application, browser);
    clients.push(client);
    return { browser, client, handle: idOf(browser).handle };
  }

  const subscribers = async () => Number(/:(\d+)/.exec(await server.ask('PUBSUB', 'NUMSUB', 'sess:ended'))?.[1]);

  it('a Redis that hangs closes no connection, guarded messages are told, and work when it is back', async () => {
    await start(100);
    const { client } = await arrive();
    const { client: silent, handle } = await arrive();
    expect(await client.ask('who')).toMatchObject({ name: 'Ada' });

    server.pause();
    await eventually('a message to be told', async () => {
      const reply = (await client.ask('who')) as { code?: string };
      return reply.code === 'session_store_unavailable';
    });
    expect(await client.ask('session')).toMatchObject({ statusCode: 503, code: 'session_store_unavailable' });
    expect([client.isOpen, silent.isOpen]).toEqual([true, true]);

    server.resume();
    await eventually('the messages to work again', async () => {
      const reply = (await client.ask('who')) as { name?: string };
      return reply.name === 'Ada';
    });
    expect([client.isOpen, silent.isOpen]).toEqual([true, true]);
    await application.app.get(SessionRegistry).revoke('1', handle);
    expect(await silent.ended()).toBe('revoked');
  });

  it('a logout by a message is told that Redis hangs, and works when it is back', async () => {
    await start(100, OpenGateway);
    const { client, browser } = await arrive();

    server.pause();
    await eventually('a message to be told', async () => {
      const reply = (await client.ask('fresh')) as { code?: string };
      return reply.code === 'session_store_unavailable';
    });
    expect(await client.ask('logout')).toMatchObject({ code: 'session_store_unavailable' });
    expect(client.isOpen).toBe(true);

    server.resume();
    await eventually('Redis to be in use again', async () => (await browser.get('/me')).status === 200);
    client.send('logout');
    expect(await client.ended()).toBe('logged_out');
    expect((await browser.get('/me')).status).toBe(401);
  });

  it('a Redis that is gone closes no connection', async () => {
    await start(100);
    const { client } = await arrive();

    await server.kill();
    await eventually('a message to be told', async () => {
      const reply = (await client.ask('who')) as { code?: string };
      return reply.code === 'session_store_unavailable';
    });

    expect([client.isOpen, application.app.get(SessionConnections).count()]).toEqual([true, 1]);
    await server.restart();
    expect(await client.ended()).toBe('expired'); // It is back, without its sessions.
  });

  it('messages go by memory while the session was asked about lately', async () => {
    await start('30s');
    const { client } = await arrive();
    await eventually('the subscription', async () => (await subscribers()) === 1);
    await client.ask('who');
    const monitor = await RedisMonitor.start(server);

    const commands = await monitor.during(async () => {
      for (let message = 0; message < 1_000; message++) client.send('who');
      await eventually('all replies', () => client.messages.length === 1_001);
    });

    expect(commands.length).toBeLessThanOrEqual(2);
    monitor.stop();
  });

  it('an application without open connections has one connection to Redis, and asks for nothing by itself', async () => {
    await start(50);
    const clientsOf = async () => (await server.ask('CLIENT', 'LIST', 'TYPE', 'NORMAL')).match(/^id=/gm)?.length;
    const before = await clientsOf();
    const { client } = await arrive();
    await eventually('the subscription', async () => (await subscribers()) === 1);
    client.close();
    await eventually('the subscription to end', async () => (await subscribers()) === 0);
    const monitor = await RedisMonitor.start(server);

    const commands = await monitor.during(() => application.browser().get('/public'));

    expect(commands).toEqual([]);
    monitor.stop();
    await eventually('as many connections as before', async () => (await clientsOf()) === before);
  });
});
