import {
  Controller,
  type ExecutionContext,
  Get,
  HttpCode,
  type HttpException,
  ImATeapotException,
  Inject,
  Injectable,
  Post,
  Req,
  Scope,
  UseGuards,
} from '@nestjs/common';
import { Test } from '@nestjs/testing';
import type { Request } from 'express';
import {
  CurrentSession,
  CurrentUser,
  LoginGuard,
  type LoginGuardOptions,
  SessionAuthService,
  SessionGuard,
} from '../../lib/index.js';
import { LocalStrategy, SnapshotSerializer, type TestApplication, type User } from '../support/application.js';
import type { Browser } from '../support/browser.js';
import { guardedBy, guardedWith, strategy } from '../support/guarded-by.js';
import { createAdapter, describePlatforms } from '../support/platforms.js';

const ADA = { id: '1', name: 'Ada' };
const CREDENTIALS = { username: 'ada', password: 'lovelace' };
const NOBODY = { nobody: true };

const applications: TestApplication[] = [];

afterEach(async () => {
  for (const application of applications.splice(0)) await application.close();
});

async function closedAtTheEnd(starting: Promise<TestApplication>): Promise<TestApplication> {
  const application = await starting;
  applications.push(application);
  return application;
}

const strategies = (...more: ReturnType<typeof strategy>[]) => ({
  providers: [SnapshotSerializer, LocalStrategy, ...more],
});
const isIn = async (browser: Browser) => (await browser.get('/me')).status === 200;
const logIn = (browser: Browser, json: object = CREDENTIALS) => browser.post('/try', { json });

function thrownBy(work: () => unknown): unknown {
  try {
    return work();
  } catch (error) {
    return error;
  }
}

describe('the class that LoginGuard gives', () => {
  it('is one and the same for the same strategies', () => {
    expect(LoginGuard('local')).toBe(LoginGuard('local'));
    expect(LoginGuard(['local'])).toBe(LoginGuard('local'));
    expect(LoginGuard(['local', 'totp'])).toBe(LoginGuard(['local', 'totp']));
  });

  it('is another one for other strategies, another order, and options', () => {
    const classes = [
      LoginGuard('local'),
      LoginGuard('totp'),
      LoginGuard(['local', 'totp']),
      LoginGuard(['totp', 'local']),
      LoginGuard('local, totp'),
      LoginGuard('local', {}),
      LoginGuard('local', {}),
    ];

    expect(new Set(classes).size).toBe(classes.length);
  });

  it('has a name that tells the strategies', () => {
    expect([LoginGuard('local').name, LoginGuard(['local', 'totp'], { method: 'password' }).name]).toEqual([
      'LoginGuard(local)',
      'LoginGuard(local, totp)',
    ]);
  });

  it('can be replaced in a unit test, without the module and its dependencies', async () => {
    @Controller()
    class UnitController {
      @Post('login')
      @UseGuards(LoginGuard('local'))
      logIn() {
        return 'in';
      }
      @Get('me')
      @UseGuards(SessionGuard)
      me() {
        return 'me';
      }
    }
    const unit = () => Test.createTestingModule({ controllers: [UnitController] });
    const everybody = { canActivate: () => true };

    const module = await unit()
      .overrideGuard(LoginGuard('local'))
      .useValue(everybody)
      .overrideGuard(SessionGuard)
      .useValue(everybody)
      .compile();

    expect(module.get(UnitController).logIn()).toBe('in');
    await expect(unit().overrideGuard(SessionGuard).useValue(everybody).compile()).rejects.toThrow('LoginGuard(local)');
  });

  describePlatforms((platform) => {
    it('decides in the place of the replaced one over HTTP, too', async () => {
      @Controller()
      class RouteController {
        @Post('login')
        @UseGuards(LoginGuard('local'))
        logIn(@CurrentUser() user: User) {
          return user;
        }
      }
      const module = await Test.createTestingModule({ controllers: [RouteController] })
        .overrideGuard(LoginGuard('local'))
        .useValue({
          canActivate(context: ExecutionContext) {
            context.switchToHttp().getRequest<Request>().user = ADA;
            return true;
          },
        })
        .compile();
      const app = module.createNestApplication(createAdapter(platform), { logger: false });
      await app.listen(0, '127.0.0.1');
      try {
        const response = await fetch(`${await app.getUrl()}/login`, { method: 'POST' });
        expect(await response.json()).toEqual(ADA);
      } finally {
        await app.close();
      }
    });
  });
});

