import { once } from 'node:events';
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import {
  Body,
  Controller,
  type ExecutionContext,
  Get,
  HttpCode,
  type INestApplication,
  Injectable,
  Param,
  Post,
  Req,
  type Type,
  UseGuards,
} from '@nestjs/common';
import { AuthGuard, PassportModule, PassportStrategy } from '@nestjs/passport';
import type { Request } from 'express';
import { Test } from '@nestjs/testing';
import { Strategy as LocalBase } from 'passport-local';
import { Strategy as OAuth2Base } from 'passport-oauth2';
import {
  CurrentUser,
  LoginGuard,
  SessionAuthModule,
  SessionGuard,
  type SessionRequest,
  UserSerializer,
} from '../../lib/index.js';
import {
  LocalStrategy,
  SECRET,
  SnapshotSerializer,
  TestApplication,
  type TestApplicationOptions,
  type User,
} from '../support/application.js';
import { Browser } from '../support/browser.js';
import { guardedBy as startGuardedBy, strategy } from '../support/guarded-by.js';
import { createAdapter, describePlatforms, platformUnderTest } from '../support/platforms.js';

const ADA = { id: '1', name: 'Ada' };
const GRACE = { id: '2', name: 'Grace' };
const CREDENTIALS = { username: 'ada', password: 'lovelace' };

const closers: (() => unknown)[] = [];

afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

async function started(options?: TestApplicationOptions): Promise<TestApplication> {
  const application = await TestApplication.start(options);
  closers.push(() => application.close());
  return application;
}

/** An application that logs in at POST /try by these strategies. */
async function guardedBy(...args: Parameters<typeof startGuardedBy>): Promise<TestApplication> {
  const application = await startGuardedBy(...args);
  closers.push(() => application.close());
  return application;
}

const isIn = async (browser: Browser) => (await browser.get('/me')).status === 200;

