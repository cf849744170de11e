import {
  Body,
  Controller,
  Get,
  HttpCode,
  Injectable,
  type MiddlewareConsumer,
  Module,
  type NestModule,
  ParseIntPipe,
  type PipeTransform,
  Post,
  Req,
  Scope,
  type Type,
  UseGuards,
} from '@nestjs/common';
import { APP_GUARD, REQUEST } from '@nestjs/core';
import { type Client, createClient } from '@libsql/client';
import { type SessionData, type Store } from 'express-session';
import {
  CurrentSession,
  CurrentUser,
  type Device,
  LoginGuard,
  type LogInOptions,
  Public,
  SESSION_STORE,
  SessionAuthService,
  SessionGuard,
  type SessionRequest,
  UserSerializer,
} from '../../lib/index.js';
import {
  LocalStrategy,
  SnapshotSerializer,
  TestApplication,
  type TestApplicationOptions,
  type User,
} from '../support/application.js';
import { LogRecorder } from '../support/log-recorder.js';
import type { Browser } from '../support/browser.js';
import { describePlatforms } from '../support/platforms.js';
import { RedisServer } from '../support/redis-server.js';

const closers: (() => unknown)[] = [];

afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

async function started(options?: TestApplicationOptions): Promise<TestApplication> {
  const application = await TestApplication.start(options);
  closers.push(() => application.close());
  return application;
}

/** What `SessionAuthService` does, by HTTP. */
@Controller('service')
class ServiceController {
  constructor(private readonly sessionAuth: SessionAuthService) {}

  @Post('log-in')
  @HttpCode(200)
  async logIn(@Req() request: SessionRequest, @Body() { user, ...options }: LogInOptions & { user: unknown }) {
    await this.sessionAuth.logIn(request, user, options);
    return { user: request.user, current: this.sessionAuth.current(request) };
  }

  @Post('log-out')
  @HttpCode(200)
  async logOut(@Req() request: SessionRequest) {
    await this.sessionAuth.logOut(request);
    return { user: request.user, session: Object.keys(request.session!) };
  }

  @Get('user')
  user(@CurrentUser() user: unknown) {
    return { user: user ?? null };
  }

  @Get('current')
  current(@Req() request: SessionRequest) {
    return this.sessionAuth.current(request);
  }
}

function logIn(browser: Browser, user: unknown, options: LogInOptions = {}) {
  return browser.post('/service/log-in', { json: { user, ...options } });
}

/** All that the store holds. */
async function storedIn({ app }: TestApplication): Promise<(SessionData & { passport?: { user: unknown } })[]> {
  const store = app.get<Required<Store> & { all(): Promise<SessionData[]> }>(SESSION_STORE);
  return store.all();
}

const ADA = { id: '1', name: 'Ada' };
const GRACE = { id: '2', name: 'Grace' };

class TakesAll extends UserSerializer<User, User> {
  serializeUser(user: User) {
    return user;
  }
  deserializeUser(user: User): User | null {
    return { ...user, restoredBy: this.constructor.name } as User;
  }
}

@Injectable()
class First extends TakesAll {}

@Injectable()
class Second extends TakesAll {}

