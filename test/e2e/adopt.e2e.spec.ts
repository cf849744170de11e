import { Controller, Get, Injectable, Post, UseGuards } from '@nestjs/common';
import {
  CurrentUser,
  RequireFreshLogin,
  type SessionAuthOptions,
  SessionGuard,
  SessionRegistry,
  UserSerializer,
} from '../../lib/index.js';
import { LocalStrategy, TestApplication, type TestApplicationOptions } from '../support/application.js';
import { Browser } from '../support/browser.js';
import { movedTo, OLD_SECRET, oldIdOf, OldStack } from '../support/old-stack.js';
import { describePlatforms, placesOn } from '../support/platforms.js';
import { type DeploymentKind, RedisDeployment } from '../support/redis-deployment.js';
import { TestClock } from '../support/test-clock.js';

interface User {
  id: string;
}

/** How users are looked up: as usual, or as a test has it. */
let lookUp: (id: string) => Promise<User | null>;

/** The new application restores the payload of the old one. */
@Injectable()
class IdSerializer extends UserSerializer<User, string> {
  serializeUser({ id }: User) {
    return id;
  }
  deserializeUser(id: string) {
    return lookUp(id);
  }
}

@Controller()
class MovedController {
  @Get('fresh')
  @UseGuards(SessionGuard)
  @RequireFreshLogin('3650d')
  fresh() {
    return 'fresh';
  }

  @Post('act')
  @UseGuards(SessionGuard)
  act(@CurrentUser() user: User) {
    return user;
  }
}

/** All applications have the same. */
const clock = new TestClock(new Date());
const adopt = { secret: OLD_SECRET };

