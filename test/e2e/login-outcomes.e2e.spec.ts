import { setImmediate } from 'node:timers/promises';
import type { ExecutionContext } from '@nestjs/common';
import type { Request } from 'express';
import { Strategy as PassportLocal } from 'passport-local';
import { LoginGuard, type LoginGuardOptions } from '../../lib/index.js';
import { LocalStrategy, SnapshotSerializer, type TestApplication } from '../support/application.js';
import type { Browser } from '../support/browser.js';
import { guardedBy, guardedWith, strategy } from '../support/guarded-by.js';
import { LogRecorder } from '../support/log-recorder.js';
import { changeExchanges, describePlatforms } from '../support/platforms.js';
import { ProcessWatch } from '../support/process-watch.js';

const ADA = { id: '1', name: 'Ada' };
const GRACE = { id: '2', name: 'Grace' };
const CREDENTIALS = { username: 'ada', password: 'lovelace' };
const CALLED_TWICE = 'called back twice: a return is missing';

type Strategy = ReturnType<typeof strategy>;
type Running = ThisParameterType<Parameters<typeof strategy>[1]>;

let application: TestApplication | undefined;
let watch: ProcessWatch;
let logger: LogRecorder;
/** The second calls of the strategies that call back twice. */
const lateCalls: Promise<void>[] = [];

beforeEach(() => {
  watch = new ProcessWatch();
  logger = new LogRecorder();
});

afterEach(async () => {
  await application?.close();
  application = undefined;
  watch.stop();
  expect(watch.unhandled).toEqual([]);
});

const withStrategies = (...strategies: Strategy[]) => ({
  providers: [SnapshotSerializer, LocalStrategy, ...strategies],
  logger,
});

async function started(names: string | string[], options: LoginGuardOptions, strategies: Strategy[]): Promise<Browser> {
  application = await guardedBy(names, options, withStrategies(...strategies));
  return application.browser();
}

const isIn = async (browser: Browser) => (await browser.get('/me')).status === 200;
const attempt = (browser: Browser, json: object = CREDENTIALS) => browser.post('/try', { json });
/** What a response says: its status, and the user or the place that it leads to. */
const gist = ({ status, headers, json }: Awaited<ReturnType<typeof attempt>>) =>
  status === 200 ? (json<{ name?: string }>().name ?? 'nobody') : (headers.location ?? status);
const eventTypes = () => application?.events.map(({ type }) => type);
const warnings = () => logger.at('warn').filter((line) => line.includes(CALLED_TWICE));
const settleLateCalls = () => Promise.all(lateCalls.splice(0));

/** What a strategy may call, by a word. */
const CALLS = {
  ada: (running: Running) => running.success(ADA),
  grace: (running: Running) => running.success(GRACE),
  fail: (running: Running) => running.fail('No'),
  error: (running: Running) => running.error(new Error('no database')),
  pass: (running: Running) => running.pass(),
  redirect: (running: Running) => running.redirect('/elsewhere'),
};
type Call = keyof typeof CALLS;

