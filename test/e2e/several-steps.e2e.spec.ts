import { Body, Controller, Get, HttpCode, Injectable, Post, Req, UseGuards } from '@nestjs/common';
import { PassportStrategy } from '@nestjs/passport';
import session from 'express-session';
import { Strategy as CustomStrategy } from 'passport-custom';
import {
  CurrentUser,
  LoginGuard,
  type LogInOptions,
  PendingLogin,
  RequireFreshLogin,
  SessionAuthService,
  SessionGuard,
  SessionRegistry,
  type SessionRequest,
} from '../../lib/index.js';
import { LocalStrategy, SnapshotSerializer, type TestApplication, type User } from '../support/application.js';
import type { Browser } from '../support/browser.js';
import { cookieOf, handlesIn, idOf, put, sessionsIn } from '../support/devices.js';
import { describePlatforms } from '../support/platforms.js';

const ADA = { id: '1', name: 'Ada' };

/** Takes the code "123456" of whoever is logging in, and "grace" for Grace. */
@Injectable()
class TotpStrategy extends PassportStrategy(CustomStrategy, 'totp') {
  validate(request: SessionRequest & { body?: { code?: string } }): unknown {
    const { code } = request.body ?? {};
    if (code === 'grace') return { id: '2', name: 'Grace' };
    return code === '123456' ? (request.user ?? false) : false;
  }
}

@Controller('steps')
class StepsController {
  constructor(private readonly auth: SessionAuthService) {}

  @Post('password')
  @HttpCode(200)
  @UseGuards(
    LoginGuard('local', {
      method: 'password',
      keep: ['returnTo'],
      pending: (_: User, { body }: SessionRequest & { body: { pending?: string[] } }) => body.pending ?? ['totp'],
    }),
  )
  begin(@Req() request: SessionRequest, @CurrentUser() user: unknown) {
    return { user: user ?? null, at: request.user ?? null };
  }

  @Post('totp')
  @HttpCode(200)
  @PendingLogin()
  @UseGuards(LoginGuard('totp', { method: 'totp' }))
  totp(@CurrentUser() user: User) {
    return user;
  }

  /** What another route of the application makes of the same strategy. */
  @Post('unmarked')
  @HttpCode(200)
  @UseGuards(LoginGuard('totp', { method: 'totp' }))
  unmarked(@CurrentUser() user: User | undefined) {
    return user ?? {};
  }

  @Post('complete')
  @HttpCode(200)
  async complete(@Req() request: SessionRequest, @Body() { method }: { method: string }) {
    await this.auth.completeLogin(request, method);
    return { user: request.user ?? null };
  }

  @Post('log-in')
  @HttpCode(200)
  async logIn(@Req() request: SessionRequest, @Body() options: LogInOptions) {
    await this.auth.logIn(request, ADA, options);
    return {};
  }

  @Get('whose')
  @PendingLogin()
  @UseGuards(SessionGuard)
  whose(@CurrentUser() user: User, @Req() request: SessionRequest & { isAuthenticated(): boolean }) {
    return { user, at: request.user ?? null, authenticated: request.isAuthenticated() };
  }

  @Get('nobody')
  nobody(@CurrentUser() user: unknown, @Req() request: SessionRequest & { isAuthenticated(): boolean }) {
    const current = () => this.auth.current(request);
    return {
      user: user ?? null,
      at: request.user ?? null,
      authenticated: request.isAuthenticated(),
      current: codeOf(current),
    };
  }

  @Get('fresh')
  @RequireFreshLogin('5m', { methods: ['password'] })
  freshPassword() {
    return {};
  }

  @Get('fresh/totp')
  @RequireFreshLogin('5m', { methods: ['totp'] })
  freshTotp() {
    return {};
  }

  @Get('once')
  @RequireFreshLogin('5m', { methods: ['password'], once: true })
  oncePassword() {
    return {};
  }

  @Get('once/any')
  @RequireFreshLogin('5m', { once: true })
  onceAny() {
    return {};
  }

  @Get('once/both')
  @RequireFreshLogin('5m', { methods: ['password', 'totp'], once: true })
  onceBoth() {
    return {};
  }

  @Get('once/totp')
  @RequireFreshLogin('5m', { methods: ['totp'], once: true })
  onceTotp() {
    return {};
  }
}

@Controller('class')
@PendingLogin()
@UseGuards(SessionGuard)
class MarkedController {
  @Get()
  whose(@CurrentUser() user: User) {
    return user;
  }
}

/** Inherits the guard, and not the mark. */
@Controller('subclass')
class SubclassController extends MarkedController {}

