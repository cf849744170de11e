import { Controller, Get, HttpCode, Inject, Param, Post, Req, Res } from '@nestjs/common';
import type { Request, Response } from 'express';
import { CurrentSession, SessionAuthService, SessionRegistry } from '../../lib/index.js';
import { LocalStrategy, SnapshotSerializer, TestApplication, type User } from '../support/application.js';
import type { BrowserResponse, Browser } from '../support/browser.js';
import { DelayProxy } from '../support/delay-proxy.js';
import { eventually } from '../support/eventually.js';
import { Gates } from '../support/gate.js';
import { describePlatforms, storesOn } from '../support/platforms.js';
import { RedisServer } from '../support/redis-server.js';

type Data = Record<string, unknown>;
const ADA = { username: 'ada', password: 'lovelace' };
const GRACE = { username: 'grace', password: 'hopper' };

/** Handlers that wait at a gate, with their session loaded. */
@Controller('slow')
class SlowController {
  constructor(
    @Inject(Gates) private readonly gates: Gates,
    private readonly sessionAuth: SessionAuthService,
  ) {}

  @Get('read/:gate')
  async read(@Param('gate') gate: string): Promise<Data> {
    await this.gates.named(gate).pass();
    return {};
  }

  @Post('write/:gate')
  @HttpCode(200)
  async write(@Param('gate') gate: string, @CurrentSession() session: Data): Promise<Data> {
    await this.gates.named(gate).pass();
    session['late'] = true;
    return {};
  }

  @Post('logout/:gate')
  @HttpCode(200)
  async logout(@Param('gate') gate: string, @Req() request: Request): Promise<Data> {
    await this.gates.named(gate).pass();
    await this.sessionAuth.logOut(request);
    return {};
  }

  /** Saves, then logs somebody else in by hand, keeping the cart. */
  @Post('save-and-login/:gate')
  @HttpCode(200)
  async saveAndLogIn(@Param('gate') gate: string, @Req() request: Request): Promise<Data> {
    await this.gates.named(gate).pass();
    request.session.cookie.maxAge = 60_000;
    await new Promise<void>((resolve, reject) => {
      request.session.save((error) => (error ? reject(error as Error) : resolve()));
    });
    await this.sessionAuth.logIn(request, { id: '2', name: 'Grace' } satisfies User, { keep: ['cart'] });
    return {};
  }

  @Post('write-and-regenerate/:gate')
  async writeAndRegenerate(@Param('gate') gate: string, @Req() request: Request, @Res() response: Response) {
    await this.gates.named(gate).pass();
    const before = request.sessionID;
    Object.assign(request.session, { late: true });
    request.session.save(() => {
      request.session.regenerate(() => {
        const kept = Object.keys(request.session).filter((key) => key !== 'cookie');
        Object.assign(request.session, { fresh: true });
        response.json({ newId: request.sessionID !== before, kept });
      });
    });
  }
}

