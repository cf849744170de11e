import util from 'node:util';
import {
  Controller,
  Get,
  HttpCode,
  type MiddlewareConsumer,
  Module,
  type NestModule,
  Post,
  Req,
  UseGuards,
} from '@nestjs/common';
import type { Request } from 'express';
import { describePlatforms, nodeRequest } from '../support/platforms.js';
import { LoginGuard, type LoginGuardOptions, SessionGuard, type SessionRequest } from '../../lib/index.js';
import { LocalStrategy, SnapshotSerializer, type TestApplication } from '../support/application.js';
import type { Browser } from '../support/browser.js';
import { guardedBy, strategy } from '../support/guarded-by.js';

// Node 23 dropped it, and connect-flash calls it.
(util as { isArray?: unknown }).isArray ??= Array.isArray;
const { default: flash } = await import('connect-flash');

const ADA = { id: '1', name: 'Ada' };
const GRACE = { id: '2', name: 'Grace' };
const CREDENTIALS = { username: 'ada', password: 'lovelace' };
const NOBODY = { nobody: true };

type Strategy = ReturnType<typeof strategy>;

const applications: TestApplication[] = [];

afterEach(async () => {
  for (const application of applications.splice(0)) await application.close();
});

async function started(
  names: string | string[],
  options: LoginGuardOptions | undefined,
  strategies: Strategy[],
  more: Parameters<typeof guardedBy>[2] = {},
): Promise<TestApplication> {
  const providers = [SnapshotSerializer, LocalStrategy, ...strategies];
  const application = await guardedBy(names, options, { providers, ...more });
  applications.push(application);
  return application;
}

const isIn = async (browser: Browser) => (await browser.get('/me')).status === 200;
const attempt = (browser: Browser, json: object = CREDENTIALS) => browser.post('/try', { json });
const put = (browser: Browser, key: string, value: unknown) =>
  browser.request('PUT', `/session/${key}`, { json: { value } });
const sessionOf = async (browser: Browser) => (await browser.get('/session')).json();