describePlatforms(() => {
  describe('a UserSerializer', () => {
    const refused = (providers: TestApplicationOptions['providers'], options = {}) =>
      expect(TestApplication.start({ providers: [LocalStrategy, ...(providers ?? [])], options })).rejects;

    it('is found in any module', async () => {
      @Module({ providers: [SnapshotSerializer] })
      class UsersModule {}
      const application = await started({ imports: [UsersModule], providers: [LocalStrategy] });

      expect((await (await application.loggedIn()).get('/me')).json()).toEqual(ADA);
    });

    it.each([
      ['a value', { provide: 'USERS', useValue: new First() }],
      ['the product of a factory', { provide: 'USERS', useFactory: () => new First() }],
      ['a class under another token', { provide: 'USERS', useClass: First }],
    ])('may be %s', async (_, provider) => {
      const application = await started({ providers: [LocalStrategy, provider] });

      expect((await (await application.loggedIn()).get('/me')).json()).toEqual({ ...ADA, restoredBy: 'First' });
    });

    it('counts once under two tokens', async () => {
      const providers = [LocalStrategy, First, { provide: 'USERS', useExisting: First }];

      expect((await (await started({ providers })).loggedIn()).cookies.size).toBe(1);
    });

    it('is missed at boot, by an error that says what to add', async () => {
      await refused([]).toMatchObject({
        code: 'no_serializer',
        message: expect.stringMatching(
          /found no UserSerializer\. Add one to the providers of any module: .*extends UserSerializer/,
        ),
      });
    });

    it('must be a singleton, and depend on nothing that belongs to a request', async () => {
      @Injectable({ scope: Scope.TRANSIENT })
      class Transient extends TakesAll {}
      @Injectable({ scope: Scope.REQUEST })
      class PerRequest extends TakesAll {}
      @Injectable({ scope: Scope.REQUEST })
      class Dependency {}
      @Injectable()
      class Dependent extends TakesAll {
        constructor(readonly dependency: Dependency) {
          super();
        }
      }

      await refused([PerRequest]).toThrow(/PerRequest is request-scoped .*Make it a singleton/);
      await refused([Transient]).toThrow(/Transient is request-scoped or transient/);
      await refused([Dependency, Dependent]).toThrow(/Dependent is .* \(or depends on a provider that is\)/);
      await refused([{ provide: 'X', scope: Scope.REQUEST, inject: [REQUEST], useFactory: () => new First() }]).toThrow(
        /no UserSerializer/,
      );
    });

    it('must tell its users apart where there is another', async () => {
      await refused([First, Second]).toMatchObject({
        code: 'no_serializer',
        message: expect.stringMatching(/^First and Second both take every user\. Override supports\(user\)/),
      });
    });

    it('must be provided once', async () => {
      @Module({ providers: [First] })
      class UsersModule {}

      await expect(
        TestApplication.start({ imports: [UsersModule], providers: [First, LocalStrategy] }),
      ).rejects.toThrow(/^There are two of First\. Provide it in one module and export it/);
    });

    it('may be named in the options, whatever else is among the providers', async () => {
      const byOption = await started({
        providers: [LocalStrategy, First, Second],
        options: { serializers: [Second] },
      });
      const nowhereElse = await started({ providers: [LocalStrategy, First], options: { serializers: [Second] } });

      for (const application of [byOption, nowhereElse]) {
        expect((await (await application.loggedIn()).get('/me')).json()).toEqual({ ...ADA, restoredBy: 'Second' });
      }
    });

    it('is not needed where the options say that there is none: sessions without logins', async () => {
      const logger = new LogRecorder();
      const application = await started({ providers: [LocalStrategy, First], options: { serializers: [] }, logger });
      const browser = application.browser();
      const login = { json: { username: 'ada', password: 'lovelace' } };

      expect((await browser.request('PUT', '/session/cart', { json: { value: 3 } })).status).toBe(200);
      expect((await browser.get('/session')).json()).toEqual({ cart: 3 });
      expect((await browser.get('/me')).json()).toMatchObject({ statusCode: 401, code: 'unauthenticated' });
      expect((await browser.post('/login', login)).json()).toMatchObject({ code: 'user_not_serializable' });
      expect(logger.at('error')).toEqual([
        expect.stringMatching(/Nobody can log in: the option "serializers" is \[\]/),
      ]);
      expect((await browser.get('/session')).json()).toEqual({ cart: 3 });
    });
  });

  describe('what of the user is kept', () => {
    const person = { id: 7, username: 'ada', picture: '/ada.png', address: 'St James Square', birthday: '1815-12-10' };

    it('may be a snapshot, with no look-up afterwards', async () => {
      @Injectable()
      class Snapshot extends UserSerializer<typeof person, Pick<typeof person, 'id' | 'username' | 'picture'>> {
        serializeUser({ id, username, picture }: typeof person) {
          return { id, username, picture };
        }
        deserializeUser(user: object) {
          return user as typeof person;
        }
      }
      const application = await started({ providers: [Snapshot, LocalStrategy], controllers: [ServiceController] });
      const browser = application.browser();
      await logIn(browser, person);

      const snapshot = { id: 7, username: 'ada', picture: '/ada.png' };
      expect((await browser.get('/service/user')).json()).toEqual({ user: snapshot });
      expect((await storedIn(application)).map(({ passport }) => passport)).toEqual([{ user: snapshot }]);
    });

    it('may be the id alone, with the user read from the database once on each request', async () => {
      const database = createClient({ url: ':memory:' });
      closers.push(() => database.close());
      await database.execute('CREATE TABLE users (id INTEGER PRIMARY KEY, username TEXT, picture TEXT)');
      await database.execute("INSERT INTO users VALUES (7, 'ada', '/ada.png')");
      let queries = 0;
      @Injectable()
      class FromDatabase extends UserSerializer<{ id: number }, number> {
        constructor(private readonly client: Client) {
          super();
        }
        serializeUser(user: { id: number }) {
          return user.id;
        }
        async deserializeUser(id: number) {
          queries++;
          const { rows } = await this.client.execute({ sql: 'SELECT * FROM users WHERE id = ?', args: [id] });
          return rows[0] as unknown as { id: number } | undefined;
        }
      }
      const application = await started({
        providers: [{ provide: FromDatabase, useValue: new FromDatabase(database) }, LocalStrategy],
        controllers: [ServiceController],
      });
      const browser = application.browser();
      await logIn(browser, person);
      expect(await storedIn(application)).toMatchObject([{ passport: { user: 7 } }]);
      expect(queries).toBe(0);

      await database.execute("UPDATE users SET picture = '/new.png'");
      const response = await browser.get('/me');
      expect(response.json()).toMatchObject({ id: 7, username: 'ada', picture: '/new.png' });
      expect(queries).toBe(1);
    });

    it.each([
      ['a rejection', () => Promise.reject(new Error('no'))],
      [
        'an error',
        () => {
          throw new Error('no');
        },
      ],
      ['nothing', () => undefined],
    ])('fails the login when it is %s, and nothing is stored', async (_, serializeUser) => {
      const serializer = Object.assign(new First(), { serializeUser });
      const application = await started({
        providers: [{ provide: First, useValue: serializer }, LocalStrategy],
        controllers: [ServiceController],
      });
      const browser = application.browser();

      expect((await logIn(browser, ADA)).status).toBe(500);
      expect((await browser.post('/login', { json: { username: 'ada', password: 'lovelace' } })).status).toBe(500);
      expect((await browser.get('/public')).json()).toEqual({ name: null });
      expect([browser.cookies.size, await storedIn(application)]).toEqual([0, []]);
    });
  });

  describe('SessionGuard', () => {
    const name = (user?: User) => ({ name: user?.name ?? null });

    @Controller('class')
    @UseGuards(SessionGuard)
    class GuardedController {
      @Get('guarded')
      guarded(@CurrentUser() user: User) {
        return name(user);
      }
      @Get('open')
      @Public()
      open(@CurrentUser() user?: User) {
        return name(user);
      }
    }
    @Controller('public-class')
    @Public()
    class PublicController {
      @Get('open')
      open(@CurrentUser() user?: User) {
        return name(user);
      }
      @Post('login')
      @UseGuards(LoginGuard('local'))
      login() {
        return {};
      }
    }
    @Controller('method')
    class MethodController {
      @Get('guarded')
      @UseGuards(SessionGuard)
      guarded(@CurrentUser() user: User) {
        return name(user);
      }
      @Get('open')
      open(@CurrentUser() user?: User) {
        return name(user);
      }
    }
    const controllers: Type[] = [GuardedController, PublicController, MethodController];

    it.each<[string, TestApplicationOptions['providers'], string[], string[]]>([
      [
        'a method or a class',
        [],
        ['/method/guarded', '/class/guarded'],
        ['/method/open', '/class/open', '/public-class/open'],
      ],
      [
        'every route, as APP_GUARD',
        [{ provide: APP_GUARD, useClass: SessionGuard }],
        ['/method/guarded', '/class/guarded', '/method/open', '/public'],
        ['/class/open', '/public-class/open'],
      ],
    ])('guards %s, and leaves public routes open', async (_, providers = [], guarded, open) => {
      const application = await started({ controllers, providers: [SnapshotSerializer, LocalStrategy, ...providers] });
      const ada = application.browser();
      await ada.post('/public-class/login', { json: { username: 'ada', password: 'lovelace' } });
      const see = async (browser: Browser, paths: string[]) =>
        Promise.all(
          paths.map(async (path) => (await browser.get(path)).json<{ name?: string; statusCode?: number }>()),
        );

      expect(await see(application.browser(), guarded)).toMatchObject(guarded.map(() => ({ statusCode: 401 })));
      expect(await see(application.browser(), open)).toEqual(open.map(() => ({ name: null })));
      expect(await see(ada, [...guarded, ...open])).toEqual([...guarded, ...open].map(() => ({ name: 'Ada' })));
    });

    it('turns an anonymous session away', async () => {
      const browser = (await started()).browser();
      await browser.request('PUT', '/session/color', { json: { value: 'blue' } });

      expect((await browser.get('/me')).status).toBe(401);
      expect((await browser.get('/session')).json()).toEqual({ color: 'blue' });
    });

    /** An application whose middleware has its own idea of `req.user`. */
    function meddling(meddle: (user: unknown) => unknown) {
      class MeddlingModule implements NestModule {
        configure(consumer: MiddlewareConsumer): void {
          consumer
            .apply((request: SessionRequest, _: unknown, next: () => void) => {
              request.user = meddle(request.user);
              next();
            })
            .forRoutes('{*path}');
        }
      }
      Module({})(MeddlingModule);
      return started({ imports: [MeddlingModule] });
    }

    it('leaves req.user as other middleware made it of the user of the session', async () => {
      const application = await meddling((user) => user && { ...user, role: 'admin' });

      expect((await (await application.loggedIn()).get('/me')).json()).toEqual({ ...ADA, role: 'admin' });
    });

    it.each([
      ['who is in no session', () => GRACE, false],
      ['who is the user of a session no more', () => null, true],
    ])('is not fooled by middleware that sets a user %s', async (_, meddle, loggedIn) => {
      const application = await meddling(meddle);
      const browser = loggedIn ? await application.loggedIn() : application.browser();

      expect((await browser.get('/me')).status).toBe(401);
    });
  });

  describe('the parameter decorators', () => {
    @Injectable()
    class Shout implements PipeTransform<User, string> {
      transform(user: User): string {
        return `${user.name}!`;
      }
    }
    @Controller('decorated')
    class DecoratedController {
      @Get('user')
      user(
        @CurrentUser() user: User,
        @CurrentUser('name') name: string,
        @CurrentUser('email') missing: unknown,
        @CurrentUser('id', ParseIntPipe) id: number,
        @CurrentUser(Shout) shouted: string,
        @CurrentUser(new Shout()) again: string,
      ) {
        return { user, name, missing: missing ?? null, id, shouted, again };
      }
      @Get('nobody')
      nobody(@CurrentUser() user: unknown, @CurrentUser('name') name: unknown) {
        return { user: typeof user, name: typeof name };
      }
      @Get('count')
      count(@CurrentSession() session: SessionData & { count?: number }, @Req() request: SessionRequest) {
        session.count = (session.count ?? 0) + 1;
        return { count: session.count, same: session === request.session };
      }
    }

    it('give the user, one property of theirs, or what a pipe makes of it', async () => {
      const browser = await (await started({ controllers: [DecoratedController] })).loggedIn();

      expect((await browser.get('/decorated/user')).json()).toEqual({
        user: ADA,
        name: 'Ada',
        missing: null,
        id: 1,
        shouted: 'Ada!',
        again: 'Ada!',
      });
    });

    it('give nothing where nobody is logged in', async () => {
      const application = await started({ controllers: [DecoratedController] });
      const browser = await application.loggedIn();
      await browser.post('/logout');

      for (const nobody of [application.browser(), browser]) {
        expect((await nobody.get('/decorated/nobody')).json()).toEqual({ user: 'undefined', name: 'undefined' });
      }
    });

    it('give the session itself', async () => {
      const browser = (await started({ controllers: [DecoratedController] })).browser();
      await browser.get('/decorated/count');

      expect((await browser.get('/decorated/count')).json()).toEqual({ count: 2, same: true });
    });
  });

  describe('a user who cannot be restored', () => {
    let result: () => unknown = () => null;
    let lookups = 0;
    const serializer = Object.assign(new First(), {
      deserializeUser: () => {
        lookups++;
        return result();
      },
    });
    const providers = [{ provide: First, useValue: serializer }, LocalStrategy];

    beforeEach(() => {
      lookups = 0;
    });

    it.each([
      ['null', () => null],
      ['undefined', () => undefined],
      ['a promise of null', () => Promise.resolve(null)],
      ['false', () => false],
    ])("and is gone (%s): the session ends, the cookie is cleared, the request is anybody's", async (_, gone) => {
      result = () => ADA;
      const application = await started({ providers });
      const browser = await application.loggedIn();
      const copy = browser.fork();
      result = gone;
      const { status, setCookies, json } = await browser.get('/public');

      expect({ status, body: json() }).toEqual({ status: 200, body: { name: null } });
      expect(setCookies).toEqual(['sid=; Path=/; Expires=Thu, 01 Jan 1970 00:00:00 GMT; HttpOnly; SameSite=Lax']);
      expect(await storedIn(application)).toEqual([]);
      expect(application.events).toContainEqual(expect.objectContaining({ type: 'ended', reason: 'user_gone' }));
      result = () => ADA;
      expect((await copy.get('/me')).status).toBe(401);
    });

    it('as the one who logged in, but is another: the session ends, and its browser is told so', async () => {
      result = () => ADA;
      const application = await started({ providers });
      const browser = await application.loggedIn();
      const { handle } = (await browser.get('/current')).json<{ handle: string }>();
      const copy = browser.fork();
      result = () => GRACE;
      const { setCookies, json } = await browser.get('/me');

      expect(json()).toMatchObject({ statusCode: 401, reason: 'revoked' });
      expect(setCookies).toEqual(['sid=; Path=/; Expires=Thu, 01 Jan 1970 00:00:00 GMT; HttpOnly; SameSite=Lax']);
      expect(await storedIn(application)).toEqual([]);
      const at = new Date(application.clock.now());
      expect(application.events.slice(1)).toEqual([
        { type: 'ended', at, userId: '1', handle, reason: 'user_mismatch' },
      ]);
      result = () => ADA;
      expect((await copy.get('/me')).json()).toMatchObject({ statusCode: 401, reason: 'revoked' });
    });

    it('with an id, since userId() knows those who log in alone: the session ends, and the log says why', async () => {
      result = () => ({ sub: '1', name: 'Ada' });
      const logger = new LogRecorder();
      const application = await started({ providers, logger });
      const responses = [
        await (await application.loggedIn()).get('/me'),
        await (await application.loggedIn()).get('/me'),
      ];

      expect(responses.map(({ status }) => status)).toEqual([401, 401]);
      const texts = logger.at('error').filter((text) => text.includes('First.userId(user) gave an id at the login'));
      expect(texts).toEqual([expect.stringContaining('none for a user of First.deserializeUser()')]);
    });

    it('and is gone can log in again in the same request', async () => {
      result = () => ADA;
      const application = await started({ providers });
      const browser = await application.loggedIn();
      result = () => null;
      await browser.post('/login', { json: { username: 'grace', password: 'hopper' } });
      result = () => GRACE;

      expect((await browser.get('/me')).json()).toEqual(GRACE);
      expect(await storedIn(application)).toHaveLength(1);
    });

    it.each([
      [
        'throws',
        () => {
          throw new Error('no database');
        },
      ],
      ['rejects', () => Promise.reject(new Error('no database'))],
      ['rejects with nothing', () => Promise.reject(undefined as unknown as Error)],
    ])('because the look-up %s: 503 on guarded routes alone, and the session is kept', async (_, fails) => {
      result = () => ADA;
      const application = await started({ providers });
      const browser = await application.loggedIn();
      await browser.request('PUT', '/session/color', { json: { value: 'blue' } });
      result = fails;
      const guarded = await browser.get('/me');

      expect(guarded.json()).toEqual({
        statusCode: 503,
        code: 'user_lookup_failed',
        message: 'The user cannot be looked up. Try again.',
      });
      expect(guarded.headers['retry-after']).toBe('1');
      expect(guarded.setCookies).toEqual([]);
      expect((await browser.get('/public')).json()).toEqual({ name: null });
      expect((await browser.get('/session')).json()).toEqual({ color: 'blue' });

      result = () => ADA;
      expect((await browser.get('/me')).json()).toEqual(ADA);
    });

    it('just now can still log out, and another can log in', async () => {
      result = () => ADA;
      const application = await started({ providers });
      const [leaving, changing] = [await application.loggedIn(), await application.loggedIn()];
      result = () => Promise.reject(new Error('no database'));

      expect((await leaving.post('/logout')).status).toBe(204);
      expect((await changing.post('/login', { json: { username: 'grace', password: 'hopper' } })).status).toBe(200);
      result = () => GRACE;
      expect((await leaving.get('/me')).status).toBe(401);
      expect((await changing.get('/me')).json()).toEqual(GRACE);
    });

    it('is looked up once in a request, and not at all without a session', async () => {
      result = () => ADA;
      const application = await started({ providers });
      await application.browser().get('/me');
      const browser = await application.loggedIn();
      expect(lookups).toBe(0);

      await browser.get('/me');
      expect(lookups).toBe(1);
    });
  });

  describe('SessionAuthService', () => {
    let application: TestApplication;
    let browser: Browser;

    beforeEach(async () => {
      application = await started({ controllers: [ServiceController] });
      browser = application.browser();
    });

    const put = (key: string, value: unknown) => browser.request('PUT', `/session/${key}`, { json: { value } });
    const session = async () => (await browser.get('/session')).json();

    it('logs in whom it is told to, for this request and the next ones', async () => {
      expect((await logIn(browser, GRACE)).json()).toMatchObject({ user: GRACE });
      expect((await browser.get('/me')).json()).toEqual(GRACE);
    });

    it('starts with an empty session under a new id, and ends the old one', async () => {
      await put('returnTo', '/checkout');
      const before = browser.fork();
      await logIn(browser, ADA);

      expect(await session()).toEqual({});
      expect(browser.cookies.get('sid')).not.toBe(before.cookies.get('sid'));
      expect((await before.get('/session')).json()).toEqual({});
      expect(await storedIn(application)).toHaveLength(1);
    });

    it('keeps what it is told to keep, and nothing else', async () => {
      await put('returnTo', '/checkout');
      await put('cart', [1, 2]);
      await put('draft', 'x');
      await logIn(browser, ADA, { keep: ['returnTo', 'cart', 'passport', 'cookie', 'toString', '__proto__', 'none'] });

      expect(await session()).toEqual({ returnTo: '/checkout', cart: [1, 2] });
      expect((await browser.get('/me')).json()).toEqual(ADA);
    });

    it('keeps what it is told to when the same user logs in again', async () => {
      await logIn(browser, ADA);
      await put('cart', [1, 2]);
      await logIn(browser, { ...ADA, name: 'Countess' }, { keep: ['cart'] });

      expect(await session()).toEqual({ cart: [1, 2] });
      expect((await browser.get('/me')).json()).toEqual({ ...ADA, name: 'Countess' });
    });

    it('never carries data of one user into the session of another', async () => {
      await logIn(browser, ADA);
      await put('cart', [1, 2]);
      await logIn(browser, GRACE, { keep: ['cart', 'passport'] });
      expect(await session()).toEqual({});
      expect((await browser.get('/me')).json()).toEqual(GRACE);

      await put('cart', [3]);
      await browser.post('/service/log-out');
      await logIn(browser, ADA, { keep: ['cart'] });
      expect(await session()).toEqual({});
    });

    it('remembers for as long as it is told, in the store and in the cookie', async () => {
      const { current } = (await logIn(browser, ADA, { remember: '30d' })).json<{ current: { expiresAt: string } }>();
      const expiry = application.clock.now() + 30 * 86_400_000;

      expect(Date.parse(current.expiresAt)).toBe(expiry);
      // The cookie stays a day longer, so that the browser can be told that its session has expired.
      expect(browser.cookies.find('sid')?.expires).toBe(Math.floor((expiry + 86_400_000) / 1000) * 1000);
      application.clock.advance('29 days');
      expect((await browser.get('/me')).status).toBe(200);
      application.clock.advance('1 day');
      expect((await browser.get('/me')).json()).toMatchObject({ statusCode: 401, reason: 'expired' });
      application.clock.advance('1 day');
      expect(browser.cookies.size).toBe(0);
    });

    it.each(['0s', -1, 'a month'])('refuses to remember for %p', async (remember) => {
      expect((await logIn(browser, ADA, { remember })).status).toBe(500);
      expect(await storedIn(application)).toEqual([]);
    });

    it('reports the login with its method', async () => {
      const { current } = (await logIn(browser, ADA, { method: 'webauthn' })).json<{ current: { handle: string } }>();

      expect(application.events).toEqual([
        {
          type: 'logged-in',
          at: new Date(application.clock.now()),
          userId: '1',
          handle: current.handle,
          method: 'webauthn',
          device: { ip: '127.0.0.1' },
        },
      ]);
    });

    it('tells the caller of their own session, and nothing that would let anybody in', async () => {
      const at = new Date(application.clock.now());
      await browser.post('/service/log-in', { json: { user: ADA }, headers: { 'user-agent': 'Difference Engine' } });
      application.clock.advance('1m');
      const { handle, ...info } = (await browser.get('/service/current')).json<{ handle: string }>();

      expect(browser.cookies.get('sid')).toContain(encodeURIComponent(`s:${handle}.`));
      expect(info).toEqual({
        userId: '1',
        createdAt: at.toISOString(),
        authenticatedAt: at.toISOString(),
        seenAt: at.toISOString(),
        expiresAt: new Date(at.getTime() + 3_600_000).toISOString(),
        device: { ip: '127.0.0.1', userAgent: 'Difference Engine' },
      });
    });

    it('has no session to tell of where nobody is logged in', async () => {
      await put('cart', []);

      expect((await browser.get('/service/current')).json()).toMatchObject({
        statusCode: 401,
        code: 'unauthenticated',
      });
    });

    it('logs out for good, at once', async () => {
      await logIn(browser, ADA);
      const copy = browser.fork();

      expect((await browser.post('/service/log-out')).json()).toEqual({ user: null, session: ['cookie'] });
      expect(browser.cookies.size).toBe(0);
      expect((await copy.get('/me')).status).toBe(401);
      expect(await storedIn(application)).toEqual([]);
      expect(application.events.map(({ type }) => type)).toEqual(['logged-in', 'logged-out']);
    });

    it('logs out who is not logged in without a word', async () => {
      const response = await browser.post('/service/log-out');

      expect([response.status, response.setCookies, application.events]).toEqual([200, [], []]);
    });
  });

  describe('the device of a session', () => {
    it.each([
      ['nothing, where the option says so', false as const, {}],
      [
        'what the application makes of the request',
        ({ headers }: SessionRequest) => ({ label: headers['x-device'] as string }),
        { label: 'phone' },
      ],
      ['nothing, where the application says nothing', () => undefined as unknown as Device, {}],
      [
        'no more of what the application says than is text',
        () => ({ ip: '192.0.2.1', label: { name: 'phone', data: {} } }) as unknown as Device,
        { ip: '192.0.2.1' },
      ],
    ])('is %s', async (_, device, expected) => {
      const redis = await RedisServer.start();
      closers.push(() => redis.stop());
      const application = await started({
        options: { device, redis: { url: redis.url } },
        controllers: [ServiceController],
      });
      const browser = application.browser();
      await browser.post('/service/log-in', { json: { user: ADA }, headers: { 'x-device': 'phone' } });

      expect((await browser.get('/service/current')).json<{ device: Device }>().device).toEqual(expected);
    });
  });
});
