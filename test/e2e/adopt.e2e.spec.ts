import { jest } from '@jest/globals';
import { Controller, Get, Injectable, Post, UseGuards } from '@nestjs/common';
import {
  CurrentUser,
  RequireFreshLogin,
  type SessionAuthOptions,
  SessionGuard,
  SessionRegistry,
  type SessionRequest,
  UserSerializer,
} from '../../lib/index.js';
import { OLD_SESSIONS, type OldSessions } from '../../lib/store/old-sessions.js';
import { LocalStrategy, TestApplication, type TestApplicationOptions } from '../support/application.js';
import { Browser } from '../support/browser.js';
import { movedTo, OLD_SECRET, oldIdOf, OldStack } from '../support/old-stack.js';
import { describePlatforms, placesOn } from '../support/platforms.js';
import { type DeploymentKind, RedisDeployment } from '../support/redis-deployment.js';
import { eventually } from '../support/eventually.js';
import { GuardedGateway, TRANSPORTS } from '../support/gateways.js';
import { TestSocket } from '../support/web-socket.js';
import { Gate } from '../support/gate.js';
import { TestClock } from '../support/test-clock.js';

interface User {
  id: string;
}

/** How users are looked up: as usual, or as a test has it. */
let lookUp: (id: string, request: SessionRequest) => Promise<User | null>;

