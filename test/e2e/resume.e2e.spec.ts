import { request as httpRequest } from 'node:http';
import {
  type ArgumentsHost,
  Body,
  type CanActivate,
  Catch,
  Controller,
  type ExceptionFilter,
  type ExecutionContext,
  Get,
  HttpCode,
  Inject,
  Injectable,
  Post,
  Put,
  Req,
  UseFilters,
  UseGuards,
} from '@nestjs/common';
import { Query, Resolver } from '@nestjs/graphql';
import {
  FreshLoginRequiredException,
  PendingLogin,
  RequireFreshLogin,
  SessionAuthService,
  SessionGuard,
  SessionRegistry,
  type SessionRequest,
} from '../../lib/index.js';
import { LocalStrategy, SnapshotSerializer, type TestApplication } from '../support/application.js';
import type { Browser, RequestOptions } from '../support/browser.js';
import { cookieOf, idOf, keyOf, sessionsIn } from '../support/devices.js';
import { eventually } from '../support/eventually.js';
import { Gates } from '../support/gate.js';
import { graphqlServers } from '../support/graphql-drivers.js';
import { LogRecorder } from '../support/log-recorder.js';
import { NEST } from '../support/nest.js';
import { describePlatforms, storesOn } from '../support/platforms.js';
import { recordOf } from '../support/rotating-browser.js';

const CONFIRM = { proveAt: '/confirm' };

/** Waits where the test says so, after the session was loaded. */
@Injectable()
class WaitingGuard implements CanActivate {
  constructor(@Inject(Gates) private readonly gates: Gates) {}

  async canActivate(context: ExecutionContext): Promise<boolean> {
    const { headers } = context.switchToHttp().getRequest<SessionRequest>();
    await (headers['x-gate'] !== undefined && this.gates.named(String(headers['x-gate'])).pass());
    return true;
  }
}

@Controller('payout')
class PayoutController {
  @Get()
  @RequireFreshLogin('5m', CONFIRM)
  @UseGuards(WaitingGuard)
  show() {
    return { shown: true };
  }

  @Post()
  @HttpCode(200)
  @RequireFreshLogin('5m', { ...CONFIRM, keepFields: ['iban', 'tags', 'address', '__proto__', 'constructor', 'note'] })
  change(@Body() body: object) {
    return body;
  }

  @Put()
  @RequireFreshLogin('5m', CONFIRM)
  replace() {
    return {};
  }

  @Post('once')
  @HttpCode(200)
  @RequireFreshLogin('5m', { ...CONFIRM, keepFields: ['iban'], once: true })
  once(@Body() body: object) {
    return body;
  }

  @Get('by-code')
  @RequireFreshLogin('5m', { ...CONFIRM, methods: ['totp'] })
  byCode() {
    return {};
  }
}

@Controller('vault')
@RequireFreshLogin('5m', { proveAt: '/vault/confirm?why=vault' })
class VaultController {
  @Get()
  open() {
    return {};
  }

  @Get('key')
  @RequireFreshLogin('1m')
  key() {
    return {};
  }
}

/** Where whoever marked the class forgot that it has the page of the proof, too. */
@Controller('circle')
@RequireFreshLogin('5m', { proveAt: '/circle/confirm' })
class CircleController {
  @Get()
  open() {
    return {};
  }

  @Get('confirm')
  confirm() {
    return {};
  }

  @Get('step')
  @PendingLogin()
  step() {
    return {};
  }
}

@Controller('confirm')
@UseGuards(SessionGuard)
class ConfirmController {
  constructor(private readonly auth: SessionAuthService) {}

  @Get()
  async take(@Req() request: SessionRequest) {
    return { kept: (await this.auth.takeKeptRequest(request)) ?? null };
  }

  @Post()
  @HttpCode(200)
  async confirm(@Req() request: SessionRequest) {
    await this.auth.reauthenticate(request, 'password');
    return this.take(request);
  }
}

/** How an application does it by itself. */
@Catch(FreshLoginRequiredException)
class OwnFilter implements ExceptionFilter<FreshLoginRequiredException> {
  constructor(private readonly auth: SessionAuthService) {}