describePlatforms(() => {
  describe.each<[string, (() => Promise<void>) | undefined]>([
    ['at once', undefined],
    ['in a later tick', setImmediate],
  ])('of a strategy that calls back twice, the second time %s,', (_, later) => {
    const calling = (name: string, first: Call, second: Call) =>
      strategy(name, function () {
        const calls = async () => {
          await setImmediate();
          CALLS[first](this);
          await later?.();
          CALLS[second](this);
        };
        lateCalls.push(calls());
      });

    it.each<[Call, Call, string | number, boolean]>([
      ['fail', 'ada', 401, false],
      ['fail', 'fail', 401, false],
      ['fail', 'pass', 401, false],
      ['fail', 'error', 401, false],
      ['error', 'ada', 500, false],
      ['error', 'pass', 500, false],
      ['redirect', 'ada', '/elsewhere', false],
      ['redirect', 'redirect', '/elsewhere', false],
      ['pass', 'ada', 'nobody', false],
      ['ada', 'fail', 'Ada', true],
      ['ada', 'error', 'Ada', true],
      ['ada', 'pass', 'Ada', true],
      ['ada', 'redirect', 'Ada', true],
      ['ada', 'grace', 'Ada', true],
    ])('%s counts and %s is ignored', async (first, second, expected, hasLoggedIn) => {
      const browser = await started('twice', {}, [calling('twice', first, second)]);
      const response = await attempt(browser);
      await settleLateCalls();

      expect(gist(response)).toBe(expected);
      expect([response.setCookies.length === 1, await isIn(browser)]).toEqual([hasLoggedIn, hasLoggedIn]);
      expect(eventTypes()).toEqual(hasLoggedIn ? ['logged-in'] : first === 'fail' ? ['login-failed'] : []);
    });

    it.each<[Call, Call, string]>([
      ['ada', 'ada', '/home'],
      ['ada', 'fail', '/home'],
      ['ada', 'redirect', '/home'],
      ['fail', 'ada', '/again'],
      ['fail', 'fail', '/again'],
      ['redirect', 'ada', '/elsewhere'],
    ])('%s decides where it redirects, and not %s', async (first, second, location) => {
      const options = { successRedirect: '/home', failureRedirect: '/again' };
      const browser = await started('twice', options, [calling('twice', first, second)]);

      expect(gist(await attempt(browser))).toBe(location);
      await settleLateCalls();
      expect(await isIn(browser)).toBe(first === 'ada');
    });

    it('a refusal leads to the next strategy, once, and the late success is ignored', async () => {
      const next = strategy('next', function () {
        this.success(GRACE);
      });
      const browser = await started(['twice', 'next'], {}, [calling('twice', 'fail', 'ada'), next]);

      expect(gist(await attempt(browser))).toBe('Grace');
      await settleLateCalls();
      expect((await browser.get('/me')).json()).toEqual(GRACE);
      expect(eventTypes()).toEqual(['logged-in']);
    });

    it('two refusals do not count as those of two strategies', async () => {
      const browser = await started(['twice', 'other'], {}, [
        calling('twice', 'fail', 'fail'),
        calling('other', 'ada', 'grace'),
      ]);

      expect(gist(await attempt(browser))).toBe('Ada');
      await settleLateCalls();
      expect(eventTypes()).toEqual(['logged-in']);
    });

    it('a warning tells, once for each name', async () => {
      const browser = await started(['twice', 'other'], {}, [
        calling('twice', 'fail', 'ada'),
        calling('other', 'fail', 'error'),
      ]);
      for (let i = 0; i < 3; i++) await attempt(browser);
      await settleLateCalls();

      expect(warnings()).toEqual([
        expect.stringContaining(`"twice" ${CALLED_TWICE}`),
        expect.stringContaining(`"other" ${CALLED_TWICE}`),
      ]);
      expect(warnings()[1]).toContain('no database');
    });
  });

  describe('a verify callback that forgets its return', () => {
    type Done = (error: unknown, user?: object | false) => void;

    it.each<[string, (done: Done) => void, number]>([
      ['a refusal', (done) => done(null, false), 401],
      ['an error', (done) => done(new Error('locked')), 500],
    ])('logs nobody in after %s', async (_, refuse, status) => {
      const verify = (_name: string, _password: string, done: Done) => {
        void setImmediate().then(() => {
          refuse(done);
          done(null, ADA);
        });
      };
      const forgetful = { provide: 'forgetful', useFactory: () => new PassportLocal(verify as never) as never };
      application = await guardedBy('local', {}, { providers: [SnapshotSerializer, forgetful], logger });
      const browser = application.browser();
      const response = await attempt(browser);

      expect([response.status, response.setCookies, await isIn(browser)]).toEqual([status, [], false]);
      expect(warnings()).toHaveLength(1);
    });

    it('is not suspected where a strategy calls back once, with whatever outcome', async () => {
      const browser = await started('local', {}, []);
      for (const password of ['lovelace', 'x', '', 'lovelace']) await attempt(browser, { ...CREDENTIALS, password });

      expect([await isIn(browser), warnings()]).toEqual([true, []]);
    });

    it('is warned of where a strategy throws after its outcome, which holds', async () => {
      const throwing = strategy('throwing', function () {
        this.success(ADA);
        throw new Error('Cannot read properties of null');
      });
      const browser = await started('throwing', {}, [throwing]);

      expect(gist(await attempt(browser))).toBe('Ada');
      expect(warnings()).toEqual([expect.stringContaining('Cannot read properties of null')]);
    });
  });

  describe('an error of a strategy', () => {
    const BY: Record<string, (this: Running, error: unknown) => unknown> = {
      'given to error()': function (error) {
        this.error(error);
      },
      'given to error() in a later tick': function (error) {
        void setImmediate().then(() => {
          this.error(error);
        });
      },
      thrown: (error) => {
        throw error as Error;
      },
      rejected: async (error) => {
        await setImmediate();
        throw error;
      },
    };
    const errors = [null, undefined, 0, '', false, 'route', 'a text', new Error('an error')];
    const cases = Object.keys(BY).flatMap((how) => errors.map((error) => [how, error] as const));

    it.each(cases)('responds 500 and admits nobody, %s as %p', async (how, error) => {
      const failing = strategy('failing', function () {
        return BY[how]?.call(this, error);
      });
      const browser = await started(['failing', 'local'], { failureRedirect: '/again' }, [failing]);
      const response = await attempt(browser);

      expect([response.status, response.setCookies, await isIn(browser)]).toEqual([500, [], false]);
      expect(eventTypes()).toEqual([]);
    });

    it('of a name that Passport gives its refusals is an error all the same', async () => {
      const failing = strategy('failing', function () {
        this.error(Object.assign(new Error('The directory is away'), { name: 'AuthenticationError' }));
      });

      expect((await attempt(await started('failing', {}, [failing]))).status).toBe(500);
    });

    it('that comes of its redirect, in a later tick, is one response and not the end of the process', async () => {
      const lost = strategy('lost', function () {
        void setImmediate().then(() => {
          this.redirect(undefined as never);
        });
      });

      expect((await attempt(await started('lost', {}, [lost]))).status).toBe(500);
    });
  });

  describe('a redirect that the options for a request compute', () => {
    class Guard extends LoginGuard('local', { successRedirect: '/home', failureRedirect: '/again' }) {
      protected override getAuthenticateOptions(context: ExecutionContext): LoginGuardOptions {
        const { body } = context.switchToHttp().getRequest<Request<object, object, { options: LoginGuardOptions }>>();
        return body.options;
      }
    }
    const start = async () => (application = await guardedWith(Guard, withStrategies()));

    it.each([
      [['//evil.test']],
      [['/me']],
      [['/me', '//evil.test']],
      [{ toString: null, valueOf: null }],
      [{ href: '//evil.test' }],
      [{}],
      [[]],
      [7],
      [0],
      [true],
      [false],
      [null],
      ['//evil.test'],
      [''],
    ])('is ignored where it is %j', async (value) => {
      const started = await start();
      const go = async (option: string, password: string) => {
        const options = { [option]: value };
        return gist(await attempt(started.browser(), { ...CREDENTIALS, password, options }));
      };

      expect([
        await go('successRedirect', 'lovelace'),
        await go('successReturnToOrRedirect', 'lovelace'),
        await go('failureRedirect', 'x'),
      ]).toEqual(['/home', '/home', '/again']);
    });

    it('is followed where it is a path of this site', async () => {
      const started = await start();
      const options = { successRedirect: '/me', failureRedirect: '/login' };

      expect([
        gist(await attempt(started.browser(), { ...CREDENTIALS, options })),
        gist(await attempt(started.browser(), { ...CREDENTIALS, password: 'x', options })),
      ]).toEqual(['/me', '/login']);
    });
  });

  describe('what is thrown after a login', () => {
    const full = () => {
      throw new Error('no room');
    };

    it.each<[string, LoginGuardOptions]>([
      ['by the redirect', { successRedirect: '/home' }],
      ['by the way back', { successReturnToOrRedirect: '/home' }],
      ['by the flash', { successFlash: 'Hello' }],
      ["by the refusal's redirect", { failureRedirect: '/again' }],
      ["by the refusal's flash", { failureFlash: 'No' }],
    ])('%s is a response, and not the end of the process', async (_, options) => {
      const late = strategy('late', function (request) {
        const { body } = request as Request<object, object, { name?: string }>;
        void setImmediate().then(() => {
          CALLS[body.name === undefined ? 'fail' : 'ada'](this);
        });
      });
      application = await guardedBy('late', options, {
        ...withStrategies(late),
        configure: (app) => {
          changeExchanges(app, (request, response) => {
            Object.assign(request, { flash: full });
            Object.assign(response, { redirect: full });
          });
        },
      });
      const isRefusal = 'failureRedirect' in options || 'failureFlash' in options;
      const response = await attempt(application.browser(), isRefusal ? {} : { name: 'Ada' });

      expect(response.status).toBe(500);
      expect((await application.browser().get('/public')).status).toBe(200);
    });
  });
});
