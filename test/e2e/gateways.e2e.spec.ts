import type { IncomingMessage } from 'node:http';
import type { Type } from '@nestjs/common';
import type { Request } from 'express';
import { SessionConnections, SessionRegistry } from '../../lib/index.js';
import { LocalStrategy, SnapshotSerializer, type TestApplication } from '../support/application.js';
import type { Browser } from '../support/browser.js';
import { idOf, put, sessionsIn } from '../support/devices.js';
import { eventually } from '../support/eventually.js';
import { type ChatHandlers, GuardedGateway, OpenGateway, type TestClient, TRANSPORTS } from '../support/gateways.js';
import { itRefusesOverWs } from '../support/nest.js';
import { describePlatforms } from '../support/platforms.js';

describePlatforms(() => {
  describe.each(TRANSPORTS)('gateways over $name', ({ name: transport, configure, open }) => {
    const itRefuses = transport === 'ws' ? itRefusesOverWs : it;

    const clients: TestClient[] = [];
    afterEach(() => {
      for (const client of clients.splice(0)) client.close();
    });
    const home = sessionsIn('memory');
    let application: TestApplication;

    async function start(gateway: Type<ChatHandlers>): Promise<ChatHandlers> {
      application = await home.start({ configure, providers: [SnapshotSerializer, LocalStrategy, gateway] });
      return application.app.get(gateway);
    }
    const connect = async (visitor?: Browser) => {
      const client = await open(application, visitor);
      clients.push(client);
      return client;
    };
    /** The user in a new browser, and their connection. */
    const arrive = async () => {
      const browser = await application.loggedIn();
      return { browser, client: await connect(browser), handle: idOf(browser).handle };
    };
    const broadcast = (server: ChatHandlers['server']) => {
      const message = { event: 'news', data: 'for all' };
      if ('clients' in server) {
        for (const client of server.clients) client.send(JSON.stringify(message));
      } else {
        server.emit(message.event, message.data);
      }
    };

    it('know the user of the browser that connects', async () => {
      await start(GuardedGateway);
      const { client, handle } = await arrive();

      expect(await client.ask('who')).toEqual({ id: '1', name: 'Ada' });
      expect(await client.ask('current')).toMatchObject({ handle, userId: '1' });
    });

    it('know them when they connect, by the request of the handshake', async () => {
      const greeted: unknown[] = [];
      class GreetingGateway extends OpenGateway {
        /** Nest gives the request to gateways of `ws`; a client of Socket.IO has it. */
        override handleConnection(...[client, request]: [client?: { request?: IncomingMessage }, request?: Request]) {
          greeted.push(((request ?? client?.request) as Request | undefined)?.user ?? null);
        }
      }
      await start(GreetingGateway);
      await arrive();
      await connect();
      await eventually('both are greeted', () => greeted.length === 2);

      expect(greeted).toEqual([{ id: '1', name: 'Ada' }, null]);
    });

    it('turn visitors away who are not logged in, before they hear anything', async () => {
      const gateway = await start(GuardedGateway);
      const { client } = await arrive();
      const stranger = await connect(application.browser());
      broadcast(gateway.server);

      expect(await stranger.ended()).toBe('unauthenticated');
      await eventually('the news', () => client.messages.length === 1);
      expect([stranger.messages, gateway.connected]).toEqual([[], 1]);
    });

    it('tell who comes with an ended session why that has ended', async () => {
      await start(GuardedGateway);
      const browser = await application.loggedIn();
      await application.app.get(SessionRegistry).revokeAll('1');

      expect(await (await connect(browser)).ended()).toBe('revoked');
    });

    it('that are open let everybody in, and close the connections of sessions that end', async () => {
      const gateway = await start(OpenGateway);
      const { client, browser } = await arrive();
      const stranger = await connect();
      expect([await client.ask('anybody'), await stranger.ask('anybody')]).toEqual(['Ada', null]);

      await browser.post('/logout');

      expect(await client.ended()).toBe('logged_out');
      expect([stranger.isOpen, gateway.connected]).toEqual([true, 2]);
    });

    it('close the connections of a session that ends, and no others', async () => {
      await start(GuardedGateway);
      const { client, handle } = await arrive();
      const other = await arrive();

      await application.app.get(SessionRegistry).revoke('1', handle);

      expect(await client.ended()).toBe('revoked');
      expect(await other.client.ask('who')).toEqual({ id: '1', name: 'Ada' });
      const connections = application.app.get(SessionConnections);
      await eventually('the book to have one', () => connections.count() === 1);
    });

    itRefuses('go on after a step-up, which makes the login fresh for them too', async () => {
      await start(GuardedGateway);
      const { client, browser } = await arrive();
      application.clock.advance(6 * 60_000);
      expect(await client.ask('fresh')).toMatchObject({ code: 'fresh_login_required', maxAge: 300 });

      await browser.post('/proof/step-up');

      expect(await client.ask('fresh')).toBe('passed');
      expect(await client.ask('current')).toMatchObject({ handle: idOf(browser).handle });
      expect([await client.ask('once'), await client.ask('once')]).toEqual([
        'passed',
        expect.objectContaining({ code: 'fresh_login_required', once: true }),
      ]);
    });

    it('see the session as a frozen copy, as new as what is known of it', async () => {
      await start(GuardedGateway);
      const { client, browser, handle } = await arrive();
      await put(browser, 'nested', { cart: [1] });
      await browser.post('/proof/step-up');

      expect(await client.ask('session')).toEqual({
        id: expect.stringMatching(/^[\w-]{28}$/),
        passport: { user: { id: '1', name: 'Ada' } },
        nested: { cart: [1] },
        isFrozen: true,
      });
      expect(idOf(browser).handle).not.toBe(handle);
    });

    itRefuses('log nobody in, since no cookie can be set', async () => {
      await start(OpenGateway);
      const { client } = await arrive();
      const unsendable = expect.objectContaining({ code: 'cookie_not_sendable' });

      expect(await client.ask('login', { id: '2', name: 'Grace' })).toEqual(unsendable);
      expect(await client.ask('step-up')).toEqual(unsendable);
      expect(await client.ask('anybody')).toBe('Ada');
    });

    it('log out, and end with that', async () => {
      await start(GuardedGateway);
      const { client, browser } = await arrive();

      client.send('logout');

      expect(await client.ended()).toBe('logged_out');
      expect((await browser.get('/me')).json()).toMatchObject({ reason: 'logged_out' });
    });

    itRefuses('never send a message back with a refusal', async () => {
      await start(OpenGateway);
      const stranger = await connect();

      expect(await stranger.ask('fresh', { password: 'lovelace' })).toEqual({
        statusCode: 401,
        code: 'unauthenticated',
        message: 'You are not logged in.',
      });
    });

    it('count guarded messages as activity, and passive ones not', async () => {
      await start(GuardedGateway);
      const { client } = await arrive();
      const seenAt = async () => ((await client.ask('current')) as { seenAt: string }).seenAt;
      const passively = async () => {
        const [session] = await application.app.get(SessionRegistry).list('1');
        return session?.seenAt.getTime();
      };
      const loggedInAt = application.clock.now();

      application.clock.advance(10 * 60_000);
      expect(await client.ask('passive')).toBe('Ada');
      expect(await passively()).toBe(loggedInAt);
      expect(await client.ask('who')).toMatchObject({ name: 'Ada' });

      expect(await seenAt()).toBe(new Date(application.clock.now()).toISOString());
      expect(await passively()).toBe(application.clock.now());
    });
  });
});