describePlatforms((platform) => {
  describe.each(storesOn(platform))('two tabs of one browser, with sessions in %s', (where) => {
    let redis: RedisServer | undefined;
    let application: TestApplication;
    let gates: Gates;
    let names = 0;

    beforeAll(async () => {
      redis = where === 'redis' ? await RedisServer.start() : undefined;
      application = await TestApplication.start({
        options: { redis: { url: redis?.url }, redisTimeout: '5s' }, // A busy machine is no outage.
        controllers: [SlowController],
        providers: [Gates, SnapshotSerializer, LocalStrategy],
      });
      gates = application.app.get(Gates);
    });

    afterAll(async () => {
      await application.close();
      await redis?.stop();
    });

    const login = (browser: Browser, json = ADA) => browser.post('/login', { json });
    const me = async (browser: Browser) => (await browser.get('/me')).json<{ name?: string }>().name;

    /** Holds a slow request of one tab while `meanwhile` happens in the other, then lets it answer. */
    async function during(browser: Browser, method: string, path: string, meanwhile: () => Promise<unknown>) {
      const name = String(++names);
      const response = browser.tab().request(method, `/slow/${path}/${name}`);
      await gates.named(name).reached;
      await meanwhile();
      gates.named(name).open();
      return response;
    }

    const cookieless = ({ status, setCookies }: BrowserResponse): void => {
      expect([status, setCookies]).toEqual([200, []]);
    };

    it.each([
      ['the same user', ADA],
      ['another user', GRACE],
    ])('a late response does not put the old cookie over the login of %s', async (_, user) => {
      const browser = await application.loggedIn();
      application.clock.advance('10m'); // Activity is due to be written down.
      cookieless(
        await during(browser, 'GET', 'read', async () => {
          await login(browser, user);
          application.clock.advance('1s');
        }),
      );

      expect(await me(browser)).toBe(user === ADA ? 'Ada' : 'Grace');
    });

    it('a late response does not put the old cookie over a login from an anonymous session', async () => {
      const browser = application.browser();
      await browser.request('PUT', '/session/color', { json: { value: 'blue' } });
      application.clock.advance('10m');
      cookieless(
        await during(browser, 'GET', 'read', async () => {
          await login(browser);
          application.clock.advance('1s');
        }),
      );

      expect(await me(browser)).toBe('Ada');
    });

    it('a slow request of a session that is live sets no cookie', async () => {
      const browser = await application.loggedIn();
      application.clock.advance('10m');
      const response = await during(browser, 'GET', 'read', () => {
        application.clock.advance('1s');
        return Promise.resolve();
      });

      cookieless(response);
      expect(await me(browser)).toBe('Ada');
    });

    it('a late write to a session that a login has replaced leaves the new cookie alone', async () => {
      const browser = await application.loggedIn();
      cookieless(await during(browser, 'POST', 'write', () => login(browser, GRACE)));

      expect(await me(browser)).toBe('Grace');
      expect((await browser.get('/session')).json()).toEqual({});
    });

    it('a late write to a session that was logged out leaves the cookie, which tells the reason', async () => {
      const browser = await application.loggedIn();
      const response = await during(browser, 'POST', 'write', () => browser.fork().post('/logout'));

      cookieless(response);
      expect((await browser.get('/me')).json()).toMatchObject({ statusCode: 401, reason: 'logged_out' });
    });

    it('a late write to a session that was revoked leaves the cookie of a login in the other tab alone', async () => {
      const browser = await application.loggedIn();
      const response = await during(browser, 'POST', 'write', async () => {
        await application.app.get(SessionRegistry).revokeAll('1');
        await login(browser);
      });

      cookieless(response);
      expect(await me(browser)).toBe('Ada');
    });

    it('a late logout of a session that a login has replaced leaves the new cookie alone', async () => {
      const browser = await application.loggedIn();
      cookieless(await during(browser, 'POST', 'logout', () => login(browser, GRACE)));

      expect(await me(browser)).toBe('Grace');
    });

    it("a login after the session's end does not take over what was another user's", async () => {
      const browser = await application.loggedIn();
      await browser.request('PUT', '/session/cart', { json: { value: ["Ada's"] } });
      await during(browser, 'POST', 'save-and-login', () => browser.fork().post('/logout'));

      expect(await me(browser)).toBe('Grace');
      expect((await browser.get('/session')).json()).toEqual({});
    });

    it('regenerate gives a new session where the old one has ended meanwhile', async () => {
      const browser = await application.loggedIn();
      const response = await during(browser, 'POST', 'write-and-regenerate', () => browser.fork().post('/logout'));

      expect(response.json()).toEqual({ newId: true, kept: [] });
      expect((await browser.get('/session')).json()).toEqual({ fresh: true });
    });

    it('100 parallel writes of different keys are all kept', async () => {
      const browser = await application.loggedIn();
      const keys = Array.from({ length: 100 }, (_, index) => `k${index}`);
      const responses = await Promise.all(
        keys.map((key) => browser.tab().request('PUT', `/session/${key}`, { json: { value: key } })),
      );

      expect(responses.map(({ status }) => status)).toEqual(keys.map(() => 200));
      expect((await browser.get('/session')).json()).toEqual(Object.fromEntries(keys.map((key) => [key, key])));
    });
  });
});

it('a connection to Redis that carries nothing any more, and that nobody closed, is replaced', async () => {
  const redis = await RedisServer.start();
  const proxy = await DelayProxy.start({ port: redis.port });
  const application = await TestApplication.start({
    options: { redis: { url: `redis://127.0.0.1:${proxy.port}` }, redisTimeout: 100 },
  });
  try {
    const browser = await application.loggedIn();
    proxy.forget();

    expect((await browser.get('/me')).status).toBe(503);
    await eventually('the session to be read again', async () => (await browser.get('/me')).status === 200, {
      timeout: 5_000,
    });
  } finally {
    await application.close();
    await proxy.close();
    await redis.stop();
  }
});
