import { createHmac } from 'node:crypto';
import { Body, Controller, Get, type LoggerService, Param, Post, Put, Req } from '@nestjs/common';
import type { Request } from 'express';
import session from 'express-session';
import { SessionAuthService } from '../../lib/index.js';
import { newAnonymousSessionId, newUserSessionId } from '../../lib/model/session-id.js';
import { SECRET, TestApplication, type TestApplicationOptions } from '../support/application.js';
import type { Browser, RequestOptions } from '../support/browser.js';
import { describePlatforms } from '../support/platforms.js';
import { RedisServer } from '../support/redis-server.js';

const CREDENTIALS = { username: 'ada', password: 'lovelace' };
const OLDER = `an older ${SECRET}`;
const NEWER = `a newer ${SECRET}`;
/** The cookie of a login stays a day longer than the absolute limit of a day, to be told how the session ended. */
const DAY = 24 * 3_600_000;
const HOUR = 3_600_000;

let redis: RedisServer;
let client: Awaited<ReturnType<RedisServer['client']>>;
/** As most tests need it; those that need another start their own. */
let application: TestApplication;
const closers: (() => unknown)[] = [];

beforeAll(async () => {
  redis = await RedisServer.start();
  client = await redis.client();
});

beforeEach(() => client.flushAll());

afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

afterAll(() => redis.stop());

async function started({ options, ...more }: TestApplicationOptions = {}): Promise<TestApplication> {
  const application = await TestApplication.start({ options: { redis: { url: redis.url }, ...options }, ...more });
  closers.push(() => application.close());
  return application;
}

/** Behind a proxy that ends TLS and is trusted. */
const HTTPS = { 'x-forwarded-proto': 'https' };

/** As express-session signs and encodes, written anew here. */
function signed(id: string, secret = SECRET): string {
  const signature = createHmac('sha256', secret).update(id).digest('base64').replace(/=+$/, '');
  return encodeURIComponent(`s:${id}.${signature}`);
}

/** `handle.secret` of a cookie's value. */
function idOf(value: string): string {
  return decodeURIComponent(value).slice('s:'.length).split('.', 2).join('.');
}

const freshId = ({ handle, secret } = newUserSessionId('1')) => `${handle}.${secret}`;

/** What the applications asked of Redis since it started, but for getting to know it. */
async function commands(): Promise<Record<string, number>> {
  const asked = Object.entries(await redis.commandStats());
  return Object.fromEntries(
    asked.filter(([name]) => !/^(info|ping|quit|hello|client|command|flushall|keys)/.test(name)),
  );
}

const keys = () => client.keys('*');

function flip(text: string, at: number): string {
  const index = at < 0 ? text.length + at : at;
  return `${text.slice(0, index)}${text[index] === 'A' ? 'B' : 'A'}${text.slice(index + 1)}`;
}