describePlatforms((platform) => {
  describe.each(placesOn<DeploymentKind>(platform, ['redis', 'cluster']))('the sessions of a hand-wired stack in %s', (where) => {
    let redis: RedisDeployment;
    let old: OldStack;
    let applications: [TestApplication, TestApplication];

    const start = (options: Partial<SessionAuthOptions> = {}, more: TestApplicationOptions = {}) =>
      TestApplication.start({
        clock,
        options: { redis: redis.options, adopt, ...options },
        providers: [IdSerializer, LocalStrategy],
        controllers: [MovedController],
        ...more,
      });

    beforeAll(async () => {
      redis = await RedisDeployment.start(where);
      old = await OldStack.start(redis.client);
      applications = [await start(), await start()];
    });
    beforeEach(() => {
      lookUp = (id) => Promise.resolve({ id });
      for (const { events } of applications) events.length = 0;
    });
    afterAll(async () => {
      await Promise.all([...applications, old].map((one) => one.close()));
      await redis.stop();
    });

    const registry = () => applications[0].app.get(SessionRegistry);
    const eventsOf = (type: string) => applications.flatMap(({ events }) => events.filter((one) => one.type === type));
    const oldKeys = async () => (await redis.keys()).filter((key) => !key.includes('{'));

    it('go on: twenty parallel requests to two processes succeed and make one session', async () => {
      const names = Array.from({ length: 10 }, (_, i) => `parallel-${i}`);
      for (const name of names) {
        const browser = await old.loggedIn(name);
        const cookie = `connect.sid=${browser.cookies.get('connect.sid')}`;
        const tabs = applications.map(({ url }) => movedTo(url, browser));

        const responses = await Promise.all(
          Array.from({ length: 20 }, (_, i) => tabs[i % 2]!.get('/me', { headers: { cookie } })),
        );

        expect(responses.map(({ status }) => status)).toEqual(Array.from({ length: 20 }, () => 200));
        expect(new Set(responses.map(({ text }) => text))).toEqual(new Set([JSON.stringify({ id: name })]));
        expect(await registry().list(name)).toHaveLength(1);
        expect(browser.cookies.all().map((one) => one.name)).toEqual(['sid']);
        expect((await tabs[1]!.get('/me')).json()).toEqual({ id: name });
        expect((await tabs[0]!.get('/session')).json()).toEqual({ cart: [name] });
        expect(await registry().list(name)).toHaveLength(1);
      }
      expect(eventsOf('adopted').map(({ userId }) => userId)).toEqual(expect.arrayContaining(names));
      expect(eventsOf('adopted')).toHaveLength(names.length);
      expect([...eventsOf('logged-in'), ...eventsOf('reuse-detected')]).toEqual([]);
      expect(await oldKeys()).toEqual([]);
    });

    it('go on without a user, with their data', async () => {
      const browser = old.browser();
      await browser.request('PUT', '/session/cart', { json: { value: [1, 2] } });
      const moved = movedTo(applications[0].url, browser);

      expect((await moved.get('/session')).json()).toEqual({ cart: [1, 2] });
      expect(browser.cookies.all().map(({ name }) => name)).toEqual(['sid']);
      expect((await moved.get('/session')).json()).toEqual({ cart: [1, 2] });
      expect(await oldKeys()).toEqual([]);
    });

    it('are nobody\'s when the cookie is forged, unknown, expired or of an unreadable session', async () => {
      const browser = await old.loggedIn('forged');
      const id = oldIdOf(browser);
      const value = browser.cookies.get('connect.sid')!;
      const forged = [`s%3A${id}.${'a'.repeat(43)}`, `s%3A${id}`, id, `${value}x`, 's%3A', ''];
      const anonymous = new Browser(applications[0].url);
      for (const cookie of forged) {
        expect((await anonymous.get('/me', { headers: { cookie: `connect.sid=${cookie}` } })).status).toBe(401);
      }
      const [key] = await oldKeys();
      const stored = (await redis.client.get(key!))!;
      const expired = { ...JSON.parse(stored), cookie: { originalMaxAge: 1, expires: '2020-01-01T00:00:00.000Z' } };
      const { cookie: _, ...withoutCookie } = JSON.parse(stored) as { cookie: unknown };
      for (const text of ['', '{', 'null', '[]', '"a"', JSON.stringify(expired), JSON.stringify(withoutCookie)]) {
        await redis.client.set(key!, text);
        expect((await movedTo(applications[0].url, browser).get('/me')).status).toBe(401);
      }
      await redis.client.del(key!);
      await redis.client.sAdd(key!, 'of another type');
      expect((await movedTo(applications[0].url, browser).get('/me')).status).toBe(401);
      await redis.client.del(key!);
      expect((await movedTo(applications[0].url, browser).get('/me')).status).toBe(401);
      expect(await registry().count('forged')).toBe(0);
      expect(browser.cookies.get('connect.sid')).toBe(value);
    });

    it('still open the new session for who has lost the response, and for late requests', async () => {
      const browser = await old.loggedIn('late');
      const cookie = `connect.sid=${browser.cookies.get('connect.sid')}`;
      const lost = new Browser(applications[0].url);
      expect((await lost.get('/me', { headers: { cookie } })).status).toBe(200);

      const moved = movedTo(applications[1].url, browser);
      expect((await moved.get('/me')).status).toBe(200);
      expect(browser.cookies.all().map(({ name }) => name)).toEqual(['sid']);
      expect((await moved.get('/me')).status).toBe(200);
      // The new cookie has been shown. For as long as after a rotation, requests may be under way.
      const late = await lost.get('/me', { headers: { cookie } });
      expect([late.status, late.setCookies]).toEqual([200, []]);

      clock.advance(30_000);
      expect((await lost.get('/me', { headers: { cookie } })).status).toBe(401);
      expect((await moved.get('/me')).status).toBe(200);
      expect(await registry().list('late')).toHaveLength(1);
    });

    it.each(['logout', 'revokeAll', 'an end meanwhile'])('are not opened again after %s', async (end) => {
      const browser = await old.loggedIn(end);
      const [key] = await oldKeys();
      const stored = (await redis.client.get(key!))!;
      const cookie = `connect.sid=${browser.cookies.get('connect.sid')}`;
      const moved = movedTo(applications[0].url, browser);
      const thief = new Browser(applications[1].url);
      expect((await moved.get('/me')).status).toBe(200);

      if (end === 'logout') await moved.post('/logout');
      else await registry().revokeAll(end);
      // An instance of the old stack that knew the session still has written it again.
      if (end !== 'an end meanwhile') await redis.client.set(key!, stored);

      const late = await thief.get('/me', { headers: { cookie } });
      expect([late.status, late.json<{ reason?: string }>().reason]).toEqual([401, end === 'logout' ? 'logged_out' : 'revoked']);
      expect((await moved.get('/me')).status).toBe(401);
      expect(await registry().count(end)).toBe(0);
      expect(await oldKeys()).toEqual([]);
    });

    it('are deleted where there is no user any more, and kept where nobody can tell', async () => {
      const browser = await old.loggedIn('gone');
      const moved = movedTo(applications[0].url, browser);
      lookUp = () => Promise.reject(new Error('The database is away'));
      expect((await moved.get('/me')).status).toBe(503);
      expect((await moved.get('/public')).status).toBe(200);
      expect(await oldKeys()).toHaveLength(1);

      lookUp = () => Promise.resolve(null);
      expect((await moved.get('/me')).status).toBe(401);
      expect(await oldKeys()).toEqual([]);
    });

    it('are no fresh login', async () => {
      const moved = movedTo(applications[0].url, await old.loggedIn('fresh'));

      expect((await moved.get('/fresh')).json()).toMatchObject({ code: 'fresh_login_required' });
      expect((await moved.get('/current')).json()).toMatchObject({ authenticatedAt: '1970-01-01T00:00:00.000Z' });
    });

    it('are not opened by a request from another site', async () => {
      const browser = await old.loggedIn('victim');
      const moved = movedTo(applications[0].url, browser);

      const refused = await moved.post('/act', { headers: { origin: 'https://evil.example' } });

      expect(refused.json()).toMatchObject({ statusCode: 403, code: 'cross_site_request' });
      expect(await oldKeys()).toHaveLength(1);
      expect((await moved.post('/act')).status).toBe(201);
    });

    it('take the place of an anonymous session of ours, where somebody is logged in on them', async () => {
      const browser = await old.loggedIn('both');
      const own = applications[0].browser();
      await own.request('PUT', '/session/cart', { json: { value: 'ours' } });
      browser.cookies.set('sid', own.cookies.get('sid')!);
      const moved = movedTo(applications[0].url, browser);

      expect((await moved.get('/me')).json()).toEqual({ id: 'both' });
      expect((await moved.get('/session')).json()).toEqual({ cart: ['both'] });
      expect((await own.get('/session')).json()).toEqual({});
    });

    it('cost nothing where a user of ours is shown', async () => {
      const browser = await old.loggedIn('both-users');
      const cookie = browser.cookies.get('connect.sid')!;
      const moved = movedTo(applications[0].url, browser);
      await moved.get('/me');
      await moved.get('/me');
      browser.cookies.set('connect.sid', cookie);
      await old.loggedIn('another');
      const before = await redis.commandStats();

      expect((await moved.get('/me')).status).toBe(200);

      const after = await redis.commandStats();
      const asked = Object.keys(after).filter((name) => after[name] !== before[name]);
      expect(asked.filter((name) => /^(get|set|del|eval|expire)/i.test(name))).toEqual(['get']);
      await movedTo(applications[0].url, new Browser(old.url)).get('/me');
    });
  });
});
