import { Controller, Get, Inject, Param, Post, Req } from '@nestjs/common';
import { RedisStore } from 'connect-redis';
import session, { type Store } from 'express-session';
import createMemoryStore from 'memorystore';
import { SESSION_STORE, SessionAuthService, type SessionRequest } from '../../lib/index.js';
import { LocalStrategy, SnapshotSerializer, TestApplication } from '../support/application.js';
import { eventually } from '../support/eventually.js';
import { Gate, Gates } from '../support/gate.js';
import { describePlatforms } from '../support/platforms.js';
import { RedisServer } from '../support/redis-server.js';

/** A store that is none of ours, and what lies in it. */
interface Foreign {
  store: Store;
  dump(): Promise<Record<string, string>>;
  /** Writes what no store would. */
  write(key: string, text: string): Promise<void>;
  close(): Promise<void>;
}

function memorystore(): Promise<Foreign> {
  const MemoryStore = createMemoryStore(session);
  const store = new MemoryStore({});
  const { store: entries } = store as unknown as { store: Pick<Map<string, string>, 'forEach' | 'set'> };
  return Promise.resolve({
    store,
    dump: () => {
      const dump: Record<string, string> = {};
      entries.forEach((value, key) => (dump[key] = value));
      return Promise.resolve(dump);
    },
    write: (key, text) => {
      entries.set(key, text);
      return Promise.resolve();
    },
    close: () => Promise.resolve(),
  });
}

async function connectRedis(redis: RedisServer): Promise<Foreign> {
  const client = await redis.client();
  await client.flushAll();
  return {
    store: new RedisStore({ client, prefix: 'foreign:' }),
    dump: async () => {
      const keys = await client.keys('*');
      const values = await Promise.all(keys.map((key) => client.get(key)));
      return Object.fromEntries(keys.map((key, index) => [key, values[index] ?? '']));
    },
    write: async (key, text) => {
      await client.set(key, text);
    },
    close: async () => {
      await client.close();
    },
  };
}

@Controller()
class ForeignController {
  constructor(
    @Inject(SESSION_STORE) readonly store: Store,
    private readonly gate: Gate,
    private readonly gates: Gates,
    private readonly sessionAuth: SessionAuthService,
  ) {}

  /** Stores something, once the test says so. */
  @Get('slow')
  async slow(@Req() request: SessionRequest) {
    await this.gate.pass();
    Object.assign(request.session!, { slow: true });
    return {};
  }

  @Post('step-up/:gate')
  async stepUp(@Param('gate') gate: string, @Req() request: SessionRequest) {
    await this.gates.named(gate).pass();
    await this.sessionAuth.reauthenticate(request, 'password');
  }

  @Get('store')
  sameStore(@Req() request: SessionRequest & { sessionStore?: Store }) {
    return { same: request.sessionStore === this.store };
  }

  @Get('regenerate')
  async regenerate(@Req() request: SessionRequest) {
    await new Promise((resolve) => request.session!.regenerate(resolve));
    Object.assign(request.session!, { regenerated: true });
    return {};
  }

  @Get('reload')
  async reload(@Req() request: SessionRequest) {
    Object.assign(request.session!, { color: 'never stored' });
    await new Promise((resolve) => request.session!.reload(resolve));
    const { cookie: _cookie, ...data } = request.session as unknown as Record<string, unknown>;
    return data;
  }
}

