import {
  Controller,
  type ExecutionContext,
  Get,
  type HttpException,
  ImATeapotException,
  Inject,
  Injectable,
  Post,
  UseGuards,
} from '@nestjs/common';
import { Test } from '@nestjs/testing';
import type { Request } from 'express';
import { CurrentUser, LoginGuard, type LoginGuardOptions, SessionGuard } from '../../lib/index.js';
import { LocalStrategy, SnapshotSerializer, type TestApplication, type User } from '../support/application.js';
import type { Browser } from '../support/browser.js';
import { guardedBy, guardedWith, strategy } from '../support/guarded-by.js';

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
    const app = module.createNestApplication({ logger: false });
    await app.listen(0, '127.0.0.1');
    try {
      const response = await fetch(`${await app.getUrl()}/login`, { method: 'POST' });
      expect(await response.json()).toEqual(ADA);
    } finally {
      await app.close();
    }
  });
});

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