  async catch(exception: FreshLoginRequiredException, host: ArgumentsHost) {
    const http = host.switchToHttp();
    const isKept = await this.auth.keepRequest(http.getRequest<SessionRequest>(), ['iban']);
    http
      .getResponse<{ status(code: number): { send(body: object): void } }>()
      .status(isKept ? 303 : 401)
      .send({});
  }
}

@Controller('own')
class OwnController {
  constructor(private readonly auth: SessionAuthService) {}

  @Post()
  @RequireFreshLogin('5m')
  @UseFilters(OwnFilter)
  own() {
    return {};
  }

  @Post('nobody')
  @HttpCode(200)
  async nobody(@Req() request: SessionRequest) {
    return { kept: await this.auth.keepRequest(request) };
  }
}

@Controller()
class AnyPathController {
  @Get('*')
  @RequireFreshLogin('5m', CONFIRM)
  any() {
    return {};
  }
}

@Resolver()
class PayoutResolver {
  @Query(() => Boolean)
  @RequireFreshLogin('5m', CONFIRM)
  payout() {
    return true;
  }
}

const CONTROLLERS = [
  PayoutController,
  VaultController,
  CircleController,
  ConfirmController,
  OwnController,
  AnyPathController,
];
const HTML = 'text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8';
const FORM = 'application/x-www-form-urlencoded';
const NAVIGATION = { 'sec-fetch-mode': 'navigate', 'sec-fetch-site': 'same-origin', accept: HTML };
const STALE = 'fresh_login_required';