describePlatforms(() => {
  describe.each(['memorystore', 'connect-redis'])('with the store option, %s keeps the sessions:', (name) => {
    let redis: RedisServer;
    let foreign: Foreign;
    let application: TestApplication;
    let gate: Gate;

    beforeAll(async () => {
      redis = await RedisServer.start();
    });

    beforeEach(async () => {
      gate = new Gate();
      foreign = name === 'memorystore' ? await memorystore() : await connectRedis(redis);
      application = await TestApplication.start({
        options: { store: foreign.store, lifetime: { idle: '1h', absolute: '3h' } },
        controllers: [ForeignController],
        providers: [SnapshotSerializer, LocalStrategy, Gates, { provide: Gate, useValue: gate }],
      });
    });

    afterEach(async () => {
      await application.close();
      await foreign.close();
    });

    afterAll(async () => {
      await redis.stop();
    });

    it('who has logged in stays so, until logout ends it for every copy of the cookie', async () => {
      const browser = await application.loggedIn();
      const copy = browser.fork();
      expect((await browser.get('/me')).json()).toEqual({ id: '1', name: 'Ada' });

      expect((await browser.post('/logout')).status).toBe(204);
      expect((await browser.get('/me')).status).toBe(401);
      expect((await copy.get('/me')).status).toBe(401);
      expect(await foreign.dump()).toEqual({});
    });

    it('two users have two sessions', async () => {
      const [ada, grace] = await Promise.all([application.loggedIn(), application.loggedIn('grace', 'hopper')]);

      expect((await ada.get('/me')).json()).toMatchObject({ name: 'Ada' });
      expect((await grace.get('/me')).json()).toMatchObject({ name: 'Grace' });
      expect(Object.keys(await foreign.dump())).toHaveLength(2);
    });

    it('data is kept, changed and deleted', async () => {
      const browser = application.browser();
      await browser.request('PUT', '/session/color', { json: { value: 'blue' } });
      await browser.request('PUT', '/session/deep', { json: { value: { list: [1, { a: 'ä' }] } } });
      await browser.request('PUT', '/session/color', { json: { value: 'red' } });
      expect((await browser.get('/session')).json()).toEqual({ color: 'red', deep: { list: [1, { a: 'ä' }] } });

      await browser.request('DELETE', '/session/color');
      expect((await browser.get('/session')).json()).toEqual({ deep: { list: [1, { a: 'ä' }] } });
    });

    it('a login gets another session, and of the old one what it keeps', async () => {
      const browser = application.browser();
      await browser.request('PUT', '/session/color', { json: { value: 'blue' } });
      await browser.request('PUT', '/session/returnTo', { json: { value: '/basket' } });
      const before = browser.fork();
      await browser.post('/login', { json: { username: 'ada', password: 'lovelace' } });

      expect((await browser.get('/session')).json()).toEqual({ returnTo: '/basket' });
      expect((await before.get('/session')).json()).toEqual({});
      expect(Object.keys(await foreign.dump())).toHaveLength(1);
    });

    it('an anonymous request that stores nothing leaves nothing there', async () => {
      const response = await application.browser().get('/public');

      expect(response.setCookies).toEqual([]);
      expect(await foreign.dump()).toEqual({});
    });

    it('a session unused for longer than its idle limit has expired', async () => {
      const browser = await application.loggedIn();
      application.clock.advance('59m');
      expect((await browser.get('/me')).status).toBe(200);

      application.clock.advance('61m');
      expect((await browser.get('/me')).json()).toMatchObject({ statusCode: 401, reason: 'expired' });
    });

    it('use moves the end of the session, but not past the absolute limit, and leaves the cookie alone', async () => {
      const browser = await application.loggedIn();
      const cookieEnds = application.clock.now() + (3 + 24) * 3_600_000;
      for (let hour = 0; hour < 3; hour++) {
        application.clock.advance('50m');
        const response = await browser.get('/me');
        expect([response.status, response.setCookies.length]).toEqual([200, 0]);
        await eventually('the use to be written down', async () =>
          Object.values(await foreign.dump()).some((text) => text.includes(`"seenAt":${application.clock.now()}`)),
        );
      }
      expect(browser.cookies.find('sid')?.expires).toBe(Math.floor(cookieEnds / 1000) * 1000);

      application.clock.advance('29m');
      expect((await browser.get('/me')).status).toBe(200);
      application.clock.advance('1m');
      expect((await browser.get('/me')).json()).toMatchObject({ statusCode: 401, reason: 'expired' });
    });

    it('nothing that is stored lets anybody in', async () => {
      const browser = await application.loggedIn();
      await browser.request('PUT', '/session/color', { json: { value: 'blue' } });
      const id = decodeURIComponent(browser.cookies.get('sid')!).slice('s:'.length);
      const [handle, secret, signature] = id.split('.') as [string, string, string];
      const dump = await foreign.dump();
      const stored = JSON.stringify(dump);

      expect(Object.keys(dump)).toEqual([expect.stringContaining(handle)]);
      expect(stored).toContain('"color');
      expect(stored).not.toContain(secret);
      expect(stored).not.toContain(signature);
      // Nor does the store's own name of the session, signed or not.
      for (const value of [handle, `s:${handle}`, `s:${handle}.${signature}`]) {
        const response = await application
          .browser()
          .get('/me', { headers: { cookie: `sid=${encodeURIComponent(value)}` } });
        expect(response.status).toBe(401);
      }
    });

    it('a request that runs while its user logs out does not bring the session back', async () => {
      const browser = await application.loggedIn();
      const slow = browser.fork().get('/slow');
      await gate.reached;
      await browser.post('/logout');
      gate.open();

      expect((await slow).status).toBe(200);
      expect(await foreign.dump()).toEqual({});
    });

    it('a request that runs while its user logs in anew does not take the new cookie back', async () => {
      const browser = await application.loggedIn();
      const slow = browser.tab().get('/slow');
      await gate.reached;
      await browser.post('/login', { json: { username: 'ada', password: 'lovelace' } });
      gate.open();

      expect((await slow).setCookies).toEqual([]);
      expect((await browser.get('/me')).status).toBe(200);
    });

    it('of two parallel step-ups of one process one takes place', async () => {
      const browser = await application.loggedIn();
      const gates = ['one', 'other'].map((name) => application.app.get(Gates).named(name));
      const responses = ['one', 'other'].map((name) => browser.fork().post(`/step-up/${name}`));
      await Promise.all(gates.map(({ reached }) => reached));
      for (const gate of gates) gate.open();

      expect((await Promise.all(responses)).map(({ status }) => status).sort()).toEqual([201, 401]);
      expect(Object.keys(await foreign.dump())).toHaveLength(1);
    });

    it('what parallel requests of one process store is all kept', async () => {
      const browser = await application.loggedIn();
      const keys = Array.from({ length: 10 }, (_, index) => `key${index}`);
      const responses = await Promise.all(
        keys.map((key) => browser.tab().request('PUT', `/session/${key}`, { json: { value: key } })),
      );

      expect(responses.map(({ status }) => status)).toEqual(keys.map(() => 200));
      expect((await browser.get('/session')).json()).toEqual(Object.fromEntries(keys.map((key) => [key, key])));
    });

    it.each(['{"broken', '"text"', '{"cookie":{}}', '{"cookie":{},"__session":{"version":1}}', '[]'])(
      'a value that is no session (%s) is none, and its user can log in again',
      async (text) => {
        const browser = await application.loggedIn();
        const [key] = Object.keys(await foreign.dump());
        await foreign.write(key!, text);

        expect((await browser.get('/me')).status).toBe(401);
        expect((await browser.post('/login', { json: { username: 'ada', password: 'lovelace' } })).status).toBe(200);
        expect((await browser.get('/me')).status).toBe(200);
      },
    );

    it('while the store says it is disconnected there is no session, and afterwards there is again', async () => {
      const browser = await application.loggedIn();
      foreign.store.emit('disconnect');
      const statuses = [];
      for (const visitor of [browser, application.browser()]) {
        statuses.push((await visitor.get('/me')).status, (await visitor.get('/public')).status);
      }
      foreign.store.emit('connect');

      expect(statuses).toEqual([503, 200, 503, 200]);
      expect((await browser.get('/me')).status).toBe(200);
    });

    it('req.session regenerates and reloads, and req.sessionStore is the store', async () => {
      const browser = application.browser();
      await browser.request('PUT', '/session/color', { json: { value: 'blue' } });
      expect((await browser.get('/reload')).json()).toEqual({ color: 'blue' });

      await browser.get('/regenerate');
      expect((await browser.get('/session')).json()).toEqual({ regenerated: true });
      expect(Object.keys(await foreign.dump())).toHaveLength(1);
      expect((await browser.get('/store')).json()).toEqual({ same: true });
    });
  });

  describe('with the store option and connect-redis,', () => {
    let redis: RedisServer;
    let foreign: Foreign;
    let application: TestApplication;

    beforeEach(async () => {
      redis = await RedisServer.start();
      foreign = await connectRedis(redis);
      application = await TestApplication.start({ options: { store: foreign.store, redisTimeout: 200 } });
    });

    afterEach(async () => {
      await application.close();
      await redis.stop();
    });

    it('Redis forgets a session when it expires', async () => {
      const client = await redis.client();
      await application.loggedIn();
      const [key] = Object.keys(await foreign.dump());
      const ttl = await client.ttl(key!);

      expect(ttl).toBeGreaterThan(3590);
      expect(ttl).toBeLessThanOrEqual(3600);
    });

    it('a server that hangs is a 503, and forgotten once it goes on', async () => {
      const browser = await application.loggedIn();
      redis.pause();
      const response = await browser.get('/me');
      const open = await browser.get('/public');
      redis.resume();

      expect([response.status, response.json<{ code: string }>().code]).toEqual([503, 'session_store_unavailable']);
      expect(open.status).toBe(200);
      expect((await browser.get('/me')).status).toBe(200);
    });

    it('the client stays open when the application closes', async () => {
      await application.close();

      expect(await foreign.dump()).toEqual({});
    });
  });
});
