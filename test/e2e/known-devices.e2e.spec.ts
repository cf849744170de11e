import { Body, Controller, Get, HttpCode, Injectable, Post, Req, UseGuards } from '@nestjs/common';
import { PassportStrategy } from '@nestjs/passport';
import session from 'express-session';
import { Strategy as CustomStrategy } from 'passport-custom';
import {
  CurrentUser,
  LoginGuard,
  PendingLogin,
  RequireFreshLogin,
  SESSION_STORE,
  SessionAuthService,
  type SessionEvent,
  SessionRegistry,
  type SessionRequest,
} from '../../lib/index.js';
import type { AtomicSessionStore, TrustEpochs } from '../../lib/store/session-store.js';
import { Accounts, AccountStrategy, PlainSerializer, StampingSerializer } from '../support/accounts.js';
import { SECRET, type TestApplication, type User } from '../support/application.js';
import type { Browser } from '../support/browser.js';
import { cookieOf, handlesIn, sessionsIn } from '../support/devices.js';
import { LogRecorder } from '../support/log-recorder.js';
import { describePlatforms, storesOn } from '../support/platforms.js';

const CREDENTIALS = {
  ada: { username: 'ada', password: 'lovelace' },
  grace: { username: 'grace', password: 'hopper' },
};
const OTHER_SECRET = 'another secret that is only good for tests';
const DAY = 86_400_000;

type With<Body> = SessionRequest & { body: Body };

/** Takes the code "123456" of whoever is logging in. */
@Injectable()
class TotpStrategy extends PassportStrategy(CustomStrategy, 'totp') {
  validate(request: SessionRequest & { body?: { code?: string } }): unknown {
    return request.body?.code === '123456' ? (request.user ?? false) : false;
  }
}

@Injectable()
class KindSerializer extends PlainSerializer {
  override readonly kind = 'account';
}

@Controller('factors')
class FactorsController {
  constructor(private readonly auth: SessionAuthService) {}

  @Post('password')
  @HttpCode(200)
  @UseGuards(
    LoginGuard('local', {
      method: 'password',
      pending: (_: User, { body }: With<{ pending?: string[] }>) => body.pending ?? ['totp'],
    }),
  )
  password(@CurrentUser('name') name: string | undefined) {
    return { name: name ?? null };
  }

  @Post('totp')
  @HttpCode(200)
  @PendingLogin()
  @UseGuards(
    LoginGuard('totp', { method: 'totp', trustFor: (_: User, { body }: With<{ trust?: string }>) => body.trust }),
  )
  totp(@CurrentUser('name') name: string | undefined) {
    return { name };
  }

  @Post('complete')
  @HttpCode(200)
  async complete(@Req() request: SessionRequest, @Body() { method, trustFor }: { method: string; trustFor?: string }) {
    await this.auth.completeLogin(request, method, { trustFor });
    return { user: request.user ?? null };
  }

  @Post('then-fail')
  async thenFail(@Req() request: SessionRequest) {
    await this.auth.completeLogin(request, 'totp', { trustFor: '30d' });
    Object.assign(request.session!, { broken: 0n });
  }

  @Get('fresh')
  @RequireFreshLogin('5m', { methods: ['totp'] })
  fresh() {
    return {};
  }
}