describePlatforms(() => {
  describe('a strategy that passes', () => {
    const passing = strategy('passing', function () {
      this.pass();
    });
    const refusing = strategy('refusing', function () {
      this.fail('Refusing realm="x"');
    });
    const knowing = strategy('knowing', function () {
      this.success(GRACE);
    });
    const claiming = strategy('claiming', function (request) {
      request.user = GRACE;
      this.pass();
    });
    const strategies = [passing, refusing, knowing, claiming];

    it.each([[['passing']], [['refusing', 'passing']], [['passing', 'knowing']], [['passing', 'refusing']]])(
      'lets the request go on as it is, as nobody, with %j',
      async (names) => {
        const application = await started(names, {}, strategies);
        const browser = application.browser();
        const response = await attempt(browser);

        expect([response.status, response.json(), response.setCookies]).toEqual([200, NOBODY, []]);
        expect(response.headers['www-authenticate']).toBeUndefined();
        expect([await isIn(browser), application.events]).toEqual([false, []]);
      },
    );

    it('leaves the user and the session as they were', async () => {
      const application = await started(
        'passing',
        { successRedirect: '/elsewhere', failureRedirect: '/x' },
        strategies,
      );
      const browser = await application.loggedIn();
      await put(browser, 'color', 'blue');
      const response = await attempt(browser);

      expect([response.status, response.json(), response.setCookies]).toEqual([200, ADA, []]);
      expect([await isIn(browser), await sessionOf(browser)]).toEqual([true, { color: 'blue' }]);
      expect(application.events.map(({ type }) => type)).toEqual(['logged-in']);
    });

    it('logs nobody in by a user whom it has set by itself', async () => {
      @Controller('guarded')
      class GuardedController {
        @Post()
        @UseGuards(LoginGuard('claiming'), SessionGuard)
        run() {
          return 'in';
        }
      }
      const application = await started('claiming', {}, strategies, { controllers: [GuardedController] });
      const browser = application.browser();
      await attempt(browser);

      expect(await isIn(browser)).toBe(false);
      expect((await browser.post('/guarded')).status).toBe(401);
    });

    it.each([['session'], [['local', 'session']]])(
      'is refused at boot where it is that of Passport, which always passes: %j',
      async (names) => {
        await expect(started(names, undefined, [])).rejects.toMatchObject({
          code: 'unknown_strategy',
          message: expect.stringContaining('use SessionGuard'),
        });
      },
    );

    it('may be called "session" where it is one of the application', async () => {
      const own = strategy('session', function () {
        this.success(GRACE);
      });
      const application = await started('session', {}, [own]);

      expect((await attempt(application.browser())).json()).toEqual(GRACE);
    });
  });

  describe('a refusal', () => {
    const DEFAULT = 'The login was refused.';
    const refusing = (...args: unknown[]) =>
      strategy('refusing', function () {
        this.fail(...(args as [string, number]));
      });

    it.each<[unknown[], number, string, string | undefined]>([
      [[], 401, DEFAULT, undefined],
      [[''], 401, DEFAULT, ''],
      [['This account is locked.'], 401, 'This account is locked.', 'This account is locked.'],
      [['Locked'], 401, 'Locked', 'Locked'],
      [['Bearer token expired'], 401, 'Bearer token expired', 'Bearer token expired'],
      [['Заблокирован'], 401, 'Заблокирован', undefined],
      [['two\r\nX-Lines: 1'], 401, 'two\r\nX-Lines: 1', undefined],
      [[{ message: 'Locked' }], 401, 'Locked', undefined],
      [[new Error('No auth token')], 401, 'No auth token', undefined],
      [[{ message: 7 }], 401, DEFAULT, undefined],
      [[401], 401, DEFAULT, undefined],
      [[403], 403, 'The credentials could not be read.', undefined],
      [['Not you', 403], 403, 'Not you', undefined],
      [[{ message: 'Missing credentials' }, 400], 400, 'Missing credentials', undefined],
      [['Basic realm="Users"'], 401, DEFAULT, 'Basic realm="Users"'],
      [['Bearer realm="Users", error="invalid_token"'], 401, DEFAULT, 'Bearer realm="Users", error="invalid_token"'],
      [['Negotiate'], 401, DEFAULT, 'Negotiate'],
      [['Negotiate oYG1MIGyoAMKAQE='], 401, DEFAULT, 'Negotiate oYG1MIGyoAMKAQE='],
    ])('by fail(...%j) is %i, in the words of the strategy', async (args, status, message, challenge) => {
      const application = await started('refusing', {}, [refusing(...args)]);
      const response = await attempt(application.browser());

      expect(response.status).toBe(status);
      expect(response.json()).toEqual({ statusCode: status, code: 'login_failed', message });
      expect(response.headers['www-authenticate']).toBe(challenge);
      expect(application.events).toMatchObject([{ type: 'login-failed', reason: message }]);
    });

    it('by several strategies has the first message and all challenges', async () => {
      const basic = strategy('basic', function () {
        this.fail('Basic realm="Users"');
      });
      const bearer = strategy('bearer', function () {
        this.fail('Bearer realm="Users"');
      });
      const application = await started(['basic', 'refusing', 'bearer'], {}, [
        basic,
        refusing({ message: 'Locked' }),
        bearer,
      ]);
      const response = await attempt(application.browser());

      expect(response.json()).toMatchObject({ statusCode: 401, message: 'Locked' });
      expect(response.headers['www-authenticate']).toBe('Basic realm="Users", Bearer realm="Users"');
    });

    it('that comes later, in a callback, can fail without ending the process', async () => {
      const late = strategy('late', function () {
        setImmediate(() => {
          this.fail('Locked');
        });
      });
      const application = await started('late', { session: false, failureMessage: true }, [late], {
        options: { exclude: ['try'] },
      });

      expect((await attempt(application.browser())).status).toBe(500);
      expect((await application.browser().get('/public')).status).toBe(200);
    });
  });

  describe('the messages of a login', () => {
    @Controller('flash')
    class FlashController {
      @Get()
      read(@Req() request: Request): Record<string, string[]> {
        return nodeRequest(request).flash();
      }
      @Post()
      @HttpCode(200)
      write(@Req() request: Request) {
        nodeRequest(request).flash('info', 'Please log in');
        return {};
      }
    }
    @Module({})
    class FlashModule implements NestModule {
      configure(consumer: MiddlewareConsumer) {
        consumer.apply(flash()).forRoutes('*path');
      }
    }
    const welcoming = strategy('welcoming', function (request) {
      const { body } = request as SessionRequest & { body: { id?: string } };
      this.success({ ...ADA, id: body.id ?? '1' }, { type: 'greeting', message: 'Welcome, Ada' });
    });
    const flashing = strategy('flashing', function (request) {
      (request as Request).flash('info', 'Checked');
      this.success(ADA, 'Hello' as never);
    });
    const refusing = strategy('refusing', function () {
      this.fail({ type: 'warning', message: 'Locked' });
    });
    const withFlash = (names: string, options: LoginGuardOptions) =>
      started(names, options, [welcoming, flashing, refusing], {
        controllers: [FlashController],
        imports: [FlashModule],
      });
    const flashed = async (browser: Browser) => (await browser.get('/flash')).json();

    it.each<[string, LoginGuardOptions, object]>([
      ['welcoming', { successFlash: 'You are in' }, { success: ['You are in'] }],
      ['welcoming', { successFlash: true }, { greeting: ['Welcome, Ada'] }],
      ['welcoming', { successFlash: { type: 'note', message: 'Hi' } }, { note: ['Hi'] }],
      ['flashing', { successFlash: true }, { info: ['Checked'], success: ['Hello'] }],
      ['flashing', {}, { info: ['Checked'] }],
    ])('by "%s" with %j are in the new session', async (name, options, expected) => {
      const browser = (await withFlash(name, { ...options, successRedirect: '/flash' })).browser();

      expect((await browser.post('/try', { json: CREDENTIALS, follow: true })).json()).toEqual(expected);
      expect(await isIn(browser)).toBe(true);
      expect(await flashed(browser)).toEqual({});
    });

    it.each<[LoginGuardOptions, string]>([
      [{ successMessage: true }, 'Welcome, Ada'],
      [{ successMessage: 'You are in' }, 'You are in'],
    ])('with %j are in session.messages of the new session', async (options, message) => {
      const browser = (await withFlash('welcoming', options)).browser();
      await attempt(browser);

      expect([await isIn(browser), await sessionOf(browser)]).toEqual([true, { messages: [message] }]);
    });

    it('that nobody has read yet go over from the session before', async () => {
      const browser = (await withFlash('welcoming', { successFlash: true })).browser();
      await browser.post('/flash');
      await put(browser, 'messages', ['Your cart is full']);
      await put(browser, 'cart', [1]);
      await attempt(browser);

      expect(await sessionOf(browser)).toEqual({
        messages: ['Your cart is full'],
        flash: { info: ['Please log in'], greeting: ['Welcome, Ada'] },
      });
    });

    it("never go from one user's session into another's, which has its own", async () => {
      const browser = (await withFlash('welcoming', { successFlash: true, successMessage: true })).browser();
      await attempt(browser, { id: '2' });
      await put(browser, 'messages', ['For the eyes of 2 only']);
      await attempt(browser, { id: '1' });

      expect(await sessionOf(browser)).toEqual({
        messages: ['Welcome, Ada'],
        flash: { greeting: ['Welcome, Ada'] },
      });
    });

    it.each<[LoginGuardOptions, object]>([
      [{ failureFlash: true }, { warning: ['Locked'] }],
      [{ failureFlash: 'No' }, { error: ['No'] }],
    ])('that tell of a refusal, with %j, are shown by the next page', async (options, expected) => {
      const browser = (await withFlash('refusing', { ...options, failureRedirect: '/flash' })).browser();

      expect((await browser.post('/try', { json: CREDENTIALS, follow: true })).json()).toEqual(expected);
      expect(await isIn(browser)).toBe(false);
    });

    it.each<LoginGuardOptions>([
      { successFlash: true },
      { failureFlash: 'No' },
      { successFlash: false, failureFlash: true },
    ])('by %j without connect-flash fail, and log nobody in', async (options) => {
      const browser = (await started('local', options, [])).browser();
      const response = await attempt(browser);

      expect([response.status, response.setCookies, await isIn(browser)]).toEqual([500, [], false]);
    });
  });

  describe("Passport's other options", () => {
    const knowing = strategy('knowing', function () {
      this.success(ADA, { scope: 'all' });
    });

    it('assignProperty sets the user there, for the request alone', async () => {
      @Controller('assigned')
      class AssignedController {
        @Post()
        @UseGuards(LoginGuard('knowing', { assignProperty: 'account' }))
        show(@Req() { account, user }: Request & { account?: unknown }) {
          return { account, user: user ?? null };
        }
      }
      const browser = (await started('knowing', {}, [knowing], { controllers: [AssignedController] })).browser();
      const response = await browser.post('/assigned');

      expect([response.json(), response.setCookies]).toEqual([{ account: ADA, user: null }, []]);
      expect(await isIn(browser)).toBe(false);
    });

    it.each([
      [undefined, { scope: 'all' }],
      [false, null],
    ])('authInfo: %j leaves the info of the strategy so', async (authInfo, expected) => {
      @Controller('info')
      class InfoController {
        @Post()
        @UseGuards(LoginGuard('knowing', { authInfo }))
        show(@Req() request: Request) {
          return { info: request.authInfo ?? null };
        }
      }
      const browser = (await started('knowing', {}, [knowing], { controllers: [InfoController] })).browser();

      expect((await browser.post('/info')).json()).toEqual({ info: expected });
    });

    it.each([
      [true, { color: 'blue' }],
      [false, {}],
    ])('keepSessionInfo: %j leaves the data of the session before so', async (keepSessionInfo, expected) => {
      const browser = (await started('local', { keepSessionInfo }, [])).browser();
      await put(browser, 'color', 'blue');
      await attempt(browser);

      expect([await isIn(browser), await sessionOf(browser)]).toEqual([true, expected]);
    });
  });

  describe('the redirect after a login', () => {
    const returning = { keep: ['returnTo'], successReturnToOrRedirect: '/public' };

    it.each([
      ...['//evil.test/x', '///evil.test', '/\\evil.test', '\\\\evil.test', '/\t/evil.test', '\t//evil.test'],
      ...[
        '/.//evil.test',
        '/a/..//evil.test',
        'https:evil.test',
        'https://evil.test/',
        'javascript:alert(1)',
        'me',
        '',
      ],
      ...[7, ['/me'], { href: '/me' }],
    ])('never goes to what is no path of this site, though session.returnTo is %j', async (returnTo) => {
      const browser = (await started('local', returning, [])).browser();
      await put(browser, 'returnTo', returnTo);
      const response = await attempt(browser);

      expect([response.status, response.headers.location]).toEqual([302, '/public']);
      expect([await isIn(browser), await sessionOf(browser)]).toEqual([true, {}]);
    });

    it.each([
      ['/me?from=here#top', '/me?from=here#top'],
      ['/%2F%2Fevil.test', '/%2F%2Fevil.test'],
      ['/a\\..\\me', '/me'],
      ['/grüße', '/gr%C3%BC%C3%9Fe'],
    ])('goes to session.returnTo %j as %j', async (returnTo, expected) => {
      const browser = (await started('local', returning, [])).browser();
      await put(browser, 'returnTo', returnTo);

      expect((await attempt(browser)).headers.location).toBe(expected);
    });

    it.each(['successRedirect', 'successReturnToOrRedirect'])(
      'goes to another site where the application itself has written that, by %s',
      async (option) => {
        const browser = (await started('local', { [option]: 'https://app.example.com/home' }, [])).browser();

        expect((await attempt(browser)).headers.location).toBe('https://app.example.com/home');
      },
    );
  });
});