describe('a mistake in the arguments of LoginGuard', () => {
  class NoName {}

  it.each<[string, unknown]>([
    ['undefined', undefined],
    ['null', null],
    ['an empty list', []],
    ['a list with a gap', ['local', undefined]],
    ['a class', NoName],
    ['a number', 7],
    ['an object', { strategy: 'local' }],
  ])('fails at once where the strategy is %s', (_, strategies) => {
    for (const options of [undefined, {}]) {
      const error: unknown = thrownBy(() => LoginGuard(strategies as string, options));
      expect(error).toMatchObject({
        name: 'SessionAuthConfigurationError',
        code: 'unknown_strategy',
        message: expect.stringMatching(/^LoginGuard\(\) was given .*LoginGuard\('local'\)/s),
      });
    }
  });

  const wrong = ['returnTo', '', 7, {}, true, null, ['returnTo', 7], [undefined]];

  it.each(wrong)('fails the boot where keep is %j', async (keep) => {
    await expect(guardedBy('local', { keep: keep as string[] })).rejects.toMatchObject({
      code: 'invalid_option',
      message: expect.stringContaining('"keep"'),
    });
  });

  it.each([
    ['request-scoped', Scope.REQUEST],
    ['transient', Scope.TRANSIENT],
  ])('that the strategy is %s is what the boot tells', async (_, scope) => {
    @Injectable({ scope })
    class ScopedStrategy extends LocalStrategy {}

    await expect(guardedBy('local', {}, { providers: [SnapshotSerializer, ScopedStrategy] })).rejects.toMatchObject({
      code: 'unknown_strategy',
      message: expect.stringContaining('ScopedStrategy is request-scoped or transient'),
    });
  });

  it('that the strategy depends on a request-scoped provider is what the boot tells', async () => {
    @Injectable({ scope: Scope.REQUEST })
    class Tenant {}
    @Injectable()
    class TenantStrategy extends LocalStrategy {
      constructor(@Inject(Tenant) readonly tenant: Tenant) {
        super();
      }
    }
    const providers = [SnapshotSerializer, Tenant, { provide: 'strategy', useClass: TenantStrategy }];

    await expect(guardedBy('local', {}, { providers })).rejects.toThrow('request-scoped');
  });

  describePlatforms(() => {
    it.each(wrong)('is a 500 where the options for a request say that keep is %j', async (keep) => {
      class Guard extends LoginGuard('local') {
        protected override getAuthenticateOptions() {
          return { keep: keep as string[] };
        }
      }
      const browser = (await closedAtTheEnd(guardedWith(Guard))).browser();

      expect([(await logIn(browser)).status, await isIn(browser)]).toEqual([500, false]);
    });

    it('is no matter where a scoped strategy stands beside the named one', async () => {
      @Injectable({ scope: Scope.REQUEST })
      class ScopedStrategy extends LocalStrategy {}
      const { providers } = strategies();
      const application = await closedAtTheEnd(guardedBy('local', {}, { providers: [...providers, ScopedStrategy] }));

      expect((await logIn(application.browser())).status).toBe(200);
    });
  });
});