describePlatforms((platform) => {
  describe.each(storesOn(platform))('known devices, with sessions in %s:', (where) => {
    const home = sessionsIn(where);
    type Options = NonNullable<Parameters<typeof home.start>[0]>['options'];

    let application: TestApplication;
    const begun = async (options: Options = {}, serializer: typeof PlainSerializer = PlainSerializer) => {
      application = await home.start({
        controllers: [FactorsController],
        providers: [Accounts, AccountStrategy, TotpStrategy, serializer],
        options,
      });
      return application;
    };
    /** The registry of another process, where several share their sessions. */
    const elsewhere = async () => {
      const other =
        where === 'memory'
          ? application
          : await home.start({ providers: [Accounts, AccountStrategy, PlainSerializer] });
      return other.app.get(SessionRegistry);
    };

    const password = (browser: Browser, pending?: string[], user: keyof typeof CREDENTIALS = 'ada') =>
      browser.post('/factors/password', { json: { ...CREDENTIALS[user], pending } });
    const complete = (browser: Browser, method = 'totp', trustFor?: string) =>
      browser.post('/factors/complete', { json: { method, trustFor } });
    const trusted = async (user: keyof typeof CREDENTIALS = 'ada', browser = application.browser()) => {
      await password(browser, undefined, user);
      expect((await complete(browser, 'totp', '30d')).status).toBe(200);
      return browser;
    };
    /** What a login by password alone comes to. */
    const asked = async (browser: Browser, pending?: string[], user?: keyof typeof CREDENTIALS) => {
      await password(browser, pending, user);
      return stateOf(browser);
    };
    const logins = () =>
      application.events.filter((event): event is SessionEvent & { type: 'logged-in' } => event.type === 'logged-in');
    const last = () => logins().at(-1);

    const store = () => application.app.get<AtomicSessionStore & { trust: TrustEpochs }>(SESSION_STORE);
    /** Does something between a login's look at the trust and what the login does then. */
    const afterLook = (work: () => Promise<unknown>) => {
      const { trust } = store();
      const find = trust.find.bind(trust);
      trust.find = async (...args) => {
        const found = await find(...args);
        trust.find = find;
        await work();
        return found;
      };
    };

    describe('by default', () => {
      it('no marker is set, and no event tells of new devices', async () => {
        await begun();
        const browser = application.browser();
        await password(browser);
        await complete(browser);
        await browser.post('/login', { json: CREDENTIALS.ada });

        expect(browser.cookies.all().map(({ name }) => name)).toEqual(['sid']);
        expect(logins()).toHaveLength(2);
        for (const login of logins()) {
          expect(login).toMatchObject({ device: { ip: '127.0.0.1' } });
          expect(login).not.toHaveProperty('newDevice');
          expect(login).not.toHaveProperty('spared');
        }
        if (where === 'redis') expect((await home.keys()).filter((key) => key.includes('trust'))).toEqual([]);
      });

      it('the event of a login tells the device, unless none is remembered', async () => {
        await begun({ device: ({ headers }) => ({ userAgent: headers['user-agent'], label: 'phone' }) });
        await application.browser().post('/login', {
          json: CREDENTIALS.ada,
          headers: { 'user-agent': 'Difference Engine' },
        });
        expect(last()?.device).toEqual({ userAgent: 'Difference Engine', label: 'phone' });
        await begun({ device: false });
        await application.loggedIn();
        expect(last()).not.toHaveProperty('device');
      });
    });

    describe('the event of a login', () => {
      beforeEach(() => begun({ knownDevices: true }));

      it('tells a new browser from one on which this user has logged in', async () => {
        const browser = await application.loggedIn();
        await browser.post('/logout');
        await browser.post('/login', { json: CREDENTIALS.ada });
        await application.loggedIn();

        expect(logins().map(({ newDevice }) => newDevice)).toEqual([true, false, true]);
      });

      it('tells it of each user of a browser, of whom none takes the mark of another away', async () => {
        const browser = application.browser();
        for (const user of ['ada', 'grace', 'ada', 'grace'] as const) {
          await browser.post('/login', { json: CREDENTIALS[user] });
          await browser.post('/logout');
        }

        expect(logins().map(({ userId, newDevice }) => [userId, newDevice])).toEqual([
          ['1', true],
          ['2', true],
          ['1', false],
          ['2', false],
        ]);
      });

      it('tells it when a login in several steps is complete, and not before', async () => {
        const browser = application.browser();
        await password(browser);
        expect(browser.cookies.has('device')).toBe(false);
        await complete(browser);
        await password(browser);
        await complete(browser);

        expect(logins().map(({ newDevice }) => newDevice)).toEqual([true, false]);
        expect(logins()).toHaveLength(2);
      });

      it('takes a browser for new again after 400 days without a login, which each one counts anew', async () => {
        const browser = await application.loggedIn();
        const kept = browser.cookies.get('device')!;
        application.clock.advance('399d');
        await browser.post('/login', { json: CREDENTIALS.ada });
        application.clock.advance('399d');
        await browser.post('/login', { json: CREDENTIALS.ada });
        application.clock.advance('400d');
        expect(browser.cookies.has('device')).toBe(false);
        await browser.post('/login', { json: CREDENTIALS.ada, headers: { cookie: `device=${kept}` } });

        expect(logins().map(({ newDevice }) => newDevice)).toEqual([true, false, false, true]);
      });

      it('knows a browser by its mark from another application of the same secrets, of which the first one makes marks', async () => {
        const browser = await application.loggedIn();
        const before = browser.cookies.get('device')!;
        await begun({ knownDevices: true, secret: [OTHER_SECRET, SECRET] });
        const same = application.browser();
        await same.post('/login', { json: CREDENTIALS.ada, headers: { cookie: `device=${before}` } });
        const renewed = same.cookies.get('device')!;
        await begun({ knownDevices: true, secret: OTHER_SECRET });
        const result = [];
        for (const cookie of [before, renewed]) {
          await application
            .browser()
            .post('/login', { json: CREDENTIALS.ada, headers: { cookie: `device=${cookie}` } });
          result.push(last()?.newDevice);
        }

        expect(result).toEqual([true, false]);
      });

      it('does not take the mark of another user for that of this one', async () => {
        const browser = await application.loggedIn();
        const cookie = `device=${browser.cookies.get('device')!}`;
        await application.browser().post('/login', { json: CREDENTIALS.grace, headers: { cookie } });

        expect(last()).toMatchObject({ userId: '2', newDevice: true });
      });

      it('is without a secret of the mark, and so is the log', async () => {
        const log = new LogRecorder();
        application = await home.start({
          logger: log,
          controllers: [FactorsController],
          providers: [Accounts, AccountStrategy, TotpStrategy, PlainSerializer],
          options: { knownDevices: true },
        });
        const browser = await trusted();
        const parts = browser.cookies.get('device')!.split(/[.~]/);
        const told = JSON.stringify(application.events) + log.lines.map(({ text }) => text).join('\n');

        expect(parts).toHaveLength(2);
        for (const part of parts) expect(told).not.toContain(part);
      });
    });

    describe('the marker', () => {
      it('is a cookie of this host alone, HttpOnly, for 400 days, beside the session cookie, and never cached', async () => {
        await begun({ knownDevices: true, cookie: { sameSite: 'strict' } });
        const response = await application.browser().post('/login', { json: CREDENTIALS.ada });
        const [sid, device] = response.setCookies;

        expect(response.setCookies).toHaveLength(2);
        expect(sid).toMatch(/^sid=/);
        expect(device).toMatch(/^device=[\w-]+\.[\w-]{43};/);
        expect(attributesOf(device)).toEqual(['HttpOnly', 'Max-Age=34560000', 'Path=/', 'SameSite=Strict']);
        expect(response.headers['cache-control']).toBe('no-store');
      });

      it('has the name that browsers guard where the session cookie is Secure, whatever domain and path that has', async () => {
        const cookie = { secure: true, sameSite: 'none', partitioned: true } as const;
        application = await home.start({
          trustProxy: true,
          providers: [Accounts, AccountStrategy, PlainSerializer],
          options: { knownDevices: true, cookie: { ...cookie, domain: 'example.test', path: '/login' } },
        });
        const overTls = { 'x-forwarded-proto': 'https' };
        const response = await application.browser().post('/login', { json: CREDENTIALS.ada, headers: overTls });
        const device = response.setCookies.find((one) => one.startsWith('__Host-Http-device='));

        expect(attributesOf(device)).toEqual([
          'HttpOnly',
          'Max-Age=34560000',
          'Partitioned',
          'Path=/',
          'SameSite=None',
          'Secure',
        ]);
        const shown = { cookie: device?.split(';', 1)[0], ...overTls };
        await application.browser().post('/login', { json: CREDENTIALS.ada, headers: shown });
        expect(last()?.newDevice).toBe(false);
      });

      it('shows the ids of no users', async () => {
        await begun({ knownDevices: true });
        const [ada, other] = [await application.loggedIn(), await application.loggedIn()];
        const values = [ada, other].map((browser) => browser.cookies.get('device')!);

        expect(values[0]).not.toBe(undefined);
        for (const value of values) {
          const [payload = ''] = value.split('.');
          expect(JSON.parse(Buffer.from(payload, 'base64url').toString())).toEqual({ at: application.clock.now() });
        }
      });

      it('opens nothing', async () => {
        await begun({ knownDevices: true });
        const browser = await trusted();
        browser.cookies.delete('sid');

        expect(await stateOf(browser)).toBe('unauthenticated');
      });

      it('is of the last eight users', async () => {
        await begun({ knownDevices: true });
        const accounts = application.app.get(Accounts);
        const browser = application.browser();
        const known = async (n: number) => {
          accounts.verify = () => Promise.resolve({ id: `user ${n}`, name: `user ${n}`, password: '' });
          await browser.post('/login', { json: CREDENTIALS.ada });
          return last()?.newDevice === false;
        };
        const result = [];
        for (const n of [1, 2, 3, 4, 5, 6, 7, 8, 9]) result.push(await known(n));
        result.push(await known(2), await known(9), await known(1));

        expect(result).toEqual([...Array<boolean>(9).fill(false), true, true, false]);
        expect(browser.cookies.get('device')!.length).toBeLessThan(4096);
      });

      it('goes with the session cookie: a login whose response fails sets neither', async () => {
        await begun({ knownDevices: true });
        const browser = application.browser();
        await password(browser);
        const response = await browser.post('/factors/then-fail');

        expect([response.status, response.setCookies]).toEqual([500, []]);
      });

      it('stays at a logout', async () => {
        await begun();
        const browser = await trusted();
        const response = await browser.post('/logout');

        expect(response.setCookies.map((cookie) => cookie.split('=', 1)[0])).toEqual(['sid']);
        expect(await asked(browser)).toBe('logged in');
      });
    });

    describe('a trusted browser', () => {
      beforeEach(async () => {
        await begun();
      });

      it('is spared the method by which it was trusted, and the event says so', async () => {
        const browser = await trusted();
        const response = await password(browser);

        expect(response.json()).toEqual({ name: 'ada' });
        expect(await stateOf(browser)).toBe('logged in');
        expect(last()).toMatchObject({ userId: '1', method: 'password', spared: ['totp'] });
        expect(logins().map(({ spared }) => spared)).toEqual([undefined, ['totp']]);
        expect(last()).not.toHaveProperty('newDevice');
      });

      it('is trusted by a LoginGuard, if its option says so of this login', async () => {
        const results = [];
        for (const trust of ['30d', undefined]) {
          const browser = application.browser();
          await password(browser);
          expect((await browser.post('/factors/totp', { json: { code: '123456', trust } })).json()).toEqual({
            name: 'ada',
          });
          results.push(browser.cookies.has('device'), await asked(browser));
        }

        expect(results).toEqual([true, 'logged in', false, ['totp']]);
      });

      it('is trusted by a new proof of who is logged in, too', async () => {
        const browsers = [application.browser(), application.browser()] as const;
        for (const browser of browsers) await browser.post('/login', { json: CREDENTIALS.ada });
        await complete(browsers[0], 'totp', '30d');
        await browsers[1].post('/factors/totp', { json: { code: '123456', trust: '30d' } });

        expect([await asked(browsers[0]), await asked(browsers[1])]).toEqual(['logged in', 'logged in']);
      });

      it('has not proved what it is spared', async () => {
        const browser = await trusted();
        expect((await browser.get('/factors/fresh')).status).toBe(200);
        await password(browser);

        expect((await browser.get('/factors/fresh')).json()).toMatchObject({ code: 'fresh_login_required' });
      });

      it('is spared this method, and no other', async () => {
        const browser = await trusted();

        expect(await asked(browser, ['totp', 'sms'])).toEqual(['sms']);
        expect(last()).not.toHaveProperty('spared');
        await complete(browser, 'sms', '7d');
        expect(last()).toMatchObject({ methods: ['password', 'sms'], spared: ['totp'] });
        expect(await asked(browser, ['totp', 'sms', 'webauthn'])).toEqual(['webauthn']);
        expect(await asked(browser, ['totp', 'sms'])).toBe('logged in');
        application.clock.advance('7d');
        expect(await asked(browser, ['totp', 'sms'])).toEqual(['sms']);
      });

      it('is trusted only when all steps are done', async () => {
        const browser = application.browser();
        await password(browser, ['totp', 'sms']);
        await complete(browser, 'totp', '30d');
        expect(browser.cookies.has('device')).toBe(false);
        await complete(browser, 'sms');

        expect(await asked(browser)).toBe('logged in');
        expect(await asked(browser, ['sms'])).toEqual(['sms']);
      });

      it('is trusted for as long as it was said, by the clock, and further logins do not postpone that', async () => {
        const browser = await trusted();
        application.clock.advance(30 * DAY - 1);
        expect(await asked(browser)).toBe('logged in');
        application.clock.advance(1);

        expect(await asked(browser)).toEqual(['totp']);
      });

      it('is not trusted for another user, nor is another browser', async () => {
        const browser = await trusted();
        expect(await asked(browser, undefined, 'grace')).toEqual(['totp']);
        expect(await asked(application.browser())).toEqual(['totp']);

        expect(await asked(browser)).toBe('logged in');
      });

      it('can be that of two users, who are each trusted', async () => {
        const browser = await trusted();
        await trusted('grace', browser);

        expect([await asked(browser), await asked(browser, undefined, 'grace')]).toEqual(['logged in', 'logged in']);
      });

      it.each<[string, (value: string) => string]>([
        [
          'forged',
          (value) => `${Buffer.from(JSON.stringify({ at: 1 })).toString('base64url')}.${value.split('.')[1]!}`,
        ],
        ['truncated', (value) => value.slice(0, -1)],
        ['cut to its payload', (value) => value.split('.')[0]!],
        ['changed', (value) => value.replace(/^./, (first) => (first === 'e' ? 'f' : 'e'))],
        ['garbage', () => '~.~.%%%~"'],
        ['huge', (value) => `${'A'.repeat(5_000)}~${value}`],
        [
          'behind eight others',
          (value) =>
            `${Array(8)
              .fill(`a.${'b'.repeat(43)}`)
              .join('~')}~${value}`,
        ],
        ['empty', () => ''],
      ])('is none by a marker that is %s', async (_, change) => {
        const browser = await trusted();
        const value = browser.cookies.get('device')!;
        expect(await asked(browser)).toBe('logged in');
        browser.cookies.set('device', change(value));

        expect(await asked(browser)).toEqual(['totp']);
      });

      it('is known by its marker among others of that name, of which there may be garbage', async () => {
        const browser = await trusted();
        const value = browser.cookies.get('device')!;
        const other = application.browser();
        const cookie = `device=garbage; xdevice=1; device=${value}; sid=s%3Anone`;
        await other.post('/factors/password', { json: CREDENTIALS.ada, headers: { cookie } });

        expect(await stateOf(other)).toBe('logged in');
      });

      it.each<[string, (registry: SessionRegistry) => Promise<unknown>]>([
        ['credentialsChanged()', (registry) => registry.credentialsChanged('1')],
        ['userDisabled()', (registry) => registry.userDisabled('1')],
        ['revokeAll()', (registry) => registry.revokeAll('1')],
        ['revokeEveryone()', (registry) => registry.revokeEveryone()],
      ])('is not trusted any more after %s in another process', async (_, end) => {
        const [browser, other] = [await trusted(), await trusted()];
        const loggedOut = await trusted();
        await loggedOut.post('/logout');
        await end(await elsewhere());

        for (const one of [browser, other, loggedOut]) expect(await asked(one)).toEqual(['totp']);
        await complete(browser, 'totp', '30d');
        expect([await asked(browser), await asked(other)]).toEqual(['logged in', ['totp']]);
      });

      it('stays trusted where sessions of others end, or one of its user', async () => {
        const browser = await trusted();
        const registry = await elsewhere();
        await registry.credentialsChanged('2');
        const [{ handle } = { handle: '' }] = await registry.list('1');
        expect(await registry.revoke('1', handle)).toBe(true);

        expect(await asked(browser)).toBe('logged in');
      });

      it('is not trusted any more where the session that changed the credentials is kept', async () => {
        const browser = await trusted();
        const [{ handle } = { handle: '' }] = await application.app.get(SessionRegistry).list('1');
        await (await elsewhere()).credentialsChanged('1', { keep: handle });

        expect(await stateOf(browser)).toBe('logged in');
        expect(await asked(browser)).toEqual(['totp']);
      });

      it('is not trusted where the store has lost all that it knew', async () => {
        const browser = await trusted();
        await (store() as unknown as { clear(): Promise<void> }).clear();

        expect(await asked(browser)).toEqual(['totp']);
      });

      it('is not let in where the store does not reply', async () => {
        const browser = await trusted();
        await browser.post('/logout');
        const before = await handlesIn(application);
        store().trust.find = () => Promise.reject(new Error('no reply'));
        const response = await password(browser);

        expect(response.json()).toMatchObject({ statusCode: 503, code: 'session_store_unavailable' });
        expect(await handlesIn(application)).toEqual(before);
        expect(await asked(application.browser())).toEqual(['totp']);
      });

      it('is not trusted where the store could not note it, and the login can be completed then', async () => {
        const browser = application.browser();
        await password(browser);
        const { trust } = store();
        const grant = trust.grant.bind(trust);
        trust.grant = () => Promise.reject(new Error('no reply'));
        const response = await complete(browser, 'totp', '30d');
        expect([response.status, response.setCookies]).toEqual([503, []]);
        trust.grant = grant;

        expect(await stateOf(browser)).toEqual(['totp']);
        expect((await complete(browser)).status).toBe(200);
        expect(browser.cookies.has('device')).toBe(false);
      });

      it.each(['0s', '401d', 'a month', -1, ''])('cannot be trusted for %p', async (trustFor) => {
        const browser = application.browser();
        await password(browser);
        const responses = [
          await browser.post('/factors/complete', { json: { method: 'totp', trustFor } }),
          await browser.post('/factors/totp', { json: { code: '123456', trust: trustFor } }),
        ];

        expect(responses.map(({ status }) => status)).toEqual([500, 500]);
        expect(await stateOf(browser)).toEqual(['totp']);
        expect((await complete(browser, 'totp', '400d')).status).toBe(200);
      });
    });

    describe('where the credentials change while a trusted browser logs in', () => {
      const change = () => application.app.get(SessionRegistry).credentialsChanged('1');
      beforeEach(() => begun());

      it('the second factor is asked for, if that is after the look at the trust', async () => {
        const browser = await trusted();
        afterLook(change);
        const response = await password(browser);

        expect(response.json()).toEqual({ name: null });
        expect(await stateOf(browser)).toEqual(['totp']);
        expect(await application.app.get(SessionRegistry).count('1')).toBe(0);
        expect(logins()).toHaveLength(1);
        expect((await complete(browser)).status).toBe(200);
        expect(last()).not.toHaveProperty('spared');
      });

      it('it is asked for beside the one that was missing, if that is while this is proved', async () => {
        const browser = await trusted();
        await password(browser, ['totp', 'sms']);
        expect(await stateOf(browser)).toEqual(['sms']);
        await change();
        expect((await complete(browser, 'sms')).json()).toEqual({ user: null });

        expect(await stateOf(browser)).toEqual(['totp']);
        await complete(browser);
        expect(last()).toMatchObject({ methods: ['password', 'sms', 'totp'] });
        expect(last()).not.toHaveProperty('spared');
      });

      it.each<[string, string[]]>([
        ['the only one', ['totp']],
        ['one of two', ['totp', 'sms']],
      ])('no session survives that was spared %s, whichever of both is first', async (_, pending) => {
        const ends = [];
        for (let round = 0; round < 30; round++) {
          const browser = await trusted();
          const login = async () => {
            const response = await password(browser, pending);
            return pending.length === 1 ? response : await complete(browser, 'sms');
          };
          const [{ status }] = await Promise.all([login(), after(round % 6, change)]);
          ends.push([status, await stateOf(browser)]);
        }

        // Asked for the factor, or ended and told so.
        const known = [
          [200, ['totp']],
          [200, 'unauthenticated'],
          [401, 'unauthenticated'],
        ].map(String);
        expect(ends.map(String).filter((end) => !known.includes(end))).toEqual([]);
        expect(await application.app.get(SessionRegistry).count('1')).toBe(0);
      });

      it('a trust that is granted meanwhile is none', async () => {
        const browser = application.browser();
        await password(browser);
        const { trust } = store();
        const grant = trust.grant.bind(trust);
        trust.grant = async (...args) => {
          const epoch = await grant(...args);
          await change();
          return epoch;
        };
        expect((await complete(browser, 'totp', '30d')).status).toBe(200);

        expect(await asked(browser)).toEqual(['totp']);
      });
    });

    describe('where the serializer has a stamp', () => {
      beforeEach(() => begun({}, StampingSerializer));

      it('trust lasts while that is the same, and ends by another one, with no call of the registry', async () => {
        const browser = await trusted();
        expect(await asked(browser)).toBe('logged in');
        const accounts = application.app.get(Accounts);
        accounts.verify = () => accounts.find('1');
        accounts.setPassword('1', 'babbage');

        expect(await asked(browser)).toEqual(['totp']);
        await complete(browser, 'totp', '30d');
        expect(await asked(browser)).toBe('logged in');
      });

      it('trust that a new proof grants holds by the stamp of then', async () => {
        const browser = application.browser();
        await browser.post('/login', { json: CREDENTIALS.ada });
        await complete(browser, 'totp', '30d');

        expect(await asked(browser)).toBe('logged in');
      });
    });

    it('a user of a kind is spared as one without, whichever way the browser was trusted', async () => {
      await begun({}, KindSerializer);
      const stepped = application.browser();
      await stepped.post('/login', { json: CREDENTIALS.ada });
      await complete(stepped, 'totp', '30d');

      for (const browser of [await trusted(), stepped]) expect(await asked(browser)).toBe('logged in');
    });

    it('a store of express-session keeps no trust, and says so; devices are known all the same', async () => {
      await begun({ knownDevices: true, store: new session.MemoryStore() });
      const browser = application.browser();
      await password(browser);
      const response = await complete(browser, 'totp', '30d');
      expect(response.json()).toMatchObject({ statusCode: 500, code: 'registry_unavailable' });
      expect(response.json<{ message: string }>().message).toMatch(/trustFor/);
      expect((await complete(browser)).status).toBe(200);
      await password(browser);
      await complete(browser);

      expect(logins().map(({ newDevice }) => newDevice)).toEqual([true, false]);
    });

    it('a marker of trust counts for nothing where another store takes over', async () => {
      await begun();
      const browser = await trusted();
      const cookie = `device=${browser.cookies.get('device')!}`;
      await begun({ store: new session.MemoryStore() });
      const other = application.browser();
      await other.post('/factors/password', { json: CREDENTIALS.ada, headers: { cookie } });

      expect(await stateOf(other)).toEqual(['totp']);
    });

    it('options that cannot be meant fail the boot, and name the option', async () => {
      await expect(begun({ knownDevices: 'yes' as never })).rejects.toThrow(/knownDevices/);
      for (const trustFor of ['401d', '0s', 0, 'a month'] as const) {
        @Controller('mistaken')
        class MistakenController {
          @Post()
          @UseGuards(LoginGuard('totp', { method: 'totp', trustFor }))
          begin() {
            return {};
          }
        }
        const starting = home.start({
          controllers: [MistakenController],
          providers: [Accounts, AccountStrategy, TotpStrategy, PlainSerializer],
        });
        await expect(starting).rejects.toThrow(/trustFor/);
      }
      @Controller('nameless')
      class NamelessController {
        @Post()
        @UseGuards(LoginGuard('totp', { trustFor: '30d' }))
        begin() {
          return {};
        }
      }
      const starting = home.start({
        controllers: [NamelessController],
        providers: [Accounts, AccountStrategy, TotpStrategy, PlainSerializer],
      });
      await expect(starting).rejects.toThrow(/"trustFor" needs "method"/);
    });
  });
});

