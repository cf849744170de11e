import {
  ConsoleLogger,
  Controller,
  Get,
  HttpCode,
  type INestApplication,
  type ModuleMetadata,
  Post,
  Req,
  type Type,
  UseGuards,
} from '@nestjs/common';
import { APP_GUARD } from '@nestjs/core';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { Test } from '@nestjs/testing';
import session from 'express-session';
import type { inject as Inject } from 'light-my-request';
import request from 'supertest';
import {
  CurrentSession,
  CurrentUser,
  Public,
  RequireFreshLogin,
  SESSION_CLOCK,
  SessionAuthModule,
  type SessionAuthOptions,
  SessionAuthService,
  type SessionContents,
  SessionGuard,
  SessionRegistry,
  type SessionRequest,
  UserSerializer,
} from '../../lib/index.js';
import { actingAs, recordEvents, TestClock } from '../../lib/testing/index.js';
import { SECRET, SnapshotSerializer, type User } from '../support/application.js';
import { createAdapter, describePlatforms, type Platform, requireByNode } from '../support/platforms.js';
import { RedisServer } from '../support/redis-server.js';

const ADA = { id: '1', name: 'Ada' };
const GRACE = { id: '2', name: 'Grace' };
const MINUTE = 60_000;

/** No strategy, and no route to log in by. */
@Controller()
@UseGuards(SessionGuard)
class AccountController {
  constructor(private readonly auth: SessionAuthService) {}

  @Get('me')
  me(@CurrentUser() user: User) {
    return user;
  }

  @Get('vault')
  @RequireFreshLogin('5m', { methods: ['totp'] })
  vault(@CurrentUser('name') name: string) {
    return { name };
  }

  @Get('current')
  current(@Req() request: SessionRequest) {
    return this.auth.current(request);
  }

  @Get('cart')
  cart(@CurrentSession() session: SessionContents) {
    return { cart: session['cart'] };
  }

  @Post('logout')
  @HttpCode(204)
  async logout(@Req() request: SessionRequest) {
    await this.auth.logOut(request);
  }
}

function testingModule(options: Partial<SessionAuthOptions> = {}, more: ModuleMetadata = {}) {
  return Test.createTestingModule({
    imports: [SessionAuthModule.forRoot({ secret: SECRET, ...options })],
    providers: [SnapshotSerializer, ...(more.providers ?? [])],
    controllers: more.controllers ?? [AccountController],
  });
}

/** An application that is ready, and does not listen. */
async function ready(platform: Platform, module: ReturnType<typeof testingModule>, clock = new TestClock()) {
  const compiled = await module.overrideProvider(SESSION_CLOCK).useValue(clock).compile();
  const app = compiled.createNestApplication(createAdapter(platform), { logger: ['fatal'] });
  await app.init();
  if (platform === 'fastify') await (app as NestFastifyApplication).getHttpAdapter().getInstance().ready();
  return app;
}

/** What `app.inject()` loads: inside of Jest it cannot. */
const inject = requireByNode<typeof Inject>('light-my-request');

/** A request as tests send it: by supertest on Express, by `inject()` on Fastify. */
async function send(app: INestApplication, path: string, cookie = '', method: 'GET' | 'POST' = 'GET') {
  if (app.getHttpAdapter().getType() === 'fastify') {
    const { routing } = (app as NestFastifyApplication).getHttpAdapter().getInstance();
    const response = await inject(routing, { method, url: path, headers: { cookie } });
    return { status: response.statusCode, body: response.body && response.json() };
  }
  const server = app.getHttpServer() as Parameters<typeof request>[0];
  const { status, body } = await request(server)[method === 'GET' ? 'get' : 'post'](path).set('Cookie', cookie);
  return { status, body: body as unknown };
}