describePlatforms(() => {
  beforeAll(async () => {
    application = await TestApplication.start({ options: { redis: { url: redis.url } } });
  });

  afterAll(() => application.close());

  describe('a cookie that nobody here signed', () => {
    let genuine: string;

    beforeEach(async () => {
      genuine = (await application.loggedIn()).cookies.get('sid')!;
    });

    it.each<[string, (value: string) => string]>([
      ['with another handle', (value) => `sid=${flip(value, 's%3A'.length + 12)}`],
      ['with another secret', (value) => `sid=${flip(value, 's%3A'.length + 30)}`],
      ['with another signature', (value) => `sid=${flip(value, -1)}`],
      ['with its signature cut', (value) => `sid=${value.slice(0, -3)}`],
      ['without its signature', (value) => `sid=${encodeURIComponent(`s:${idOf(value)}`)}`],
      ['unsigned', (value) => `sid=${idOf(value)}`],
      ['signed by another secret', (value) => `sid=${signed(idOf(value), OLDER)}`],
      ['signed, but no id of ours', () => `sid=${signed('oVs3nBkgv8yXrjXbCr8Zl1wPK2v0fQd7')}`],
      ['signed, with an empty id', () => `sid=${signed('')}`],
      ['signed, with a handle alone', (value) => `sid=${signed(idOf(value).split('.')[0]!)}`],
      [
        'signed, with a glob for a handle',
        (value) => `sid=${signed(`${'*'.repeat(28)}.${idOf(value).split('.')[1]!}`)}`,
      ],
      ['signed, of 4 kB', () => `sid=${signed('x'.repeat(4000))}`],
      ['of 4 kB', () => `sid=${'s%3A'.repeat(1024)}`],
      ['of no value', () => 'sid='],
      ['of no value and no equals sign', () => 'sid'],
      ['of a single quote', () => 'sid="'],
      ['in quotes', (value) => `sid="${flip(value, -1)}"`],
      ['in JSON', () => `sid=${encodeURIComponent('j:{"id":"x"}')}`],
      ['with a broken percent-encoding', () => 'sid=s%3A%E0%A4%A.x'],
      ['with a lone percent sign', () => 'sid=%'],
      ['in binary', () => 'sid=\u0080\u00ff\u00fe;\u00e4'],
      [
        'a hundred times',
        (value) =>
          Array<string>(100)
            .fill(`sid=${flip(value, -1)}`)
            .join('; '),
      ],
      ['with a broken percent-encoding 2,500 times', () => 'sid=%;'.repeat(2_500)],
      ['behind a no-break space', (value) => `\u00a0sid=${value}; sid\u00a0=${value}; sid=\u00a0${value}`],
      ['behind a control character', (value) => `\u0085sid=${value}; sid\u0085=${value}`],
      ['without an equals sign', (value) => `sid ${value}; sid"${value}"`],
      ['under a longer name', (value) => `xsid=${value}; sid2=${value}`],
      ['under a name in capitals', (value) => `SID=${value}`],
      ['in a header of nothing but separators', () => ';;; = ;=;;sid;'],
    ])('is as good as none, and costs no Redis command: one %s', async (_, forge) => {
      const browser = application.browser();
      const headers = { cookie: forge(genuine) };
      const before = await commands();
      const [guarded, open] = [await browser.get('/me', { headers }), await browser.get('/public', { headers })];

      expect([guarded.status, guarded.setCookies]).toEqual([401, []]);
      expect([open.status, open.json(), open.setCookies]).toEqual([200, { name: null }, []]);
      expect(await commands()).toEqual(before);
    });

    it('does not keep its bearer from logging in', async () => {
      const browser = application.browser();
      browser.cookies.set('sid', flip(genuine, -1));
      await browser.post('/login', { json: CREDENTIALS });

      expect((await browser.get('/me')).status).toBe(200);
    });
  });

  describe('a cookie that was signed here', () => {
    it.each<[string, (ids: string[], clock: TestApplication['clock']) => string]>([
      ['names a session that is not there', () => freshId()],
      ['names an anonymous session that is not there', () => freshId(newAnonymousSessionId())],
      ["shows another session's secret", ([one = '', two = '']) => `${one.split('.')[0]!}.${two.split('.')[1]!}`],
      ['shows a wrong secret', ([one = '']) => flip(one, -5)],
      [
        'comes when its session has expired',
        ([one = ''], clock) => {
          clock.advance('1h');
          return one;
        },
      ],
    ])('opens nothing if it %s', async (_, choose) => {
      const ids = [];
      for (const name of ['ada', 'ada']) {
        const browser = await application.loggedIn(name);
        ids.push(idOf(browser.cookies.get('sid')!));
      }
      const browser = application.browser();
      const headers = { cookie: `sid=${signed(choose(ids, application.clock))}` };

      expect((await browser.get('/me', { headers })).status).toBe(401);
      expect((await browser.get('/public', { headers })).json()).toEqual({ name: null });
      expect((await browser.request('PUT', '/session/a', { headers, json: { value: 1 } })).status).toBe(200);
    });

    it('is good in quotes, and unencoded', async () => {
      const value = (await application.loggedIn()).cookies.get('sid')!;
      const browser = application.browser();

      for (const cookie of [`sid="${value}"`, `sid=${decodeURIComponent(value)}`, `a=b;sid=${value};c`]) {
        expect((await browser.get('/me', { headers: { cookie } })).status).toBe(200);
      }
    });
  });

  describe('of several cookies of our name', () => {
    it.each<[string, () => string[]]>([
      ['a forged one', () => [signed(freshId(), OLDER)]],
      ['one of a session that has ended', () => [signed(freshId())]],
      ['ten forged ones', () => Array.from({ length: 10 }, () => signed(freshId(), OLDER))],
      ['three dead ones', () => [signed(freshId()), 'x', signed(freshId(newAnonymousSessionId()))]],
      ['fifteen dead ones, validly signed', () => Array.from({ length: 15 }, () => signed(freshId()))],
    ])('the one that has not ended counts behind %s', async (_, dead) => {
      const valid = (await application.loggedIn()).cookies.get('sid')!;
      const cookie = [...dead(), valid].map((value) => `sid=${value}`).join('; ');
      const browser = application.browser();

      expect((await browser.get('/me', { headers: { cookie } })).json()).toMatchObject({ name: 'Ada' });
      expect((await browser.get('/me', { headers: { cookie: cookie.split('; ').reverse().join('; ') } })).status).toBe(
        200,
      );
    });

    it('no more than sixteen are tried', async () => {
      const cookie = Array.from({ length: 40 }, () => `sid=${signed(freshId())}`).join('; ');
      const { get: before = 0 } = await commands();
      await application.browser().get('/me', { headers: { cookie } });

      expect((await commands())['get']! - before).toBe(16); // Whether they are live and, if not, why, is one question.
    });
  });

  describe('a browser that shows several live sessions', () => {
    const showing = (...browsers: Browser[]) => ({
      headers: { cookie: browsers.map((one) => `sid=${one.cookies.get('sid')!}`).join('; ') },
    });
    const loggedIn = (...names: ('ada' | 'grace')[]) =>
      Promise.all(names.map((name) => application.loggedIn(name, name === 'ada' ? 'lovelace' : 'hopper')));

    it.each([[['ada', 'grace'] as const], [['ada', 'ada'] as const], [['grace', 'ada', 'grace', 'ada'] as const]])(
      'is logged out of all by one logout: %p',
      async (names) => {
        const shown = showing(...(await loggedIn(...names)));
        const visitor = application.browser();
        const events = application.events.length;
        const left = await visitor.post('/logout', shown);

        expect([left.status, left.setCookies]).toEqual([204, [expect.stringMatching(/^sid=; /)]]);
        expect((await visitor.get('/me', shown)).status).toBe(401);
        expect(application.events.slice(events).map(({ type }) => type)).toEqual(names.map(() => 'logged-out'));
      },
    );

    it.each(['ada', 'grace'])('goes on in none of them after a login of %s', async (username) => {
      const browsers = await loggedIn('grace', 'ada', 'ada');
      const visitor = application.browser();
      const json = { username, password: username === 'ada' ? 'lovelace' : 'hopper' };
      expect((await visitor.post('/login', { json, ...showing(...browsers) })).status).toBe(200);

      expect((await visitor.get('/me', showing(...browsers))).status).toBe(401);
      expect((await visitor.get('/me')).status).toBe(200);
    });

    it('is logged out of what it shows behind dead cookies, and of nothing that it has only the handle of', async () => {
      const [one, other] = await loggedIn('ada', 'grace');
      const foreign = `${idOf(other!.cookies.get('sid')!).split('.')[0]!}.${idOf(one!.cookies.get('sid')!).split('.')[1]!}`;
      const values = [signed(freshId()), one!.cookies.get('sid')!, signed(freshId()), signed(foreign)];
      await application.browser().post('/logout', { headers: { cookie: values.map((v) => `sid=${v}`).join('; ') } });

      expect([(await one!.get('/me')).status, (await other!.get('/me')).status]).toEqual([401, 200]);
    });

    it('costs a logout one look-up for each, and none where there is one cookie', async () => {
      const [one, ...others] = await loggedIn('ada', 'grace', 'ada');
      const { get: before = 0 } = await commands();
      await application.browser().post('/logout', showing(one!));
      const { get: between = 0 } = await commands();
      await application.browser().post('/logout', showing(...others));

      expect([between - before, (await commands())['get']! - between]).toEqual([1, 2]);
    });
  });

  describe('a secret that was replaced', () => {
    it('still opens its sessions, and their cookies are signed anew on the next use, once', async () => {
      const before = await started({ options: { secret: OLDER } });
      const old = await before.loggedIn();
      const after = await started({
        options: { secret: [NEWER, 'never used, but here all the same', OLDER] },
        clock: before.clock,
      });
      const browser = after.browser();
      const id = idOf(old.cookies.get('sid')!);
      browser.cookies.set('sid', old.cookies.get('sid')!);
      const renewed = await browser.get('/public');

      expect(renewed.json()).toEqual({ name: 'Ada' });
      expect(renewed.setCookies).toEqual([
        `sid=${signed(id, NEWER)}; Path=/; Expires=${new Date(before.clock.now() + 2 * DAY).toUTCString()}; HttpOnly; SameSite=Lax`,
      ]);
      expect(renewed.headers['cache-control']).toBe('no-store');
      expect((await browser.get('/me')).setCookies).toEqual([]);

      const later = (await started({ options: { secret: NEWER }, clock: before.clock })).browser();
      expect((await later.get('/me', { headers: { cookie: `sid=${signed(id, NEWER)}` } })).status).toBe(200);
      expect((await later.get('/me', { headers: { cookie: `sid=${signed(id, OLDER)}` } })).status).toBe(401);
    });
  });

  describe('the cookie of a login', () => {
    const EXPIRES = (clock: TestApplication['clock']) => `Expires=${new Date(clock.now() + 2 * DAY).toUTCString()}`;

    it.each<[string, TestApplicationOptions, Record<string, string>, RegExp]>([
      ['in development', {}, {}, /^sid=VALUE; Path=\/; EXPIRES; HttpOnly; SameSite=Lax$/],
      [
        'in development behind TLS',
        { trustProxy: true },
        HTTPS,
        /^sid=VALUE; Path=\/; EXPIRES; HttpOnly; Secure; SameSite=Lax$/,
      ],
      [
        'in production behind TLS',
        { environment: 'production', trustProxy: true },
        HTTPS,
        /^__Host-Http-sid=VALUE; Path=\/; EXPIRES; HttpOnly; Secure; SameSite=Lax$/,
      ],
      [
        'in an environment of any other name behind TLS',
        { environment: 'staging', trustProxy: true },
        HTTPS,
        /^__Host-Http-sid=VALUE; Path=\/; EXPIRES; HttpOnly; Secure; SameSite=Lax$/,
      ],
      [
        'with attributes of your own',
        {
          trustProxy: true,
          options: {
            cookie: {
              name: '__Secure-app',
              path: '/login',
              domain: 'example.com',
              sameSite: 'none',
              secure: true,
              partitioned: true,
            },
          },
        },
        HTTPS,
        /^__Secure-app=VALUE; Domain=example\.com; Path=\/login; EXPIRES; HttpOnly; Secure; Partitioned; SameSite=None$/,
      ],
    ])('says exactly what it should %s', async (_, options, headers, pattern) => {
      const application = await started(options);
      const response = await application.browser({ trustSecure: true }).post('/login', { json: CREDENTIALS, headers });
      const [setCookie = '', ...others] = response.setCookies;

      expect([response.status, others]).toEqual([200, []]);
      expect(
        setCookie
          .replace(/=s%3A[\w-]{28}\.[\w-]{43}\.[\w%]{43,}(?=;)/, '=VALUE')
          .replace(EXPIRES(application.clock), 'EXPIRES'),
      ).toMatch(pattern);
      expect(response.headers['cache-control']).toBe('no-store');
    });

    it('is taken back with the same attributes', async () => {
      const application = await started({ environment: 'production', trustProxy: true });
      const browser = application.browser({ trustSecure: true });
      await browser.post('/login', { json: CREDENTIALS, headers: HTTPS });

      expect((await browser.post('/logout', { headers: HTTPS })).setCookies).toEqual([
        '__Host-Http-sid=; Path=/; Expires=Thu, 01 Jan 1970 00:00:00 GMT; HttpOnly; Secure; SameSite=Lax',
      ]);
      expect(browser.cookies.size).toBe(0);
    });
  });

  describe('what code does to req.session.cookie', () => {
    @Controller('attributes')
    class AttributesController {
      constructor(private readonly sessionAuth: SessionAuthService) {}

      /** Puts something else where the cookie was. */
      @Put('replaced')
      replace(@Req() request: Request, @Body() { replacement }: { replacement: never }) {
        Object.assign(request.session, { color: 'blue', cookie: replacement });
        return {};
      }

      /** Defines what it is told to, so that nothing can be assigned to it; also on a cookie object of its own. */
      @Put('defined/:object')
      define(@Req() request: Request, @Param('object') object: string, @Body() attributes: object) {
        const cookie = object === 'own' ? cookieOfAMinute() : request.session.cookie;
        const frozen = Object.fromEntries(
          Object.entries({ ...attributes, serialize: () => 'sid=chosen; Domain=evil.example' }).map(([name, value]) => [
            name,
            { value, writable: false, configurable: false, enumerable: true },
          ]),
        );
        Object.defineProperty(request.session, 'cookie', { value: Object.defineProperties(cookie, frozen) });
        Object.assign(request.session, { color: 'blue' });
        return {};
      }

      /** Puts a cookie object of express-session's class in its place. */
      @Put('exchanged')
      exchange(@Req() request: Request, @Body() attributes: object) {
        request.session.cookie = Object.assign(cookieOfAMinute(), attributes);
        Object.assign(request.session, { color: 'blue' });
        return {};
      }

      /** Sets what it is told to, on the session of the visitor that it is told about. */
      @Put(':visitor')
      async set(@Req() request: Request, @Param('visitor') visitor: string, @Body() attributes: object) {
        if (visitor === 'logging-in') await this.sessionAuth.logIn(request, { id: '1', name: 'Ada' });
        if (visitor === 'stepping-up') await this.sessionAuth.reauthenticate(request);
        if (visitor === 'anonymous') Object.assign(request.session, { color: 'blue' });
        Object.assign(request.session.cookie, attributes);
        return request.session.cookie;
      }

      @Post('save')
      async save(@Req() request: Request, @Body() attributes: object) {
        Object.assign(request.session, { color: 'blue' });
        Object.assign(request.session.cookie, attributes);
        await new Promise((resolve) => request.session.save(resolve));
        return {};
      }

      @Get()
      get(@Req() request: Request) {
        return { cookie: request.session.cookie, current: this.sessionAuth.current(request).expiresAt };
      }
    }
    const controllers = [AttributesController];

    const cookieOfAMinute = () => Object.assign(new session.Cookie(), { maxAge: 60_000 });

    const ALL = {
      httpOnly: false,
      secure: false,
      sameSite: 'none',
      domain: 'evil.example',
      path: '/elsewhere',
      partitioned: true,
      priority: 'high',
    };
    const EACH = Object.entries(ALL).map(([name, value]): [string, object] => [name, { [name]: value }]);
    const SETTINGS: [string, object][] = [...EACH, ['all of them', ALL]];

    /** The names and values of a cookie's attributes, but for its value and its end. */
    const attributesOf = ([cookie = '', ...more]: string[]) => [
      cookie.replace(/^([^=]+)=[^;]+/, '$1').replace(/Expires=[^;]+/, 'Expires'),
      ...more,
    ];

    it.each(SETTINGS)(
      'does not change the Set-Cookie of a new session, of a login or of a step-up: %s',
      async (_, set) => {
        const application = await started({ controllers });
        const browser = application.browser();

        for (const visitor of ['anonymous', 'logging-in', 'stepping-up']) {
          const { status, setCookies } = await browser.request('PUT', `/attributes/${visitor}`, { json: set });
          expect([visitor, status, attributesOf(setCookies)]).toEqual([
            visitor,
            200,
            ['sid; Path=/; Expires; HttpOnly; SameSite=Lax'],
          ]);
        }
      },
    );

    it.each(SETTINGS)('does not change the Set-Cookie of a rotation, nor has one sent without: %s', async (_, set) => {
      const application = await started({ controllers });
      const browser = await application.loggedIn();
      const setAgain = () => browser.request('PUT', '/attributes/somebody', { json: set });

      expect((await setAgain()).setCookies).toEqual([]);
      application.clock.advance('16m');
      expect(attributesOf((await setAgain()).setCookies)).toEqual(['sid; Path=/; Expires; HttpOnly; SameSite=Lax']);
    });

    it('does not change the Set-Cookie of a session that it saves itself, nor what clears it', async () => {
      const application = await started({ controllers });
      const browser = application.browser();
      const { setCookies } = await browser.post('/attributes/save', { json: ALL });
      await browser.post('/login', { json: CREDENTIALS });

      expect(attributesOf(setCookies)).toEqual(['sid; Path=/; Expires; HttpOnly; SameSite=Lax']);
      await browser.request('PUT', '/attributes/somebody', { json: ALL });
      expect((await browser.post('/logout')).setCookies).toEqual([
        'sid=; Path=/; Expires=Thu, 01 Jan 1970 00:00:00 GMT; HttpOnly; SameSite=Lax',
      ]);
    });

    it.each(['exchanged', 'defined/own', 'defined/configured'])(
      'does not change the Set-Cookie of a session where the cookie object or its properties are %s',
      async (how) => {
        const application = await started({ controllers });
        const browser = application.browser();
        const { status, setCookies } = await browser.request('PUT', `/attributes/${how}`, { json: ALL });

        expect([status, attributesOf(setCookies)]).toEqual([200, ['sid; Path=/; Expires; HttpOnly; SameSite=Lax']]);
        expect((await browser.get('/session')).json()).toEqual({ color: 'blue' });
      },
    );

    it('does not take Secure, Domain and Partitioned away where they are configured', async () => {
      const application = await started({
        controllers,
        trustProxy: true,
        options: { cookie: { domain: 'example.com', sameSite: 'strict', secure: true, partitioned: true } },
      });
      const set = {
        httpOnly: false,
        secure: false,
        sameSite: false,
        domain: undefined,
        path: '/x',
        partitioned: false,
      };
      const { setCookies } = await application
        .browser({ trustSecure: true })
        .request('PUT', '/attributes/logging-in', { json: { ...set, domain: null }, headers: HTTPS });

      expect(attributesOf(setCookies)).toEqual([
        'sid; Domain=example.com; Path=/; Expires; HttpOnly; Secure; Partitioned; SameSite=Strict',
      ]);
    });

    it('counts for its age alone, which is then that of the cookie and the idle limit', async () => {
      const application = await started({ controllers });
      const browser = await application.loggedIn();
      const json = { ...ALL, maxAge: 600_000 };
      const before = Date.now(); // The age counts from the moment that it is set; the class is express-session's.
      const { setCookies } = await browser.request('PUT', '/attributes/somebody', { json });
      const expires = browser.cookies.find('sid')!.expires!;

      expect(attributesOf(setCookies)).toEqual(['sid; Path=/; Expires; HttpOnly; SameSite=Lax']);
      expect(Math.abs(expires - (application.clock.now() + 600_000))).toBeLessThanOrEqual(1_000 + Date.now() - before);
      const headers = { cookie: `sid=${browser.cookies.get('sid')!}` }; // Of a client that pays no heed to the cookie's end.
      application.clock.advance(590_000);
      expect((await browser.get('/me', { headers })).status).toBe(200);
      application.clock.advance(600_000);
      expect((await browser.get('/me', { headers })).json()).toMatchObject({ statusCode: 401, reason: 'expired' });
    });

    it.each([[{ httpOnly: false, maxAge: 60_000 }], [null], ['none']])(
      'changes nothing by putting %j in its place',
      async (replacement) => {
        const application = await started({ controllers });
        const browser = await application.loggedIn();
        const { status, setCookies } = await browser.request('PUT', '/attributes/replaced', { json: { replacement } });

        expect([status, setCookies]).toEqual([200, []]);
        application.clock.advance('30m');
        expect((await browser.get('/session')).json()).toEqual({ color: 'blue' });
      },
    );

    it("leaves it telling the session's own end, as current() does, and not the cookie's", async () => {
      const application = await started({ controllers });
      const browser = await application.loggedIn();
      const at = application.clock.now();
      const ends = (after: number) => new Date(at + after).toISOString();

      expect((await browser.get('/attributes')).json()).toMatchObject({
        cookie: { expires: ends(HOUR) },
        current: ends(HOUR),
      });
      expect(browser.cookies.find('sid')?.expires).toBe(Math.floor((at + 2 * DAY) / 1000) * 1000);
      application.clock.advance('30m');
      await browser.request('PUT', '/session/color', { json: { value: 'blue' } });
      expect((await browser.get('/attributes')).json()).toMatchObject({
        cookie: { expires: ends(1.5 * HOUR) },
        current: ends(1.5 * HOUR),
      });
    });
  });

  describe('a Secure cookie on a plain connection', () => {
    it('fails the login, stores nothing and is logged once, with the remedy', async () => {
      const errors: unknown[] = [];
      const logger: LoggerService = { log() {}, warn() {}, error: (line: unknown) => errors.push(line) };
      const application = await started({ environment: 'production', logger });
      const browser = application.browser({ trustSecure: true });

      for (const headers of [{}, HTTPS]) {
        const response = await browser.post('/login', { json: CREDENTIALS, headers });
        expect(response.json()).toEqual({
          statusCode: 500,
          code: 'cookie_not_sendable',
          message: 'The login cookie could not be sent.',
        });
        expect(response.setCookies).toEqual([]);
      }
      expect(await keys()).toEqual([]);
      expect(errors.map(String).filter((line) => line.includes('trust proxy'))).toEqual([
        'The session cookie is Secure, but this connection is not, so it cannot be sent and nothing is stored. Behind a ' +
          'proxy that ends TLS, trust it: app.set("trust proxy", 1) on Express, the option trustProxy on ' +
          'Fastify, with the addresses of your proxies (a number trusts nobody).',
      ]);
      expect(application.events.filter(({ type }) => type === 'logged-in')).toEqual([]);
    });

    it('leaves no orphan of an anonymous visitor in the store', async () => {
      const application = await started({ environment: 'production' });
      const response = await application.browser().request('PUT', '/session/color', { json: { value: 'blue' } });

      expect([response.status, response.setCookies, await keys()]).toEqual([200, [], []]);
    });
  });

  describe('an anonymous visitor', () => {
    it('who stores nothing gets no cookie, and Redis is not asked', async () => {
      const before = await commands();
      const browser = application.browser();

      for (const path of ['/public', '/session', '/me', '/nowhere']) {
        expect((await browser.get(path)).setCookies).toEqual([]);
      }
      expect(await commands()).toEqual(before);
    });

    it('who stores something gets a cookie, and one key', async () => {
      const browser = application.browser();
      const response = await browser.request('PUT', '/session/color', { json: { value: 'blue' } });

      expect([response.setCookies.length, (await keys()).length]).toEqual([1, 1]);
      expect((await browser.get('/session')).setCookies).toEqual([]);
    });
  });

  describe('a login body', () => {
    const json = { 'content-type': 'application/json' };

    it.each<[string, number, string, Pick<RequestOptions, 'body' | 'json' | 'headers'>]>([
      ['that is broken JSON', 400, 'JSON', { body: '{"username":', headers: json }],
      ['that is no JSON', 400, 'JSON', { body: 'username=ada', headers: json }],
      ['that is binary', 400, 'JSON', { body: Buffer.from([0, 255, 254]), headers: json }],
      ['that is a list', 400, 'Missing credentials', { json: [] }],
      ['of nulls', 400, 'Missing credentials', { json: { username: null, password: null } }],
      ['of objects', 400, 'Missing credentials', { json: { username: { $ne: '' }, password: { $ne: '' } } }],
      ['that lacks the password', 400, 'Missing credentials', { json: { username: 'ada' } }],
      ['that lacks the user name', 400, 'Missing credentials', { json: { password: 'lovelace' } }],
      ['that is not there', 400, 'Missing credentials', {}],
      ['of another type', 400, 'Missing credentials', { body: 'ada', headers: { 'content-type': 'text/plain' } }],
      ['with a wrong password', 401, 'The login was refused.', { json: { username: 'ada', password: 'x' } }],
      ['with an unknown user', 401, 'The login was refused.', { json: { username: 'x', password: 'lovelace' } }],
    ])('%s gets a %d', async (_, status, message, request) => {
      const browser = application.browser();
      const response = await browser.post('/login', request);

      expect([response.status, response.json()]).toMatchObject([status, { message: expect.stringContaining(message) }]);
      expect([response.setCookies, await keys()]).toEqual([[], []]);
    });
  });
});