describe('known devices, as MONITOR shows,', () => {
  const home = sessionsIn('redis');

  it('cost one command more, where a marker of trust is shown that verifies', async () => {
    const application = await home.start({
      controllers: [FactorsController],
      providers: [Accounts, AccountStrategy, TotpStrategy, PlainSerializer],
      options: { knownDevices: true },
    });
    const monitor = await home.monitor();
    const asks = async (browser: Browser, path: string, json: object) => {
      const commands = await monitor.during(() => browser.post(path, { json }));
      return commands.filter(({ inScript }) => !inScript).map(({ name }) => name);
    };
    const browser = application.browser();
    await browser.post('/login', { json: CREDENTIALS.ada });
    browser.cookies.delete('sid');
    const plain = await asks(browser, '/factors/password', { ...CREDENTIALS.ada, pending: [] });
    browser.cookies.delete('sid');
    const unmarked = await asks(browser, '/factors/password', CREDENTIALS.ada);
    await browser.post('/factors/complete', { json: { method: 'totp', trustFor: '30d' } });
    browser.cookies.delete('sid');
    const spared = await asks(browser, '/factors/password', CREDENTIALS.ada);
    browser.cookies.delete('sid');
    const others = await asks(browser, '/factors/password', { ...CREDENTIALS.grace });
    const cookie = `${cookieOf(browser)}; device=${browser.cookies.get('device')!}`;
    const read = await monitor.during(() => application.browser().get('/public', { headers: { cookie } }));
    monitor.stop();

    expect(plain).toEqual(['evalsha']);
    expect(unmarked).toEqual(['set']);
    expect(spared).toEqual(['get', 'evalsha']);
    expect(others).toEqual(['set']);
    expect(read.map(({ name }) => name)).toEqual(['get']);
  });
});

/** Whose the browser's session is: "logged in", the methods that are missing, or why it is nobody's. */
async function stateOf(browser: Browser): Promise<string | string[] | undefined> {
  const { status, json } = await browser.get('/me');
  const { pending, code } = json<{ pending?: string[]; code?: string }>();
  return status === 200 ? 'logged in' : (pending ?? code);
}

function attributesOf(cookie: string | undefined): string[] {
  return (cookie ?? '')
    .split(';')
    .slice(1)
    .map((attribute) => attribute.trim())
    .sort();
}

/** Does something after so many turns of the event loop. */
async function after<T>(turns: number, work: () => Promise<T>): Promise<T> {
  for (let turn = 0; turn < turns; turn++) await new Promise((resolve) => setImmediate(resolve));
  return work();
}