function codeOf(work: () => unknown): unknown {
  try {
    return work();
  } catch (error) {
    return (error as { code?: string }).code;
  }
}

const STALE = 'fresh_login_required';
const CREDENTIALS = { username: 'ada', password: 'lovelace' };
const CONTROLLERS = [StepsController, MarkedController, SubclassController];

describePlatforms(() => {
  describe.each(['memory', 'redis', 'a store of express-session'])(
    'a login in several steps, sessions in %s',
    (where) => {
      const home = sessionsIn(where === 'redis' ? 'redis' : 'memory');
      const isForeign = where.startsWith('a store');

      const start = (options: Parameters<typeof home.start>[0] = {}) =>
        home.start({
          controllers: CONTROLLERS,
          providers: [SnapshotSerializer, LocalStrategy, TotpStrategy],
          ...options,
          options: { ...(isForeign && { store: new session.MemoryStore() }), ...options.options },
        });
      let application: TestApplication;
      let browser: Browser;

      const begin = (pending?: string[], by = browser) =>
        by.post('/steps/password', { json: { ...CREDENTIALS, pending } });
      const complete = (method: string, by = browser) => by.post('/steps/complete', { json: { method } });
      const ask = async (path: string, by = browser) => {
        const { status, json } = await by.get(path);
        return json<{ code?: string }>().code ?? status;
      };
      const namesOf = (type: string) => application.events.filter((event) => event.type === type);

      beforeEach(async () => {
        application = await start();
        browser = application.browser();
      });

      it('is nobody until the last one is done', async () => {
        const response = await begin();
        expect([response.status, response.json()]).toEqual([200, { user: null, at: null }]);

        const refused = await browser.get('/me');
        expect(refused.status).toBe(401);
        expect(refused.json()).toEqual({
          statusCode: 401,
          code: 'login_incomplete',
          message: expect.any(String),
          pending: ['totp'],
        });
        expect((await browser.get('/steps/nobody')).json()).toEqual({
          user: null,
          at: null,
          authenticated: false,
          current: 'login_incomplete',
        });
        expect((await browser.get('/session')).json()).not.toHaveProperty('passport');
        expect(namesOf('logged-in')).toEqual([]);
        expect(namesOf('login-pending')).toMatchObject([{ userId: '1', method: 'password', pending: ['totp'] }]);
        if (!isForeign) {
          const registry = application.app.get(SessionRegistry);
          expect([await registry.count('1'), await registry.list('1')]).toEqual([0, []]);
        }
      });

      it('is completed by completeLogin(), under a new id that is the only one', async () => {
        await begin();
        const [pending, cookie] = [idOf(browser), cookieOf(browser)];
        const response = await complete('totp');

        expect([response.status, response.json()]).toEqual([200, { user: ADA }]);
        expect((await browser.get('/me')).json()).toEqual(ADA);
        expect(idOf(browser).handle).not.toBe(pending.handle);
        expect(idOf(browser).secret).not.toBe(pending.secret);
        expect(namesOf('logged-in')).toMatchObject([{ userId: '1', method: 'totp', methods: ['password', 'totp'] }]);
        const old = application.browser();
        expect((await old.get('/me', { headers: { cookie } })).json()).toMatchObject({ code: 'unauthenticated' });
        expect((await old.get('/steps/whose', { headers: { cookie } })).status).toBe(401);
      });

      it('is completed by a LoginGuard that waits for the method', async () => {
        await begin();
        const wrong = await browser.post('/steps/totp', { json: { code: '1' } });
        expect(wrong.json()).toMatchObject({ statusCode: 401, code: 'login_failed' });
        expect(await ask('/me')).toBe('login_incomplete');
        const response = await browser.post('/steps/totp', { json: { code: '123456' } });

        expect([response.status, response.json()]).toEqual([200, ADA]);
        expect(await ask('/me')).toBe(200);
      });

      it('is not completed for another user', async () => {
        await begin();
        const response = await browser.post('/steps/totp', { json: { code: 'grace' } });

        expect(response.json()).toMatchObject({ statusCode: 401, code: 'login_failed' });
        expect(await ask('/me')).toBe('login_incomplete');
        expect(namesOf('logged-in')).toEqual([]);
      });

      it('needs a login that is pending, on a route of its steps', async () => {
        const response = await browser.post('/steps/totp', { json: { code: 'grace' } });

        expect(response.json()).toMatchObject({ statusCode: 401, code: 'unauthenticated' });
        expect((await complete('totp')).json()).toMatchObject({ statusCode: 401, code: 'unauthenticated' });
        expect(namesOf('logged-in')).toEqual([]);
      });

      it('shows a strategy its user on a route of its steps, and nowhere else', async () => {
        await begin();
        const elsewhere = await browser.post('/steps/unmarked', { json: { code: '123456' } });

        expect(elsewhere.json()).toMatchObject({ statusCode: 401, code: 'login_failed' });
      });

      it('is seen on marked routes alone, by @CurrentUser()', async () => {
        await begin();

        expect((await browser.get('/steps/whose')).json()).toEqual({ user: ADA, at: null, authenticated: false });
        expect((await browser.get('/class')).json()).toEqual(ADA);
        expect(await ask('/subclass')).toBe('login_incomplete');
        expect(await ask('/steps/fresh')).toBe('login_incomplete');
        await complete('totp');
        expect((await browser.get('/steps/whose')).json()).toEqual({ user: ADA, at: ADA, authenticated: true });
        expect(await ask('/steps/whose', application.browser())).toBe('unauthenticated');
      });

      it('takes three steps in any order, each once', async () => {
        await begin(['totp', 'sms', 'totp']);
        expect((await complete('webauthn')).json()).toMatchObject({
          code: 'login_incomplete',
          pending: ['totp', 'sms'],
        });
        expect((await complete('sms')).json()).toEqual({ user: null });
        expect((await browser.get('/me')).json()).toMatchObject({ code: 'login_incomplete', pending: ['totp'] });
        expect((await complete('sms')).json()).toMatchObject({ code: 'login_incomplete', pending: ['totp'] });
        expect((await complete('totp')).json()).toEqual({ user: ADA });
        expect(namesOf('logged-in')).toMatchObject([{ methods: ['password', 'sms', 'totp'] }]);
        expect(namesOf('login-pending')).toMatchObject([{ pending: ['totp', 'sms'] }, { pending: ['totp'] }]);
      });

      it('keeps each proof with its time', async () => {
        await begin();
        application.clock.advance('3m');
        await complete('totp');
        expect([await ask('/steps/fresh'), await ask('/steps/fresh/totp')]).toEqual([200, 200]);
        application.clock.advance('2m');
        expect([await ask('/steps/fresh'), await ask('/steps/fresh/totp')]).toEqual(['fresh_login_required', 200]);
        await browser.post('/proof/step-up', { json: { method: 'password' } });
        expect([await ask('/steps/fresh'), await ask('/steps/fresh/totp')]).toEqual([200, 200]);
        application.clock.advance('3m');
        expect([await ask('/steps/fresh'), await ask('/steps/fresh/totp')]).toEqual([200, 'fresh_login_required']);
      });

      it('has each proof used up by itself, and for good', async () => {
        await begin();
        await complete('totp');
        const asked = async () => [await ask('/steps/once'), await ask('/steps/once/totp')];
        expect([await ask('/steps/once'), await ask('/steps/once')]).toEqual([200, 'fresh_login_required']);
        expect(await asked()).toEqual(['fresh_login_required', 200]);
        await browser.post('/proof/step-up', { json: { method: 'totp' } });
        expect(await asked()).toEqual(['fresh_login_required', 200]);
        await browser.post('/proof/step-up', { json: { method: 'password' } });
        expect(await asked()).toEqual([200, 'fresh_login_required']);
      });

      it.each(['/steps/once/any', '/steps/once/both'])('passes %s once, and again after a new proof', async (path) => {
        await begin();
        application.clock.advance('1m');
        await complete('totp');
        expect([await ask(path), await ask(path), await ask(path)]).toEqual([200, STALE, STALE]);
        expect([await ask('/steps/once'), await ask('/steps/once/totp')]).toEqual([STALE, STALE]);
        await browser.post('/proof/step-up', { json: { method: 'password' } });
        expect([await ask(path), await ask(path)]).toEqual([200, STALE]);
      });

      it('has the proof used up by the route that asked for it, and keeps the other one', async () => {
        await begin();
        await complete('totp');
        expect([await ask('/steps/once/totp'), await ask('/steps/once/totp')]).toEqual([200, STALE]);
        expect([await ask('/steps/once'), await ask('/steps/once')]).toEqual([200, STALE]);
        expect([await ask('/steps/fresh'), await ask('/steps/fresh/totp')]).toEqual([200, 200]);
      });

      it('may take ten minutes, in spite of activity', async () => {
        await begin();
        for (let minute = 0; minute < 9; minute++) {
          application.clock.advance('1m');
          expect(await ask('/me')).toBe('login_incomplete');
        }
        application.clock.advance('1m');

        expect(await ask('/me')).toBe('unauthenticated');
        expect((await complete('totp')).status).toBe(401);
      });

      it('carries the data of its session along, and the data that were kept', async () => {
        await put(browser, 'returnTo', '/account');
        await put(browser, 'dropped', true);
        await begin();
        await put(browser, 'challenge', 'abc');
        await complete('totp');

        expect((await browser.get('/session')).json()).toEqual({
          returnTo: '/account',
          challenge: 'abc',
        });
      });

      it('leaves nothing to another user who logs in instead', async () => {
        await begin();
        await put(browser, 'returnTo', '/of-ada');
        await browser.post('/login', { json: { username: 'grace', password: 'hopper' } });

        expect((await browser.get('/session')).json()).not.toHaveProperty('returnTo');
        expect((await browser.get('/me')).json()).toEqual({ id: '2', name: 'Grace' });
        expect((await complete('totp')).status).toBe(200); // A new proof of Grace's.
        expect((await browser.get('/me')).json()).toEqual({ id: '2', name: 'Grace' });
      });

      it('ends who was logged in before, and by a logout', async () => {
        await browser.post('/login', { json: CREDENTIALS });
        const cookie = cookieOf(browser);
        await begin();
        expect((await application.browser().get('/me', { headers: { cookie } })).status).toBe(401);
        await browser.post('/logout');

        expect((await complete('totp')).status).toBe(401);
        expect(await ask('/me')).toBe('unauthenticated');
      });

      it('is remembered from its end on', async () => {
        await browser.post('/steps/log-in', { json: { method: 'password', pending: ['totp'], remember: '30d' } });
        application.clock.advance('9m');
        await complete('totp');
        application.clock.advance('29d');

        expect(await ask('/me')).toBe(200);
        expect(await ask('/steps/fresh/totp')).toBe('fresh_login_required');
      });

      it('is one login, where two tabs complete it at once', async () => {
        const rounds = 20;
        let held = 0;
        for (let round = 0; round < rounds; round++) {
          const visitor = application.browser();
          await begin(undefined, visitor);
          const headers = { cookie: cookieOf(visitor) };
          const before = namesOf('logged-in').length;
          const responses = await Promise.all(
            [1, 2, 3].map(() => application.browser().post('/steps/complete', { json: { method: 'totp' }, headers })),
          );
          const statuses = responses.map(({ status }) => status).sort();
          if (String(statuses) === '200,401,401' && namesOf('logged-in').length === before + 1) held++;
        }

        expect(held).toBe(rounds);
      });

      it('is no login, where two tabs prove its two methods at once, until both have', async () => {
        let held = 0;
        for (let round = 0; round < 20; round++) {
          const visitor = application.browser();
          await begin(['totp', 'sms'], visitor);
          const headers = { cookie: cookieOf(visitor) };
          const before = namesOf('logged-in').length;
          const responses = await Promise.all(
            ['totp', 'sms'].map((method) =>
              application.browser().post('/steps/complete', { json: { method }, headers }),
            ),
          );
          const users = responses.map(({ json }) => json<{ user?: unknown }>().user);
          if (users.filter(Boolean).length === 1 && namesOf('logged-in').length === before + 1) held++;
        }

        expect(held).toBe(20);
      });

      it('refuses what is no list of methods', async () => {
        for (const pending of ['totp', [''], [1]]) {
          expect((await browser.post('/steps/log-in', { json: { pending } })).status).toBe(500);
        }
        expect(await handlesIfKnown()).toEqual([]);
        expect(() => LoginGuard('local', { pending: 'totp' as never })).not.toThrow();
        await expect(start({ controllers: [MistakenController] })).rejects.toThrow(/"pending" is 'totp'/);
      });

      const handlesIfKnown = () => (isForeign ? [] : handlesIn(application));

      if (!isForeign) {
        it('counts for the limit when it is complete', async () => {
          application = await start({ options: { maxSessions: { limit: 1, overflow: 'reject' } } });
          [browser] = [application.browser()];
          const other = application.browser();
          await begin();
          expect((await begin(undefined, other)).status).toBe(200);
          expect((await complete('totp', other)).status).toBe(200);
          const response = await complete('totp');

          expect(response.json()).toMatchObject({ statusCode: 409, code: 'too_many_sessions' });
          expect(await ask('/me')).toBe('login_incomplete');
          expect(await ask('/me', other)).toBe(200);
          expect(await application.app.get(SessionRegistry).count('1')).toBe(1);
          await other.post('/logout');
          expect((await complete('totp')).json()).toEqual({ user: ADA });
        });
      }
    },
  );
});

@Controller('mistaken')
class MistakenController {
  @Post()
  @UseGuards(LoginGuard('local', { pending: 'totp' as never }))
  begin() {
    return {};
  }
}