describePlatforms((platform) => {
  let redis: RedisServer;

  beforeAll(async () => {
    redis = await RedisServer.start();
  });
  afterAll(() => redis.stop());

  const PLACES: [string, () => Partial<SessionAuthOptions>][] = [
    ['memory', () => ({})],
    ['Redis', () => ({ redis: { url: redis.url }, redisTimeout: '5s' })],
    ['a store of express-session', () => ({ store: new session.MemoryStore() })],
  ];

  describe.each(PLACES)('a test that acts as a user, with sessions in %s,', (place, optionsOf) => {
    const clock = new TestClock();
    let app: INestApplication;

    beforeAll(async () => {
      // Neither a Secure cookie nor what is excluded stands in the way.
      const cookie = { name: '__Host-sid', secure: true };
      app = await ready(platform, testingModule({ cookie, exclude: ['/'], ...optionsOf() }), clock);
    });
    afterAll(() => app.close());

    it('passes guards, and a step-up by the method that it names', async () => {
      const cookie = await actingAs(app, ADA, { method: 'totp' });

      expect(cookie).toMatch(/^__Host-sid=[^;\s]+$/);
      expect(await send(app, '/me', cookie)).toEqual({ status: 200, body: ADA });
      expect(await send(app, '/vault', cookie)).toEqual({ status: 200, body: { name: 'Ada' } });
      expect(await send(app, '/vault', await actingAs(app, ADA))).toMatchObject({
        status: 401,
        body: { code: 'fresh_login_required', methods: ['totp'] },
      });
    });

    it('proves who that is when it says so, and is expired where that is too long ago', async () => {
      const as = async (minutes: number) => {
        const at = new Date(clock.now() - minutes * MINUTE);
        const cookie = await actingAs(app, ADA, { method: 'totp', at });
        const { status, body } = await send(app, '/me', cookie);
        return [status, status === 200 ? (await send(app, '/vault', cookie)).status : body];
      };

      expect([await as(4), await as(5), await as(120)]).toEqual([
        [200, 200],
        [200, 401],
        [200, 401],
      ]);
      expect(await as(24 * 60)).toMatchObject([401, { reason: 'expired' }]);
    });

    it('finds its data in the session, and is expired two hours later unless remembered', async () => {
      const cookie = await actingAs(app, ADA, { data: { cart: ['tea'], passport: 'forged' } });
      const remembered = await actingAs(app, ADA, { remember: '30d', method: 'totp' });

      expect(await send(app, '/cart', cookie)).toEqual({ status: 200, body: { cart: ['tea'] } });
      clock.advance('2h');
      expect(await send(app, '/me', cookie)).toMatchObject({ status: 401, body: { reason: 'expired' } });
      expect(await send(app, '/me', remembered)).toMatchObject({ status: 200 });
      expect(await send(app, '/vault', remembered)).toMatchObject({ status: 401 });
    });

    it('has a session like any other: its events, its entry among the sessions, its end', async () => {
      const events = recordEvents(app);
      const before = place.startsWith('a store') ? 0 : await app.get(SessionRegistry).count(GRACE);
      const at = new Date(clock.now() - MINUTE);
      const cookie = await actingAs(app, GRACE, { method: 'totp', at });
      const { body } = await send(app, '/current', cookie);

      expect(body).toMatchObject({ userId: '2', createdAt: at.toJSON(), authenticatedAt: at.toJSON() });
      const { handle } = body as { handle: string };
      if (!place.startsWith('a store')) {
        expect(await app.get(SessionRegistry).count(GRACE)).toBe(before + 1);
        expect(await app.get(SessionRegistry).list(GRACE)).toContainEqual(expect.objectContaining({ handle }));
      }
      expect((await send(app, '/logout', cookie, 'POST')).status).toBe(204);
      expect(await send(app, '/me', cookie)).toMatchObject({ status: 401 });

      expect(events.ofType('logged-in')).toEqual([
        { type: 'logged-in', userId: '2', handle, method: 'totp', device: expect.anything(), at: expect.any(Date) },
      ]);
      expect(Array.from(events, ({ type }) => type)).toEqual(['logged-in', 'logged-out']);
      events.stop();
      await actingAs(app, GRACE);
      expect(events.all).toHaveLength(2);
    });
  });

  it('a test that acts as a user counts for the limit, and has the marker of the browser', async () => {
    const options: Partial<SessionAuthOptions> = { maxSessions: { limit: 1, overflow: 'reject' }, knownDevices: true };
    const app = await ready(platform, testingModule({ ...options, redis: { url: redis.url }, redisTimeout: '5s' }));
    const user = { id: 'of one session', name: 'Joan' };
    const cookie = await actingAs(app, user);

    expect(cookie).toMatch(/^sid=[^;\s]+; device=[^;\s]+$/);
    expect(await send(app, '/me', cookie)).toEqual({ status: 200, body: user });
    await expect(actingAs(app, user)).rejects.toMatchObject({ code: 'too_many_sessions' });
    await app.close();
  });

  describe('SessionGuard, where it guards every route by useExisting,', () => {
    @Controller()
    class GuardedController {
      @Get('name')
      name(@CurrentUser('name') name = 'nobody') {
        return { name };
      }

      @Get('open')
      @Public()
      open() {
        return {};
      }
    }

    const guarded = () =>
      testingModule(
        {},
        {
          providers: [SessionGuard, { provide: APP_GUARD, useExisting: SessionGuard }],
          controllers: [GuardedController],
        },
      );

    it('asks for a login', async () => {
      const app = await ready(platform, guarded());

      expect([await send(app, '/name'), await send(app, '/open')]).toMatchObject([{ status: 401 }, { status: 200 }]);
      expect(await send(app, '/name', await actingAs(app, ADA))).toEqual({ status: 200, body: { name: 'Ada' } });
      await app.close();
    });

    it('lets everybody through where a test overrides it', async () => {
      const app = await ready(
        platform,
        guarded()
          .overrideProvider(SessionGuard)
          .useValue({ canActivate: () => true }),
      );

      expect(await send(app, '/name')).toEqual({ status: 200, body: { name: 'nobody' } });
      expect(await send(app, '/name', await actingAs(app, ADA))).toEqual({ status: 200, body: { name: 'Ada' } });
      await app.close();
    });
  });

  it('SessionGuard on a controller lets everybody through where a test overrides it by overrideGuard()', async () => {
    @Controller('name')
    @UseGuards(SessionGuard)
    class NameController {
      @Get()
      name(@CurrentUser('name') name = 'nobody') {
        return { name };
      }
    }
    const module = testingModule({}, { controllers: [NameController] });
    const app = await ready(platform, module.overrideGuard(SessionGuard).useValue({ canActivate: () => true }));

    expect(await send(app, '/name')).toEqual({ status: 200, body: { name: 'nobody' } });
    await app.close();
  });
});