describePlatforms(() => {
  describe('LoginGuard with passport-local', () => {
    it('logs in, for the handler and for the next requests', async () => {
      const browser = (await guardedBy('local')).browser();

      expect((await browser.post('/try', { form: CREDENTIALS })).json()).toEqual(ADA);
      expect((await browser.get('/me')).json()).toEqual(ADA);
    });

    it('takes a strategy as the strategy package exports it', async () => {
      const bare = new LocalBase((username, _password, done) => {
        done(null, { id: '9', name: username });
      });
      const application = await guardedBy(
        'local',
        {},
        { providers: [SnapshotSerializer, { provide: 'X', useValue: bare }] },
      );

      expect((await application.browser().post('/try', { json: CREDENTIALS })).json()).toEqual({
        id: '9',
        name: 'ada',
      });
    });

    @Injectable()
    class Talkative extends PassportStrategy(LocalBase, 'talkative') {
      validate(username: string): unknown {
        if (username === 'broken') throw new Error('no database');
        return [false, { message: 'This account is locked.' }];
      }
    }
    const talkative = { providers: [SnapshotSerializer, LocalStrategy, Talkative] };

    it.each<[string, string, object, object]>([
      [
        'a wrong password',
        'local',
        { username: 'ada', password: 'x' },
        [401, 'login_failed', 'The login was refused.'],
      ],
      [
        'whom the strategy refuses, in its words',
        'talkative',
        CREDENTIALS,
        [401, 'login_failed', 'This account is locked.'],
      ],
      ['no password', 'local', { username: 'ada' }, [400, 'login_failed', 'Missing credentials']],
      ['no user name', 'local', { password: 'x' }, [400, 'login_failed', 'Missing credentials']],
      ['an empty form', 'local', {}, [400, 'login_failed', 'Missing credentials']],
      [
        'who cannot be looked up',
        'talkative',
        { username: 'broken', password: 'x' },
        [500, undefined, 'Internal server error'],
      ],
    ])('turns away %s, and nothing is stored', async (_, name, credentials, expected) => {
      const application = await guardedBy(name, {}, talkative);
      const browser = application.browser();
      const response = await browser.post('/try', { json: credentials });
      const { statusCode, code, message } = response.json<Record<string, unknown>>();

      expect([statusCode, code, message]).toEqual(expected);
      expect(response.status).toBe(statusCode);
      expect(response.setCookies).toEqual([]);
      expect(await isIn(browser)).toBe(false);
    });

    it('reports whom it turned away', async () => {
      const application = await guardedBy('talkative', {}, talkative);
      await application.browser().post('/try', { json: CREDENTIALS });

      expect(application.events).toEqual([
        {
          type: 'login-failed',
          at: expect.any(Date),
          strategy: 'talkative',
          code: 'login_failed',
          reason: 'This account is locked.',
        },
      ]);
    });

    it('reports whom it turned away by a redirect, too', async () => {
      const application = await guardedBy('talkative', { failureRedirect: '/public' }, talkative);
      const response = await application.browser().post('/try', { json: CREDENTIALS });

      expect([response.status, response.headers.location]).toEqual([302, '/public']);
      expect(application.events).toEqual([
        {
          type: 'login-failed',
          at: expect.any(Date),
          strategy: 'talkative',
          code: 'login_failed',
          reason: 'This account is locked.',
        },
      ]);
    });

    it('leaves who is logged in so when another login fails', async () => {
      const application = await guardedBy('local');
      const browser = await application.loggedIn();
      await browser.post('/try', { json: { username: 'grace', password: 'x' } });

      expect((await browser.get('/me')).json()).toEqual(ADA);
    });

    it('redirects after a success or a refusal where it is told to', async () => {
      const options = { successRedirect: '/me', failureRedirect: '/session', failureMessage: true };
      const application = await guardedBy('talkative', options, talkative);
      const success = (await guardedBy('local', options)).browser();
      const failure = application.browser();

      expect((await success.post('/try', { json: CREDENTIALS, follow: true })).json()).toEqual(ADA);
      expect((await failure.post('/try', { json: CREDENTIALS, follow: true })).json()).toEqual({
        messages: ['This account is locked.'],
      });
      expect(await isIn(failure)).toBe(false);
    });

    it('returns to where the user came from', async () => {
      const browser = (
        await guardedBy('local', { keep: ['returnTo'], successReturnToOrRedirect: '/public' })
      ).browser();
      await browser.request('PUT', '/session/returnTo', { json: { value: '/me?from=here' } });
      await browser.request('PUT', '/session/color', { json: { value: 'blue' } });
      const response = await browser.post('/try', { json: CREDENTIALS });

      expect([response.status, response.headers.location]).toEqual([302, '/me?from=here']);
      expect((await browser.get('/session')).json()).toEqual({});
      expect((await browser.post('/try', { json: CREDENTIALS })).headers.location).toBe('/public');
    });

    it('sets the user for one request alone without a session', async () => {
      const browser = (await guardedBy('local', { session: false })).browser();
      const response = await browser.post('/try', { json: CREDENTIALS });

      expect([response.json(), response.setCookies]).toEqual([ADA, []]);
      expect(await isIn(browser)).toBe(false);
    });

    it('passes the options of the login on', async () => {
      const application = await guardedBy('local', { remember: '30d', method: 'password' });
      const browser = application.browser();
      await browser.post('/try', { json: CREDENTIALS });
      application.clock.advance('29 days');

      expect(await isIn(browser)).toBe(true);
      expect(application.events).toMatchObject([{ type: 'logged-in', method: 'password' }]);
    });
  });

  describe('LoginGuard with several strategies', () => {
    const refusing = strategy('refusing', function () {
      this.fail('Refusing realm="x"');
    });
    const knowing = strategy('knowing', function () {
      this.success(GRACE);
    });
    const failing = strategy('failing', function () {
      this.error(new Error('no database'));
    });
    const throwing = strategy('throwing', () => {
      throw new Error('no database');
    });
    const rejecting = strategy('rejecting', () => Promise.reject(new Error('no database')));
    const providers = [SnapshotSerializer, LocalStrategy, refusing, knowing, failing, throwing, rejecting];

    it.each([
      [['local', 'knowing'], ADA],
      [['knowing', 'local'], GRACE],
      [['refusing', 'local'], ADA],
      [['refusing', 'knowing', 'failing'], GRACE],
    ])('logs in by the first of %j that succeeds', async (names, user) => {
      const application = await guardedBy(names, {}, { providers });
      const browser = application.browser();

      expect((await browser.post('/try', { json: CREDENTIALS })).json()).toEqual(user);
      expect((await browser.get('/me')).json()).toEqual(user);
      expect(application.events.map(({ type }) => type)).toEqual(['logged-in']);
    });

    it.each([
      [['refusing'], 401],
      [['refusing', 'refusing'], 401],
      [['failing', 'knowing'], 500],
      [['throwing', 'knowing'], 500],
      [['rejecting', 'knowing'], 500],
      [['refusing', 'throwing'], 500],
    ])('lets nobody in by %j', async (names, status) => {
      const application = await guardedBy(names, {}, { providers });
      const browser = application.browser();

      expect((await browser.post('/try', { json: CREDENTIALS })).status).toBe(status);
      expect(await isIn(browser)).toBe(false);
      expect(application.events.map(({ type }) => type)).toEqual(status === 401 ? ['login-failed'] : []);
    });

    it('does not boot with a strategy that no provider is, and names those that are', async () => {
      await expect(guardedBy('google', {}, { providers })).rejects.toThrow(
        'No provider is a Passport strategy named "google" (found: local, refusing, knowing, failing, throwing, rejecting). ' +
          'Add it to the providers of a module',
      );
    });
  });

  describe('LoginGuard with a strategy that redirects', () => {
    /** An OAuth 2 provider, at which everybody is Ada. */
    async function oauthProvider() {
      const codes = new Set<string>();
      const handlers: Record<string, (request: IncomingMessage, query: URLSearchParams) => unknown> = {
        '/authorize': (_, query) => {
          const back = new URL(query.get('redirect_uri') ?? '');
          const code = `code-${codes.size}`;
          codes.add(code);
          back.search = new URLSearchParams({ code, state: query.get('state') ?? '' }).toString();
          return back;
        },
        '/token': async (request) => {
          const form = new URLSearchParams(await text(request));
          return codes.delete(form.get('code') ?? '') && form.get('client_secret') === 'hush'
            ? { access_token: 'token-of-ada', token_type: 'bearer' }
            : undefined;
        },
      };
      const server = createServer((request, response) => {
        const { pathname, searchParams } = new URL(request.url ?? '', 'http://provider');
        void Promise.resolve(handlers[pathname]?.(request, searchParams)).then((result) => {
          if (result instanceof URL) response.writeHead(302, { location: result.href }).end();
          else if (result === undefined) response.writeHead(400).end('{"error":"invalid_grant"}');
          else response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(result));
        });
      }).listen(0, '127.0.0.1');
      await once(server, 'listening');
      closers.push(() => {
        server.closeAllConnections();
        server.close();
      });
      return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    }

    async function withOAuth() {
      const provider = await oauthProvider();

      @Injectable()
      class OAuthStrategy extends PassportStrategy(OAuth2Base, 'oauth') {
        constructor() {
          super({
            authorizationURL: `${provider}/authorize`,
            tokenURL: `${provider}/token`,
            clientID: 'app',
            clientSecret: 'hush',
            callbackURL: '/oauth/callback',
            state: true,
          });
        }
        validate(accessToken: string): User | null {
          return accessToken === 'token-of-ada' ? ADA : null;
        }
      }
      @Controller('oauth')
      class OAuthController {
        @Get()
        @UseGuards(LoginGuard('oauth', { scope: ['profile', 'email'] }))
        start() {
          return 'never here';
        }
        @Get('callback')
        @UseGuards(LoginGuard('oauth', { keep: ['cart'], successRedirect: '/me' }))
        callback() {
          return 'never here';
        }
      }
      return started({
        providers: [SnapshotSerializer, LocalStrategy, OAuthStrategy],
        controllers: [OAuthController],
      });
    }

    it('logs in by way of the provider', async () => {
      const browser = (await withOAuth()).browser();
      await browser.request('PUT', '/session/cart', { json: { value: [1] } });
      const start = await browser.get('/oauth');
      const asked = new URL(start.headers.location ?? '').searchParams;

      expect(start.status).toBe(302);
      expect(asked.get('scope')).toBe('profile email');
      expect((await browser.get(start.headers.location!, { follow: true })).json()).toEqual(ADA);
      expect((await browser.get('/session')).json()).toEqual({ cart: [1] });
    });

    it('saves the state before it redirects, for a browser that has no cookie yet', async () => {
      const browser = (await withOAuth()).browser();

      expect((await browser.get('/oauth', { follow: true })).json()).toEqual(ADA);
    });

    it.each([
      ['a forged state', (url: URL) => url.searchParams.set('state', 'forged'), 'Invalid authorization request state.'],
      ['no state', (url: URL) => url.searchParams.delete('state'), 'Invalid authorization request state.'],
    ])('logs nobody in by %s', async (_, forge, message) => {
      const browser = (await withOAuth()).browser();
      const callback = await comesBack(browser);
      forge(callback);
      const response = await browser.get(callback.href);

      expect(response.json()).toEqual({ statusCode: 403, code: 'login_failed', message });
      expect(response.status).toBe(403);
      expect(await isIn(browser)).toBe(false);
    });

    it("logs nobody in by another browser's state, nor by a state used before", async () => {
      const application = await withOAuth();
      const [attacker, victim] = [application.browser(), application.browser()];
      const callback = await comesBack(attacker);

      expect((await victim.get(callback.href)).status).toBe(403);
      expect(await isIn(victim)).toBe(false);

      expect((await attacker.get(callback.href)).headers.location).toBe('/me');
      await attacker.post('/logout');
      expect((await attacker.get(callback.href)).status).toBe(403);
      expect(await isIn(attacker)).toBe(false);
    });

    it.each([
      ['the user declined', '?error=access_denied&error_description=Declined', [401, 'Declined']],
      ['the provider failed', '?error=server_error', [500, 'Internal server error']],
    ])('logs nobody in when %s', async (_, query, expected) => {
      const browser = (await withOAuth()).browser();
      const { statusCode, message } = (await browser.get(`/oauth/callback${query}`)).json<Record<string, unknown>>();

      expect([statusCode, message]).toEqual(expected);
      expect(await isIn(browser)).toBe(false);
    });

    it('logs nobody in by a code that the provider did not give', async () => {
      const browser = (await withOAuth()).browser();
      const callback = await comesBack(browser);
      callback.searchParams.set('code', 'guessed');

      expect((await browser.get(callback.href)).status).toBe(500);
      expect(await isIn(browser)).toBe(false);
    });

    /** Starts a login; the address at which the provider sends the browser back. */
    async function comesBack(browser: Browser): Promise<URL> {
      const start = await browser.get('/oauth');
      return new URL((await browser.get(start.headers.location ?? '')).headers.location ?? '');
    }
  });

  describe('the methods that Passport gives a request', () => {
    type Done = (error?: unknown) => void;
    type PassportRequest = SessionRequest &
      Record<'logIn' | 'login' | 'logOut' | 'logout', (...args: unknown[]) => Promise<void> | undefined> &
      Record<'isAuthenticated' | 'isUnauthenticated', () => boolean>;

    @Controller('passport')
    class PassportController {
      /** Calls a method by its callback or its promise, and tells what it left behind. */
      @Post(':method/:how')
      @HttpCode(200)
      async call(
        @Req() request: PassportRequest,
        @Param() { method, how }: { method: 'logIn' | 'login' | 'logOut' | 'logout'; how: string },
        @Body() args: unknown[],
      ) {
        const before = request.sessionID;
        if (how === 'callback') {
          await new Promise<void>((resolve, reject) => {
            const done: Done = (error) => {
              if (error instanceof Error) reject(error);
              else resolve();
            };
            const returned = request[method](...args, done);
            if (returned !== undefined) reject(new Error('a promise beside a callback'));
          });
        } else {
          await request[method](...args);
        }
        return {
          user: request.user ?? null,
          authenticated: [request.isAuthenticated(), request.isUnauthenticated()],
          newId: request.sessionID !== before,
        };
      }
    }

    let application: TestApplication;
    let browser: Browser;

    beforeEach(async () => {
      application = await started({ controllers: [PassportController] });
      browser = application.browser();
    });

    const call = (method: string, how: string, ...args: unknown[]) =>
      browser.post(`/passport/${method}/${how}`, { json: args });
    const put = (key: string, value: unknown) => browser.request('PUT', `/session/${key}`, { json: { value } });
    const session = async () => (await browser.get('/session')).json();

    it('are typed as promises, too, on the request that Express types have', async () => {
      @Controller('typed')
      class TypedController {
        @Post()
        async inAndOut(@Req() request: Request, @Body() user: Express.User): Promise<unknown[]> {
          await request.logIn(user, { keep: ['color'] });
          const during = request.isAuthenticated();
          await request.logOut({ keepSessionInfo: true });
          await new Promise((resolve) => {
            request.login(user, resolve);
          });
          await request.logout();
          return [during, request.isAuthenticated()];
        }
      }
      const typed = await started({ controllers: [TypedController] });

      const response = await typed.browser().post('/typed', { json: ADA });

      expect([response.status, response.json()]).toEqual([201, [true, false]]);
    });

    describe.each(['callback', 'promise'])('by %s', (how) => {
      it.each(['logIn', 'login'])(
        '%s logs in under a new id, and keeps nothing of the session before',
        async (method) => {
          await put('color', 'blue');

          expect((await call(method, how, ADA)).json()).toEqual({
            user: ADA,
            authenticated: [true, false],
            newId: true,
          });
          expect((await browser.get('/me')).json()).toEqual(ADA);
          expect(await session()).toEqual({});
        },
      );

      it.each(['logOut', 'logout'])(
        '%s logs out under a new id, and keeps nothing of the session before',
        async (method) => {
          await call('logIn', how, ADA);
          await put('color', 'blue');

          expect((await call(method, how)).json()).toEqual({ user: null, authenticated: [false, true], newId: true });
          expect(await isIn(browser)).toBe(false);
          expect([browser.cookies.size, await session()]).toEqual([0, {}]);
        },
      );

      it('logIn with keepSessionInfo keeps what the session held, but nothing of another user', async () => {
        await put('color', 'blue');
        await call('logIn', how, ADA, { keepSessionInfo: true });
        expect(await session()).toEqual({ color: 'blue' });

        await call('logIn', how, GRACE, { keepSessionInfo: true });
        expect(await session()).toEqual({});
        expect((await browser.get('/me')).json()).toEqual(GRACE);
      });

      it('logOut with keepSessionInfo keeps what the session held besides the user', async () => {
        await call('logIn', how, ADA);
        await put('color', 'blue');
        const copy = browser.fork();

        expect((await call('logOut', how, { keepSessionInfo: true })).json()).toMatchObject({
          user: null,
          newId: true,
        });
        expect([await session(), await isIn(browser), await isIn(copy)]).toEqual([{ color: 'blue' }, false, false]);
      });

      it("what a logout kept is that user's alone: another one's login does not take it over", async () => {
        await call('logIn', how, ADA);
        await put('color', 'blue');
        await call('logOut', how, { keepSessionInfo: true });
        const copy = browser.fork();

        await call('logIn', how, GRACE, { keep: ['color'] });
        expect(await session()).toEqual({});

        await copy.post(`/passport/logIn/${how}`, { json: [ADA, { keep: ['color'] }] });
        expect((await copy.get('/me')).json()).toEqual(ADA);
      });

      it('logIn without a session sets the user for this request alone', async () => {
        const response = await call('logIn', how, ADA, { session: false });

        expect([response.json(), response.setCookies]).toEqual([
          { user: ADA, authenticated: [true, false], newId: false },
          [],
        ]);
        expect(await isIn(browser)).toBe(false);
      });

      it('logIn fails for a user whom nobody can keep', async () => {
        const response = await call('logIn', how, { name: 'no id' });

        expect(response.json()).toMatchObject({ statusCode: 500, code: 'user_not_serializable' });
        expect(await isIn(browser)).toBe(false);
      });
    });

    it('logOut does nothing for who is not logged in', async () => {
      const response = await call('logOut', 'promise');

      expect([response.status, response.setCookies]).toEqual([200, []]);
    });
  });

  describe('AuthGuard of @nestjs/passport', () => {
    class LoggingIn extends AuthGuard('local') {
      override async canActivate(context: ExecutionContext): Promise<boolean> {
        const can = (await super.canActivate(context)) as boolean;
        await this.logIn(context.switchToHttp().getRequest());
        return can;
      }
      // eslint-disable-next-line @typescript-eslint/no-unsafe-function-type -- so the base class has it
      override logIn<T extends { logIn: Function }>(request: T): Promise<void> {
        return super.logIn(request);
      }
    }
    @Controller('nest')
    class NestController {
      @Post('check')
      @HttpCode(200)
      @UseGuards(AuthGuard('local'))
      check(@CurrentUser() user: User) {
        return user;
      }
      @Post('login')
      @HttpCode(200)
      @UseGuards(LoggingIn)
      logIn(@CurrentUser() user: User) {
        return user;
      }
      @Get('both')
      @UseGuards(SessionGuard)
      both(@CurrentUser() user: User) {
        return user;
      }
    }
    const options = { controllers: [NestController], imports: [PassportModule.register({ session: true })] };

    it('checks credentials beside this module, and logs nobody in by itself', async () => {
      const browser = (await started(options)).browser();

      expect((await browser.post('/nest/check', { json: CREDENTIALS })).json()).toEqual(ADA);
      expect((await browser.post('/nest/check', { json: { username: 'ada', password: 'x' } })).status).toBe(401);
      expect([browser.cookies.size, await isIn(browser)]).toEqual([0, false]);
    });

    it('logs in where its logIn is called', async () => {
      const application = await started(options);
      const browser = application.browser();

      expect((await browser.post('/nest/login', { json: CREDENTIALS })).json()).toEqual(ADA);
      expect((await browser.get('/nest/both')).json()).toEqual(ADA);
      expect((await application.browser().post('/nest/login', { json: {} })).status).toBe(401);
    });
  });

  describe('two applications in one process', () => {
    /** Its users are marked with its name, at login and again at each request. */
    function application(name: string): Promise<INestApplication> {
      class Serializer extends UserSerializer<{ id: string }, string> {
        override userId({ id }: { id: string }) {
          return id.split('/', 1)[0]!;
        }
        serializeUser({ id }: { id: string }) {
          return `${id}/serialized by ${name}`;
        }
        deserializeUser(payload: string) {
          return { id: payload, restoredBy: name };
        }
      }
      const validating = (strategyName?: string): Type =>
        class extends PassportStrategy(LocalBase, strategyName) {
          validate(username: string, password: string) {
            return password === name && { id: `${username} of ${name}` };
          }
        };
      const Local = validating();
      const Custom = validating('custom');
      for (const provider of [Serializer, Local, Custom]) Injectable()(provider);

      @Controller()
      class AppController {
        @Post('local')
        @UseGuards(LoginGuard('local'))
        local() {
          return {};
        }
        @Post('custom')
        @UseGuards(LoginGuard('custom'))
        custom() {
          return {};
        }
        @Get('me')
        @UseGuards(SessionGuard)
        me(@CurrentUser() user: unknown) {
          return user;
        }
      }
      return Test.createTestingModule({
        imports: [SessionAuthModule.forRoot({ secret: SECRET })],
        providers: [Serializer, Local, Custom],
        controllers: [AppController],
      })
        .setLogger(false as never)
        .compile()
        .then((module) => module.createNestApplication(createAdapter(platformUnderTest()), { logger: false }));
    }

    it.each(['local', 'custom'])('have a "%s" strategy, serializers and sessions each of their own', async (path) => {
      // Both exist before either is initialised.
      const apps = [await application('one'), await application('two')];
      const browsers: Browser[] = [];
      for (const app of apps) {
        closers.push(() => app.close());
        await app.listen(0, '127.0.0.1');
        browsers.push(new Browser(await app.getUrl()));
      }
      const [one, two] = browsers as [Browser, Browser];
      const logIn = (browser: Browser, password: string) =>
        browser.post(`/${path}`, { json: { username: 'ada', password } });

      expect((await logIn(one, 'two')).status).toBe(401);
      expect((await logIn(two, 'one')).status).toBe(401);
      await logIn(one, 'one');
      await logIn(two, 'two');

      for (const [browser, name] of [
        [one, 'one'],
        [two, 'two'],
      ] as const) {
        expect((await browser.get('/me')).json()).toEqual({
          id: `ada of ${name}/serialized by ${name}`,
          restoredBy: name,
        });
      }
      expect((await new Browser(two.baseUrl, {}, one.cookies).get('/me')).status).toBe(401);
    });
  });
});