/** The new application restores the payload of the old one. */
@Injectable()
class IdSerializer extends UserSerializer<User, string> {
  serializeUser({ id }: User) {
    return id;
  }
  deserializeUser(id: string, request: SessionRequest) {
    return lookUp(id, request);
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

/** The steps of a move: before it is carried out, and after. */
const STEPS = (['find', 'findSuccessor', 'open', 'noteSuccessor', 'remove'] as const).flatMap(
  (step): [typeof step, boolean][] => [
    [step, false],
    [step, true],
  ],
);

/** All applications have the same. */
const clock = new TestClock(new Date());
const adopt = { secret: OLD_SECRET };

describePlatforms((platform) => {
  const places = placesOn<DeploymentKind>(platform, ['redis', 'cluster']);
  describe.each(places)('the sessions of a hand-wired stack in %s', (where) => {
    let redis: RedisDeployment;
    let old: OldStack;
    let applications: [TestApplication, TestApplication];

    const start = (options: Partial<SessionAuthOptions> = {}, more: TestApplicationOptions = {}) =>
      TestApplication.start({
        clock,
        options: { redis: redis.options, adopt, redisTimeout: '10s', ...options },
        providers: [IdSerializer, LocalStrategy, GuardedGateway],
        configure: TRANSPORTS[0]!.configure,
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

    it("are nobody's when the cookie is forged, unknown, expired or of an unreadable session", async () => {
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

    it.each(['logout', 'revokeAll'])('are not opened again after %s', async (end) => {
      const browser = await old.loggedIn(end);
      const [key] = await oldKeys();
      const stored = (await redis.client.get(key!))!;
      const cookie = `connect.sid=${browser.cookies.get('connect.sid')}`;
      const moved = movedTo(applications[0].url, browser);
      const thief = new Browser(applications[1].url);
      expect((await moved.get('/me')).status).toBe(200);
      const { handle } = (await registry().list(end))[0]!;

      if (end === 'logout') await moved.post('/logout');
      else await registry().revokeAll(end);
      // An instance of the old stack that knew the session still has written it again.
      await redis.client.set(key!, stored);

      const late = await thief.get('/me', { headers: { cookie } });
      expect([late.status, late.json<{ reason?: string }>().reason]).toEqual([
        401,
        end === 'logout' ? 'logged_out' : 'revoked',
      ]);
      expect((await moved.get('/me')).status).toBe(401);
      expect(await registry().count(end)).toBe(0);
      expect(await oldKeys()).toEqual([]);

      // A day later, nothing remains of the session.
      await redis.client.del(`sess:{${handle.slice(0, 16)}}${handle.slice(16)}`);
      await redis.client.set(key!, stored);
      expect((await thief.get('/me', { headers: { cookie } })).json()).toMatchObject({ reason: 'expired' });
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

    it('are there while their user is looked up, as sessions of ours are', async () => {
      const seen: unknown[] = [];
      lookUp = (id, { session }) => {
        const { cart, passport } = session as unknown as Record<string, unknown>;
        seen.push(cart, passport);
        return Promise.resolve({ id });
      };
      const moved = movedTo(applications[0].url, await old.loggedIn('looked-up'));

      expect((await moved.get('/me')).status).toBe(200);
      expect(seen).toEqual([['looked-up'], { user: 'looked-up' }]);
    });

    it.each(['1', 'somebody else'])('of %s end with a login by the same request, which stays', async (name) => {
      const browser = await old.loggedIn(name);
      const moved = movedTo(applications[0].url, browser);

      expect((await moved.post('/login', { json: { username: 'ada', password: 'lovelace' } })).status).toBe(200);

      expect((await moved.get('/me')).json()).toEqual({ id: '1' });
      expect(await registry().list('1')).toHaveLength(1);
      expect(await registry().count('somebody else')).toBe(0);
      expect(eventsOf('logged-out').map(({ userId }) => userId)).toEqual([name]);
      expect((await moved.post('/logout')).status).toBe(204);
      expect(await oldKeys()).toEqual([]);
    });

    it('end with a logout here, though the user has logged in there once more', async () => {
      const browser = await old.loggedIn('twice');
      const moved = movedTo(applications[0].url, browser);
      expect((await moved.get('/me')).status).toBe(200);
      const again = (await old.loggedIn('twice')).cookies.get('connect.sid')!;
      browser.cookies.set('connect.sid', again);

      expect((await moved.post('/logout')).status).toBe(204);

      expect(browser.cookies.all()).toEqual([]);
      const replay = await new Browser(applications[1].url).get('/me', { headers: { cookie: `connect.sid=${again}` } });
      expect(replay.status).toBe(401);
      expect(await oldKeys()).toEqual([]);
    });

    it.each(['a logout', 'a login of somebody else'])('end with %s while nobody can tell their user', async (what) => {
      const browser = await old.loggedIn('unknown');
      const cookie = `connect.sid=${browser.cookies.get('connect.sid')}`;
      const [key] = await oldKeys();
      const stored = await redis.client.get(key!);
      const moved = movedTo(applications[0].url, browser);
      lookUp = (id) => (id === 'unknown' ? Promise.reject(new Error('The database is away')) : Promise.resolve({ id }));
      expect((await moved.get('/me')).status).toBe(503);

      const left = await (what === 'a logout'
        ? moved.post('/logout')
        : moved.post('/login', { json: { username: 'grace', password: 'hopper' } }));

      expect(left.status).toBe(what === 'a logout' ? 204 : 200);
      expect(browser.cookies.all().map(({ name }) => name)).toEqual(what === 'a logout' ? [] : ['sid']);
      expect(await oldKeys()).toEqual([]);
      // Nor does it come back when an instance of the old stack writes it again.
      lookUp = (id) => Promise.resolve({ id });
      await redis.client.set(key!, stored!);
      expect((await new Browser(applications[1].url).get('/me', { headers: { cookie } })).status).toBe(401);
      expect(await oldKeys()).toEqual([]);
      expect(await registry().count('unknown')).toBe(0);
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

    it('are carried over by the handshake of a WebSocket, but not from another site', async () => {
      const browser = await old.loggedIn('socket');
      const cookie = `connect.sid=${browser.cookies.get('connect.sid')}`;
      const elsewhere = await TestSocket.open(applications[0], cookie, '/', { origin: 'https://evil.example' });
      expect(elsewhere.error?.message).toContain('403');
      expect(await oldKeys()).toHaveLength(1);

      const socket = await TestSocket.open(applications[0], cookie);

      expect(await socket.ask('who')).toEqual({ id: 'socket' });
      expect(await oldKeys()).toEqual([]);
      expect((await movedTo(applications[1].url, browser).get('/me')).status).toBe(200);
      expect(browser.cookies.all().map(({ name }) => name)).toEqual(['sid']);
      expect(await registry().list('socket')).toHaveLength(1);
      await registry().revokeAll('socket');
      await eventually('the socket to be closed', () => socket.closed);
      expect(socket.closed).toEqual({ code: 4401, reason: 'revoked' });
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
      const before = await redis.commandStats();

      expect((await moved.get('/me')).status).toBe(200);

      const after = await redis.commandStats();
      const asked = Object.keys(after).filter((name) => after[name] !== before[name]);
      expect(asked.filter((name) => /^(get|set|del|eval|expire)/i.test(name))).toEqual(['get']);
    });

    // The steps are the same wherever Redis is, and whatever the application runs on.
    if (platform !== 'express' || where !== 'redis') return;

    it('of a cookie with attributes of its own are carried over, and the cookie is taken back with these', async () => {
      const cookie = { path: '/', sameSite: 'strict', maxAge: 3_600_000, partitioned: true, secure: 'auto' } as const;
      const secret = ['the secret of today', 'the secret of before'];
      const ours = { cookie: 'app.sid', prefix: 'old:', secret };
      const stacks = [
        await OldStack.start(redis.client, { name: 'app.sid', secret: secret[1]!, cookie }, 'old:'),
        await start({ adopt: ours }),
      ] as const;
      const browser = await stacks[0].loggedIn('attributes');

      const response = await movedTo(stacks[1].url, browser).get('/me');

      expect(response.json()).toEqual({ id: 'attributes' });
      expect(response.setCookies[1]).toBe(
        'app.sid=; Path=/; Expires=Thu, 01 Jan 1970 00:00:00 GMT; HttpOnly; Partitioned; SameSite=Strict',
      );
      await Promise.all(stacks.map((one) => one.close()));
    });

    it('are known to have moved for a day at least, since an old instance may write one again for as long', async () => {
      await redis.flush(); // What remains of other sessions lives a day, too.
      const brief = await start({ lifetime: { idle: '10m', absolute: '1h' } });
      const browser = await old.loggedIn('brief');
      const [key] = await oldKeys();
      const session = JSON.parse((await redis.client.get(key!))!) as { cookie: object };
      session.cookie = { ...session.cookie, originalMaxAge: null, expires: undefined };
      await redis.client.set(key!, JSON.stringify(session), { PX: 60_000 });

      expect((await movedTo(brief.url, browser).get('/me')).status).toBe(200);

      const ttls = await Promise.all((await redis.keys()).map((one) => redis.client.pTTL(one)));
      expect(Math.max(...ttls)).toBeGreaterThan(23 * 3_600_000);
      await redis.flush();
      await brief.close();
    });

    it('count for the limit, but carrying one over ends no other and is not refused', async () => {
      const limited = await start({ maxSessions: { limit: 1, overflow: 'reject' } });
      const browsers = [await old.loggedIn('limited'), await old.loggedIn('limited')];

      for (const browser of [...browsers, ...browsers]) {
        expect((await movedTo(limited.url, browser).get('/me')).status).toBe(200);
      }
      expect(await registry().count('limited')).toBe(2);
      await limited.close();
    });

    it('keep what they know of the user, since serializeUser() may be written for those who log in alone', async () => {
      type Row = { row: string };
      class RowSerializer extends UserSerializer<Row | User, string> {
        serializeUser({ row }: Row) {
          return row;
        }
        deserializeUser(id: string) {
          return { id };
        }
        override userId(user: Row | User) {
          return 'row' in user ? user.row : user.id;
        }
      }
      const rows = await start({}, { providers: [RowSerializer, LocalStrategy], configure: () => undefined });
      const browser = movedTo(rows.url, await old.loggedIn('row-1'));

      expect((await browser.get('/me')).json()).toEqual({ id: 'row-1' });
      expect((await browser.get('/me')).json()).toEqual({ id: 'row-1' });
      expect(rows.events.map(({ type }) => type)).toEqual(['adopted', 'rotated']);
      await rows.close();
    });

    it("are nobody's where several serializers restore a user, and otherwise of the one that does", async () => {
      class OfCustomers extends IdSerializer {
        override readonly kind = 'customer';
        override supports({ id }: User) {
          return !id.startsWith('admin');
        }
        override async deserializeUser(id: string) {
          return id.startsWith('admin') ? null : Promise.resolve({ id });
        }
      }
      class OfAdmins extends IdSerializer {
        override readonly kind = 'admin';
        override supports({ id }: User) {
          return id.startsWith('admin');
        }
        override async deserializeUser(id: string) {
          return Promise.resolve(id === 'customer-1' ? null : { id });
        }
      }
      const providers = [OfCustomers, OfAdmins, LocalStrategy];
      const both = await start({}, { providers, configure: () => undefined });
      const me = async (name: string) => movedTo(both.url, await old.loggedIn(name)).get('/me');

      expect((await me('customer-1')).status).toBe(200);
      expect((await me('admin-1')).status).toBe(200);
      expect((await me('customer-2')).status).toBe(503);

      expect(both.events.map(({ userId }) => userId)).toEqual(['customer:customer-1', 'admin:admin-1']);
      await redis.flush();
      await both.close();
    });
    describe.each(STEPS)('whose move has come to %s', (step, isDone) => {
      const sessionsOf = (app: TestApplication) => app.app.get<OldSessions>(OLD_SESSIONS);

      /** What is done at this step of the first application's next move. */
      const at = (act: () => Promise<unknown>) => {
        const sessions = sessionsOf(applications[0]);
        const real = sessions[step].bind(sessions) as (...args: unknown[]) => Promise<unknown>;
        jest.spyOn(sessions, step).mockImplementationOnce((async (...args: unknown[]) => {
          if (!isDone) await act();
          const result = await real(...args);
          if (isDone) await act();
          return result;
        }) as never);
      };

      it('go on after a failure there', async () => {
        const name = `failed-${step}-${isDone}`;
        const browser = await old.loggedIn(name);
        at(() => Promise.reject(new Error('The connection is lost')));

        const failed = await movedTo(applications[0].url, browser).get('/me');
        expect([failed.status, failed.setCookies]).toEqual([503, []]);

        expect((await movedTo(applications[1].url, browser).get('/me')).json()).toEqual({ id: name });
        expect(browser.cookies.all().map((one) => one.name)).toEqual(['sid']);
        expect(await registry().list(name)).toHaveLength(1);
        // Nobody reports a session of whose creation nobody has heard. It is there all the same.
        expect(eventsOf('adopted')).toHaveLength(step === 'open' && isDone ? 0 : 1);
        expect(await oldKeys()).toEqual([]);
      });

      /** A request of a browser of the old stack that has come to this step, and goes on when the gate opens. */
      const heldAtStep = async (name: string) => {
        const browser = await old.loggedIn(name);
        const cookie = `connect.sid=${browser.cookies.get('connect.sid')}`;
        const gate = new Gate();
        at(() => gate.pass());
        const waiting = new Browser(applications[0].url).get('/me', { headers: { cookie } });
        await gate.reached;
        return { browser, cookie, gate, waiting };
      };

      it("are nobody's where the browser logs out meanwhile, by a process that cannot tell their user", async () => {
        const name = `left-${step}-${isDone}`;
        const { browser, cookie, gate, waiting } = await heldAtStep(name);

        lookUp = () => Promise.reject(new Error('The database is away'));
        expect((await movedTo(applications[1].url, browser).post('/logout')).status).toBe(204);
        lookUp = (id) => Promise.resolve({ id });
        gate.open();

        expect((await waiting).status).toBe(401);
        const replay = await new Browser(applications[1].url).get('/me', { headers: { cookie } });
        expect(replay.status).toBe(401);
        expect(await registry().list(name)).toEqual([]);
        expect(await oldKeys()).toEqual([]);
      });

      it.each(['goes on', 'logs out', 'is revoked'])(
        'are one session, which %s by another process meanwhile',
        async (end) => {
          const name = `raced-${step}-${isDone}-${end}`;
          const { browser, gate, waiting } = await heldAtStep(name);
          const moved = movedTo(applications[1].url, browser);
          expect((await moved.get('/me')).status).toBe(200);
          if (end === 'logs out') await moved.post('/logout');
          if (end === 'is revoked') await registry().revokeAll(name);
          gate.open();

          expect((await waiting).status).toBe(end === 'goes on' ? 200 : 401);
          expect((await moved.get('/me')).status).toBe(end === 'goes on' ? 200 : 401);
          expect(await registry().list(name)).toHaveLength(end === 'goes on' ? 1 : 0);
          expect(eventsOf('adopted')).toHaveLength(1);
          expect(await oldKeys()).toEqual([]);
        },
      );
    });
  });
});