describePlatforms((platform) => {
  describe.each(storesOn(platform))('a page that is interrupted by a step-up, with sessions in %s', (where) => {
    const home = sessionsIn(where);
    let application: TestApplication;
    let browser: Browser;

    const start = async (options?: object) => {
      application = await home.start({ controllers: CONTROLLERS, ...options });
      browser = await application.loggedIn();
      application.clock.advance('5m');
    };
    beforeEach(() => start());

    const see = (path: string, by = browser, headers: RequestOptions['headers'] = NAVIGATION) =>
      by.get(path, { headers });
    const submit = (body: string, path = '/payout', by = browser) =>
      by.post(path, { body, headers: { ...NAVIGATION, 'content-type': FORM } });
    const keptIn = (response: { json<T>(): T }) => response.json<{ kept: object | null }>().kept;
    const confirm = async (by = browser) => keptIn(await by.post('/confirm'));
    const take = async (by = browser) => keptIn(await by.get('/confirm'));
    const led = ({ status, headers }: { status: number; headers: Record<string, unknown> }) => [
      status,
      headers['location'],
    ];

    it('goes to the proof, and on from there with its path, once', async () => {
      const response = await see('/payout?account=1&x=%2F');

      expect(led(response)).toEqual([303, '/confirm']);
      expect(response.headers['cache-control']).toBe('no-store');
      expect(await confirm()).toEqual({ method: 'GET', path: '/payout?account=1&x=%2F' });
      expect((await see('/payout?account=1')).json()).toEqual({ shown: true });
      expect([await take(), await confirm()]).toEqual([null, null]);
      expect(led(await browser.request('HEAD', '/payout', { headers: NAVIGATION }))).toEqual([200, undefined]);
    });

    it('keeps the named fields of a form in their order, repeated ones too, and no others', async () => {
      const logger = new LogRecorder();
      await start({ logger });
      const body =
        'iban=CH56+0483&tags=a&password=hunter2&tags=b&address%5Bcity%5D=Z%C3%BCrich&address%5Blines%5D%5B%5D=1&IBAN=x&ibanx=y';
      expect(led(await submit(body, '/payout?for=2'))).toEqual([303, '/confirm']);
      const { handle } = idOf(browser);
      const text = where === 'redis' ? await home.client.get(keyOf(handle)) : '';

      expect(text).not.toMatch(/hunter2|ibanx/);
      expect(await confirm()).toEqual({
        method: 'POST',
        path: '/payout?for=2',
        fields: [
          ['iban', 'CH56 0483'],
          ['tags', 'a'],
          ['tags', 'b'],
          ['address[city]', 'Zürich'],
          ['address[lines][]', '1'].map((part) => (platform === 'express' ? part.replace('[]', '[0]') : part)),
        ],
      });
      expect(JSON.stringify([application.events, logger.lines])).not.toMatch(/0483|hunter2|for=2/);
    });

    it('means the same to the handler when the form is sent again', async () => {
      const body = 'iban=1&tags%5B%5D=only&address%5Ba%5D%5Bb%5D=2&address%5Blines%5D=3&address%5Blines%5D=4';
      await submit(body);
      const kept = (await confirm()) as { fields: [string, string][] };
      const again = await submit(new URLSearchParams(kept.fields).toString());
      expect(again.json()).toEqual((await submit(body)).json());
      expect(again.text).toContain('only');
    });

    it('takes a field named as an object has properties for a field', async () => {
      const prototype = '__proto__=a&__proto__%5Bpolluted%5D=b&';
      const inherited = 'constructor=c&constructor%5Bprototype%5D%5Bpolluted%5D=d&note=e';
      const isTaken = platform === 'express' || NEST < 12; // Nest 12's Fastify takes no form with a field __proto__.
      expect((await submit(prototype + inherited)).status).toBe(isTaken ? 303 : 400);
      await submit(inherited);
      const { fields } = (await confirm()) as { fields: [string, string][] };

      expect(({} as { polluted?: unknown }).polluted).toBeUndefined();
      expect(fields.at(-1)).toEqual(['note', 'e']);
      expect(fields.flat().every((part: unknown) => typeof part === 'string')).toBe(true);
    });

    it('of a form beyond 16 kB keeps the path alone', async () => {
      const most = 16 * 1024 - 'iban='.length;
      await submit(`iban=${'x'.repeat(most)}&password=${'y'.repeat(1000)}`);
      expect(await confirm()).toMatchObject({ path: '/payout', fields: [['iban', 'x'.repeat(most)]] });
      application.clock.advance('5m');
      await submit(`iban=${'x'.repeat(most + 1)}`);
      expect(await confirm()).toEqual({ method: 'POST', path: '/payout' });
    });

    it.each<[string, RequestOptions['headers']]>([
      ['a browser without Sec-Fetch headers', { accept: HTML }],
      ['who asks for HTML first', { accept: 'text/html, application/json;q=0.9' }],
      ['a form of this origin', { accept: HTML, origin: 'OWN' }],
      ['a link from another site', { ...NAVIGATION, 'sec-fetch-site': 'cross-site' }],
    ])('is told from the request of a program: %s', async (who, headers) => {
      const own = { ...headers, ...(headers!['origin'] && { origin: application.url }), 'content-type': FORM };
      const response = who.startsWith('a form')
        ? await browser.post('/payout', { body: 'iban=1', headers: own })
        : await see('/payout', browser, headers);
      expect(led(response)).toEqual([303, '/confirm']);
      expect(await confirm()).toMatchObject({ path: '/payout' });
    });

    it.each<[string, string, RequestOptions]>([
      ['a client that takes anything', 'GET', { headers: { accept: '*/*' } }],
      ['a client that says nothing', 'GET', {}],
      ['who prefers JSON', 'GET', { headers: { accept: 'application/json, text/html;q=0.9' } }],
      ['who likes both', 'GET', { headers: { accept: 'application/json, text/html' } }],
      ['who wants no HTML', 'GET', { headers: { accept: 'text/html;q=0' } }],
      ['a script', 'GET', { headers: { ...NAVIGATION, 'sec-fetch-mode': 'cors' } }],
      [
        'a script with a form',
        'POST',
        { form: { iban: '1' }, headers: { ...NAVIGATION, 'sec-fetch-mode': 'same-origin' } },
      ],
      ['JSON', 'POST', { json: { iban: '1' }, headers: NAVIGATION }],
      ['a form of text', 'POST', { body: 'iban=1', headers: { ...NAVIGATION, 'content-type': 'text/plain' } }],
      ['another method', 'PUT', { form: { iban: '1' }, headers: NAVIGATION }],
    ])('is none where %s is challenged: that gets the 401, and nothing is kept', async (_, method, options) => {
      await see('/payout?before');
      const response = await browser.request(method, '/payout', options);
      expect([response.status, response.headers.location]).toEqual([401, undefined]);
      expect(response.json()).toMatchObject({ code: STALE, maxAge: 300 });
      expect(await confirm()).toMatchObject({ path: '/payout?before' });
    });

    it.each<[string, object]>([
      ['Sec-Fetch-Site', { 'sec-fetch-site': 'cross-site' }],
      ['Sec-Fetch-Site of a sibling', { 'sec-fetch-site': 'same-site' }],
      ['Origin', { 'sec-fetch-site': undefined, origin: 'https://evil.test' }],
      ['an Origin that is hidden', { 'sec-fetch-site': undefined, origin: 'null' }],
    ])('is none where a form came from another site, by %s: nobody is shown that as their own', async (_, from) => {
      await start({ options: { crossSite: 'allow' } });
      const headers = { ...NAVIGATION, ...from, 'content-type': FORM };
      const response = await browser.post('/payout', { body: 'iban=evil', headers });
      expect(response.status).toBe(401);
      expect(await confirm()).toBeNull();
    });

    it('waits for a proof that is newer', async () => {
      await confirm();
      expect(led(await see('/payout/by-code'))).toEqual([303, '/confirm']);
      expect([await take(), await take()]).toEqual([null, null]);
      expect(await confirm()).toMatchObject({ path: '/payout/by-code' });
    });

    it('is forgotten after five minutes', async () => {
      await submit('iban=late');
      application.clock.advance(5 * 60_000 - 1);
      expect(await confirm()).toMatchObject({ method: 'POST' });
      application.clock.advance('5m');
      await submit('iban=late');
      application.clock.advance('5m');
      expect([await take(), await confirm()]).toEqual([null, null]);
    });

    it.each<[string, () => Promise<unknown>]>([
      ['write', () => browser.request('PUT', '/session/color', { json: { value: 'blue' } })],
      ['step-up', () => browser.post('/proof/step-up')],
    ])("is not left in the store after that by the session's next %s", async (_, next) => {
      const isKept = async () => (await recordOf(application, idOf(browser)))!.kept !== undefined;
      await submit('iban=late');
      application.clock.advance('5m');
      expect(await isKept()).toBe(true);
      await next();
      expect(await isKept()).toBe(false);
    });

    it('is not left in the store either where the session is only used after that', async () => {
      const isKept = async () => (await recordOf(application, idOf(browser)))!.kept !== undefined;
      await submit('iban=late');
      application.clock.advance('4m');
      await browser.get('/me');
      expect(await isKept()).toBe(true);
      application.clock.advance('1m');
      await browser.get('/me');
      await eventually('it to be dropped', async () => !(await isKept()));
      expect((await browser.get('/me')).status).toBe(200);
    });

    it('is forgotten after five minutes also where the proof came in time', async () => {
      await see('/payout');
      application.clock.advance('4m');
      await browser.post('/proof/step-up');
      application.clock.advance('1m');
      expect(await take()).toBeNull();
    });

    it('of two tabs counts in the one that came last, whose fields are not mixed with the other ones', async () => {
      await submit('iban=1&note=first');
      await submit('iban=2', '/payout?second', browser.tab());

      expect(await confirm()).toEqual({ method: 'POST', path: '/payout?second', fields: [['iban', '2']] });
      application.clock.advance('5m');
      await submit('iban=1');
      await see('/payout', browser.tab());
      expect(await confirm()).toEqual({ method: 'GET', path: '/payout' });
    });

    it('is given to one of those that take it at the same time', async () => {
      await submit('iban=1');
      await browser.post('/proof/step-up');
      const taken = await Promise.all(Array.from({ length: 8 }, () => take(browser.tab())));
      expect(taken.filter((one) => one !== null)).toHaveLength(1);
    });

    it('outlives activity, a rotation and what other requests write, and stands nowhere in the data', async () => {
      await start({ options: { lifetime: { rotateEvery: '1m', touchEvery: '10s' } } });
      await submit('iban=1');
      const { secret } = idOf(browser);
      for (let minute = 0; minute < 3; minute++) {
        application.clock.advance('1m');
        await browser.get('/me');
        await browser.request('PUT', `/session/n${minute}`, { json: { value: minute } });
      }
      expect(idOf(browser).secret).not.toBe(secret);
      expect((await browser.get('/session')).json()).toEqual({ n0: 0, n1: 1, n2: 2 });
      expect(await confirm()).toMatchObject({ path: '/payout', fields: [['iban', '1']] });
      expect((await browser.get('/session')).json()).toEqual({ n0: 0, n1: 1, n2: 2 });
    });

    it('may need a proof for itself alone', async () => {
      await submit('iban=1', '/payout/once');
      const kept = (await confirm()) as { path: string; fields: [string, string][] };
      const again = () => submit(new URLSearchParams(kept.fields).toString(), kept.path);

      expect((await again()).json()).toEqual({ iban: '1' });
      expect(led(await again())).toEqual([303, '/confirm']);
      expect(await confirm()).toEqual(kept);
    });

    it('goes where its class says, and where a method says nothing of it, nowhere', async () => {
      expect(led(await see('/vault'))).toEqual([303, '/vault/confirm?why=vault']);
      expect((await see('/vault/key')).status).toBe(401);
      expect(await confirm()).toEqual({ method: 'GET', path: '/vault' });
    });

    it('is for who is logged in: nobody else is sent anywhere', async () => {
      const nobody = application.browser();
      expect((await see('/payout', nobody)).json()).toMatchObject({ statusCode: 401, code: 'unauthenticated' });
      expect((await nobody.post('/own/nobody', { headers: NAVIGATION })).json()).toMatchObject({
        code: 'unauthenticated',
      });
    });

    it('is for whose login is complete: while it is pending, nothing is kept and nobody is sent anywhere', async () => {
      const pending = application.browser();
      await pending.post('/proof/none', { json: { user: { id: '1', name: 'Ada' }, pending: ['totp'] } });
      const response = await see('/circle/step', pending);

      expect(led(response)).toEqual([401, undefined]);
      expect(response.json()).toMatchObject({ code: STALE });
      expect((await recordOf(application, idOf(pending)))!.kept).toBeUndefined();
    });

    it('is none where it is the page of the proof that asks for one: no browser is sent in a circle', async () => {
      expect(led(await see('/circle'))).toEqual([303, '/circle/confirm']);
      for (const path of ['/circle/confirm', '/circle/confirm/', '/circle/confirm?again']) {
        const response = await see(path);
        expect([response.status, response.json<{ code: string }>().code]).toEqual([401, STALE]);
      }
      expect(await confirm()).toMatchObject({ path: '/circle' });
    });

    it('is lost with its session, whether that ends before the proof or before it is kept', async () => {
      await submit('iban=1');
      await application.app.get(SessionRegistry).revokeAll('1');
      expect((await browser.post('/confirm')).json()).toMatchObject({ statusCode: 401, reason: 'revoked' });

      await start();
      const gate = application.app.get(Gates).named('late');
      const late = see('/payout', browser, { ...NAVIGATION, 'x-gate': 'late' });
      await gate.reached;
      await browser.fork().post('/logout');
      gate.open();
      expect(led(await late)).toEqual([303, '/confirm']);
      expect((await browser.post('/confirm')).status).toBe(401);
    });

    it.each([
      ['another user', 'grace', 'hopper'],
      ['the same user', 'ada', 'lovelace'],
    ])('is not carried into a login of %s, nor over a logout that keeps the data', async (_, username, password) => {
      await submit('iban=1');
      await browser.post('/proof/step-up');
      await browser.post('/login', { json: { username, password } });
      expect([await take(), await confirm()]).toEqual([null, null]);
    });

    it.each([
      '//evil.test/a',
      '///evil.test',
      '/\\evil.test',
      '/.//evil.test',
      '/any/..//..//evil.test',
      'http://evil.test//evil.test',
    ])('leads to no other site where the path was %s', async (target) => {
      await see('/payout?before');
      const response = await rawGet(application.url, target, { cookie: cookieOf(browser), ...NAVIGATION });
      const kept = (await confirm()) as { path: string } | null;

      expect(response).not.toBe(200);
      const location = new URL(kept?.path ?? '/', application.url);
      expect(location.origin).toBe(application.url);
    });

    it('keeps the path of a request line that names the host', async () => {
      await rawGet(application.url, 'http://evil.test/payout?x=1', { cookie: cookieOf(browser), ...NAVIGATION });
      expect(await confirm()).toEqual({ method: 'GET', path: '/payout?x=1' });
    });

    it('is none where a browser asks GraphQL: that reports errors of its own', async () => {
      const server = graphqlServers.find((one) => one.platform === platform)!;
      const providers = [SnapshotSerializer, LocalStrategy, PayoutResolver];
      await start({ imports: [server.module()], controllers: [ConfirmController], providers });
      const headers = { ...NAVIGATION, accept: '*/*', 'apollo-require-preflight': '1' };
      const response = await browser.get('/graphql?query=%7Bpayout%7D', { headers });
      expect(response.json()).toMatchObject({ errors: [{ extensions: { sessionAuth: STALE } }] });
      expect(await confirm()).toBeNull();
    });

    it('can be kept by the application itself', async () => {
      expect((await submit('iban=1&note=2', '/own')).status).toBe(303);
      expect(await confirm()).toEqual({ method: 'POST', path: '/own', fields: [['iban', '1']] });
      application.clock.advance('5m');
      expect((await browser.post('/own', { json: { iban: '1' } })).status).toBe(401);
      expect(await confirm()).toBeNull();
    });
  });

  describe('a page that is interrupted by a step-up, and a Redis that fails', () => {
    const home = sessionsIn('redis');
    let application: TestApplication;
    let browser: Browser;
    beforeEach(async () => {
      application = await home.start({ controllers: CONTROLLERS });
      browser = await application.loggedIn();
      application.clock.advance('5m');
    });
    afterEach(() => home.refuseWrites(false));
    const see = (path: string) => browser.get(path, { headers: NAVIGATION });

    it('is a 503 where it cannot be kept or taken, and nothing is lost by that', async () => {
      await see('/payout?before');
      await home.refuseWrites();
      expect((await see('/payout')).json()).toMatchObject({ statusCode: 503, code: 'session_store_unavailable' });
      await home.refuseWrites(false);
      await browser.post('/proof/step-up');
      await home.refuseWrites();
      expect((await browser.get('/confirm')).json()).toMatchObject({ statusCode: 503 });
      await home.refuseWrites(false);
      expect((await browser.get('/confirm')).json()).toMatchObject({ kept: { path: '/payout?before' } });
    });

    it.each<[string, (kept: string) => string, unknown]>([
      ['leads elsewhere', (kept) => kept.replace('/payout', '//evil.test'), null],
      ['is broken', () => '{"at":', null],
      ['has no pairs', (kept) => kept.replace('[]', '[["a"]]'), null],
      ['is of another method', (kept) => kept.replace('POST', 'PUT'), null],
      ['is as it was', (kept) => kept, { method: 'POST', path: '/payout', fields: [] }],
    ])('is read with care: one in the store that %s', async (_, change, expected) => {
      await browser.post('/payout', { form: { other: '1' }, headers: NAVIGATION });
      await browser.post('/proof/step-up');
      const key = keyOf(idOf(browser).handle);
      const stored = JSON.parse((await home.client.get(key))!) as { kept: string };
      stored.kept = change(stored.kept);
      await home.client.set(key, JSON.stringify(stored), { KEEPTTL: true });
      const response = await browser.get('/confirm');
      expect([response.status, response.json()]).toEqual([200, { kept: expected }]);
    });
  });
});

describe('@RequireFreshLogin', () => {
  it.each(['https://evil.test/', '//evil.test', 'confirm', '', 1, null, ['/confirm']])(
    'refuses a place of proof that is no path of this site: %j',
    (proveAt) => {
      expect(() => RequireFreshLogin('5m', { proveAt: proveAt as string })).toThrow(
        /proveAt is .* no path of this site/,
      );
    },
  );

  it.each(['iban', [''], [1], {}])('refuses fields that are no list of names: %j', (keepFields) => {
    expect(() => RequireFreshLogin('5m', { ...CONFIRM, keepFields: keepFields as string[] })).toThrow(
      /keepFields is no list of words/,
    );
  });
});

/** The status of a GET whose request line has this target, which a URL would change. */
function rawGet(url: string, target: string, headers: Record<string, string>): Promise<number | undefined> {
  const { hostname, port } = new URL(url);
  return new Promise((resolve, reject) => {
    httpRequest({ hostname, port, path: target, headers }, (response) => {
      response.resume();
      resolve(response.statusCode);
    })
      .on('error', reject)
      .end();
  });
}