describePlatforms(() => {
  describe('a guard that extends LoginGuard', () => {
    /** Tells the options that it has been given. */
    const telling = strategy('telling', function (_, { scope, prompt }) {
      this.success({ ...ADA, name: `${scope as string},${(prompt as string | undefined) ?? ''}` });
    });

    it.each<[string, LoginGuardOptions | undefined | Promise<LoginGuardOptions | undefined>, string]>([
      ['at once', { prompt: 'consent' }, 'email,consent'],
      ['later', Promise.resolve({ prompt: 'consent' }), 'email,consent'],
      ['in place of its own', { scope: 'profile' }, 'profile,'],
      ['not at all', undefined, 'email,'],
    ])('gives options for a request %s', async (_, given, expected) => {
      class Guard extends LoginGuard('telling', { scope: 'email' }) {
        protected override getAuthenticateOptions() {
          return given;
        }
      }
      const application = await closedAtTheEnd(guardedWith(Guard, strategies(telling)));

      expect((await logIn(application.browser())).json()).toMatchObject({ name: expected });
    });

    it('sees the request, and may have dependencies of its own', async () => {
      @Injectable()
      class Guard extends LoginGuard('telling') {
        constructor(@Inject('SCOPES') private readonly scopes: Record<string, string>) {
          super();
        }
        override async getAuthenticateOptions(context: ExecutionContext) {
          const { body } = context.switchToHttp().getRequest<Request<object, object, { tenant: string }>>();
          return Promise.resolve({ scope: this.scopes[body.tenant] });
        }
      }
      const providers = [...strategies(telling).providers, { provide: 'SCOPES', useValue: { blue: 'b', red: 'r' } }];
      const application = await closedAtTheEnd(guardedWith(Guard, { providers }));
      const names = ['blue', 'red'].map(async (tenant) => (await logIn(application.browser(), { tenant })).json());

      expect(await Promise.all(names)).toMatchObject([{ name: 'b,' }, { name: 'r,' }]);
    });

    it.each<[string, () => never | Promise<never>, number]>([
      [
        'an error',
        () => {
          throw new Error('no tenant');
        },
        500,
      ],
      ['a rejection', () => Promise.reject(new Error('no tenant')), 500],
      [
        'an HTTP exception',
        () => {
          throw new ImATeapotException();
        },
        418,
      ],
    ])('responds to %s of its options, and logs nobody in', async (_, getAuthenticateOptions, status) => {
      class Guard extends LoginGuard('local') {
        protected override getAuthenticateOptions = getAuthenticateOptions;
      }
      const application = await closedAtTheEnd(guardedWith(Guard));
      const browser = application.browser();

      expect((await logIn(browser)).status).toBe(status);
      expect([await isIn(browser), application.events]).toEqual([false, []]);
    });

    it('does not boot with a strategy that no provider is', async () => {
      class Guard extends LoginGuard('google') {}

      await expect(guardedWith(Guard)).rejects.toThrow('No provider is a Passport strategy named "google"');
    });

    it('can respond to a refusal in a form of its own', async () => {
      class Guard extends LoginGuard('local') {
        protected override handleDenied(reason: HttpException): Promise<boolean> {
          return Promise.reject(new ImATeapotException(`Sorry: ${reason.message}`));
        }
      }
      const application = await closedAtTheEnd(guardedWith(Guard));
      const response = await logIn(application.browser(), { username: 'ada', password: 'x' });

      expect(response.json()).toMatchObject({ statusCode: 418, message: 'Sorry: The login was refused.' });
      expect(application.events).toMatchObject([{ type: 'login-failed' }]);
    });

    describe('and lets a refused request through', () => {
      /** The example of the documentation. */
      class FormGuard extends LoginGuard('local') {
        protected override handleDenied(): Promise<boolean> {
          return Promise.resolve(true);
        }
      }
      @Controller('form')
      class FormController {
        constructor(@Inject(SessionAuthService) private readonly auth: SessionAuthService) {}

        @Post('who')
        @HttpCode(200)
        @UseGuards(FormGuard)
        who(@CurrentUser() user: User | undefined, @Req() request: Request) {
          return { user: user ?? null, own: request.user ?? null, isIn: request.isAuthenticated() };
        }
        @Post('guarded')
        @UseGuards(FormGuard, SessionGuard)
        guarded() {
          return 'in';
        }
        @Post('prove')
        @UseGuards(FormGuard)
        async prove(@Req() request: Request) {
          await this.auth.reauthenticate(request, 'password');
        }
        @Post('other')
        @HttpCode(200)
        @UseGuards(FormGuard)
        async other(@Req() request: Request) {
          await this.auth.logIn(request, { id: '2', name: 'Grace' });
          return request.user;
        }
        @Post('data')
        @HttpCode(200)
        @UseGuards(FormGuard)
        write(@CurrentSession() session: Record<string, unknown>) {
          session['color'] = 'blue';
          return {};
        }
      }
      const WRONG = { username: 'ada', password: 'x' };

      async function loggedIn() {
        const application = await closedAtTheEnd(guardedWith(FormGuard, { controllers: [FormController] }));
        return { application, browser: await application.loggedIn() };
      }

      it('runs the handler without a user, also where the browser has a session with one', async () => {
        const { browser } = await loggedIn();

        const who = (await browser.post('/form/who', { json: WRONG })).json();
        expect(who).toEqual({ user: null, own: null, isIn: false });
        expect((await browser.post('/form/guarded', { json: WRONG })).status).toBe(401);
      });

      it('takes no wrong password for a step-up', async () => {
        const { application, browser } = await loggedIn();
        const response = await browser.post('/form/prove', { json: WRONG });

        expect(response.json()).toMatchObject({ statusCode: 401, code: 'unauthenticated' });
        expect(response.setCookies).toEqual([]);
        expect(application.events.map(({ type }) => type)).toEqual(['logged-in', 'login-failed']);
      });

      it('leaves the session as it was, which can be written to', async () => {
        const { browser } = await loggedIn();
        const response = await browser.post('/form/data', { json: WRONG });

        expect([response.status, response.setCookies]).toEqual([200, []]);
        expect((await browser.get('/me')).json()).toEqual(ADA);
        expect((await browser.get('/session')).json()).toEqual({ color: 'blue' });
      });

      it('lets the handler log in somebody after all', async () => {
        const { browser } = await loggedIn();

        expect((await browser.post('/form/other', { json: WRONG })).json()).toMatchObject({ name: 'Grace' });
        expect((await browser.get('/me')).json()).toMatchObject({ name: 'Grace' });
      });

      it('goes on with the user whose credentials are good', async () => {
        const { browser } = await loggedIn();
        const credentials = { username: 'grace', password: 'hopper' };

        expect((await browser.post('/form/who', { json: credentials })).json()).toMatchObject({
          user: { name: 'Grace' },
        });
      });

      it.each([1, 'yes', {}, [], 'true', false, null, undefined, 0])('is not done by returning %j', async (result) => {
        class Guard extends LoginGuard('local') {
          protected override handleDenied(): Promise<boolean> {
            return Promise.resolve(result as boolean);
          }
        }
        const browser = (await closedAtTheEnd(guardedWith(Guard))).browser();

        expect((await logIn(browser, WRONG)).status).toBe(403);
      });
    });

    it('can let a refused request through, which is not logged in by that', async () => {
      class Guard extends LoginGuard('local') {
        protected override handleDenied(): Promise<boolean> {
          return Promise.resolve(true);
        }
      }
      const browser = (await closedAtTheEnd(guardedWith(Guard))).browser();

      expect((await logIn(browser, { username: 'ada', password: 'x' })).json()).toEqual(NOBODY);
      expect(await isIn(browser)).toBe(false);
    });

    it('ignores computed redirects to another site, and follows those on this one', async () => {
      class Guard extends LoginGuard('local', { failureRedirect: 'https://sso.example.com/login' }) {
        protected override getAuthenticateOptions(context: ExecutionContext) {
          const { next } = context.switchToHttp().getRequest<Request>().query as { next: string };
          return { successRedirect: next, failureRedirect: next };
        }
      }
      const application = await closedAtTheEnd(guardedWith(Guard));
      const go = async (next: string, password: string) => {
        const path = `/try?next=${encodeURIComponent(next)}`;
        const { status, headers } = await application.browser().post(path, { json: { ...CREDENTIALS, password } });
        return [status, headers.location];
      };

      expect(await go('/welcome', 'lovelace')).toEqual([302, '/welcome']);
      expect(await go('/again', 'x')).toEqual([302, '/again']);
      expect(await go('//evil.test', 'lovelace')).toEqual([200, undefined]);
      expect(await go('//evil.test', 'x')).toEqual([302, 'https://sso.example.com/login']);
    });
  });

  describe('the option remember of LoginGuard', () => {
    type TickBox = { stay?: string };

    /** An application that remembers by a tick box, and a browser that has logged in with it. */
    async function loggedInWith(remember: LoginGuardOptions['remember'], stay?: string) {
      const application = await closedAtTheEnd(guardedBy('local', { remember }));
      const browser = application.browser();
      return { application, browser, response: await logIn(browser, { ...CREDENTIALS, stay }) };
    }

    it.each<[string, NonNullable<LoginGuardOptions['remember']>]>([
      ['at once', (_, request: Request<object, object, TickBox>) => request.body.stay === 'on' && '30d'],
      ['with undefined', (_, request: Request<object, object, TickBox>) => (request.body.stay ? '30d' : undefined)],
      ['later', (_, request: Request<object, object, TickBox>) => Promise.resolve(request.body.stay === 'on' && '30d')],
    ])('is decided for each login by a function, %s', async (_, remember) => {
      const ticked = await loggedInWith(remember, 'on');
      const unticked = await loggedInWith(remember);
      for (const { application } of [ticked, unticked]) application.clock.advance('29 days');

      expect([await isIn(ticked.browser), await isIn(unticked.browser)]).toEqual([true, false]);
    });

    it('takes the user, of a type of the application', async () => {
      const guard = LoginGuard('local', { remember: (user: User) => user.name === 'Ada' && '30d' });
      const application = await closedAtTheEnd(guardedWith(guard));
      const [ada, grace] = [application.browser(), application.browser()];
      await logIn(ada);
      await logIn(grace, { username: 'grace', password: 'hopper' });
      application.clock.advance('29 days');

      expect([await isIn(ada), await isIn(grace)]).toEqual([true, false]);
    });

    it('may come of the options for a request', async () => {
      class Guard extends LoginGuard('local') {
        protected override getAuthenticateOptions(): LoginGuardOptions {
          return { remember: () => '30d' };
        }
      }
      const application = await closedAtTheEnd(guardedWith(Guard));
      const browser = application.browser();
      await logIn(browser);
      application.clock.advance('29 days');

      expect(await isIn(browser)).toBe(true);
    });

    it.each<[string, LoginGuardOptions['remember']]>([
      [
        'throws',
        () => {
          throw new Error('no database');
        },
      ],
      ['rejects', () => Promise.reject(new Error('no database'))],
      ['gives no duration', () => 'for ever'],
    ])('logs nobody in when its function %s', async (_, remember) => {
      const { application, browser, response } = await loggedInWith(remember);

      expect([response.status, response.setCookies]).toEqual([500, []]);
      expect([await isIn(browser), application.events]).toEqual([false, []]);
    });

    it.each([0, -1, 'for ever', ''])('fails the boot when it is %j', async (remember) => {
      await expect(guardedBy('local', { remember })).rejects.toThrow('remember');
    });
  });
});