describe('actingAs() rejects', () => {
  class Admin {
    readonly id = '1';
  }
  class AdminSerializer extends SnapshotSerializer {
    override supports(user: unknown) {
      return user instanceof Admin;
    }
  }
  const serializers: Type<UserSerializer>[] = [AdminSerializer];

  it('before the application is initialised', async () => {
    const moduleRef = await testingModule().compile();

    await expect(actingAs(moduleRef, ADA)).rejects.toMatchObject({
      code: 'not_initialised',
      message: expect.stringContaining('await app.init()'),
    });
    await moduleRef.init(); // Not even a platform is needed.
    expect(await actingAs(moduleRef, ADA)).toMatch(/^sid=/);
    await moduleRef.close();
  });

  it('a user whom no serializer takes, data that JSON cannot carry, and a time that has not come', async () => {
    const moduleRef = await testingModule({ serializers }).compile();
    await moduleRef.init();

    await expect(actingAs(moduleRef, ADA)).rejects.toMatchObject({
      code: 'user_not_serializable',
      message: expect.stringContaining('No UserSerializer supports this user'),
    });
    const admin = new Admin();
    await expect(actingAs(moduleRef, admin, { data: { size: 1n } })).rejects.toMatchObject({
      code: 'session_not_serializable',
    });
    await expect(actingAs(moduleRef, admin, { at: new Date(Date.now() + MINUTE) })).rejects.toThrow(/"at".*later/);
    await expect(actingAs(moduleRef, admin, { at: new Date('soon') })).rejects.toThrow(/"at" is no date/);
    await moduleRef.close();
  });

  it('while the store is away', async () => {
    const redis = await RedisServer.start();
    const module = testingModule({ redis: { url: redis.url }, redisTimeout: 200 });
    const moduleRef = await module.setLogger(new ConsoleLogger({ logLevels: ['fatal'] })).compile();
    await moduleRef.init();
    await redis.stop();

    await expect(actingAs(moduleRef, ADA)).rejects.toMatchObject({ code: 'session_store_unavailable' });
    await moduleRef.close();
  });
});
