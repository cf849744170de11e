import { createServer, request as sendRequest, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import {
  Controller,
  Get,
  Module,
  Req,
  RequestMethod,
  Res,
  Version,
  VERSION_NEUTRAL,
  VersioningType,
} from '@nestjs/common';
import type { MiddlewareConsumer, NestModule, VersioningOptions } from '@nestjs/common';
import type { AbstractHttpAdapter } from '@nestjs/core';
import express, { type NextFunction, type Request, type Response } from 'express';
import serverless from 'serverless-http';
import { type RoutePattern, SessionAuthService, SessionMiddleware, type SessionRequest } from '../../lib/index.js';
import { TestApplication, type TestApplicationOptions, type User } from '../support/application.js';
import { Browser } from '../support/browser.js';
import { sessionsIn } from '../support/devices.js';
import { describePlatforms, nodeRequest, type Platform, takeOver } from '../support/platforms.js';

const ADA = { username: 'ada', password: 'lovelace' };
const closers: (() => unknown)[] = [];

afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

async function started(options?: TestApplicationOptions): Promise<TestApplication> {
  const application = await TestApplication.start(options);
  closers.push(() => application.close());
  return application;
}

/** Tells what a request brings with it. */
const probe = (request: SessionRequest) => ({
  session: request.session !== undefined,
  user: (request.user as User | undefined)?.name ?? null,
});
const WITHOUT = { session: false, user: null };
const WITH = { session: true, user: 'Ada' };

@Controller({ path: 'things', version: ['1', VERSION_NEUTRAL] })
class ThingsController {
  @Get(['', 'a'])
  get(@Req() request: SessionRequest) {
    return probe(request);
  }
}

@Controller('others')
class OthersController {
  @Get(['', 'things'])
  get(@Req() request: SessionRequest) {
    return probe(request);
  }
  @Get('late')
  @Version('2.1')
  late(@Req() request: SessionRequest) {
    return probe(request);
  }
}

describePlatforms(() => {
  const exclude: RoutePattern[] = ['things', { path: 'others/late', method: RequestMethod.GET }];

  interface Case {
    versioning: VersioningOptions;
    prefix?: string;
    login: string;
    excluded: string[];
    included: string[];
    headers?: Record<string, string>;
  }

  it.each<[string, Case]>([
    [
      'in the URI',
      {
        versioning: { type: VersioningType.URI },
        login: '/login',
        excluded: ['/v1/things', '/things', '/v2.1/others/late'],
        included: ['/v1/things/a', '/others', '/others/things'],
      },
    ],
    [
      'in the URI, below a global prefix',
      {
        versioning: { type: VersioningType.URI, defaultVersion: '3' },
        prefix: 'api',
        login: '/api/v3/login',
        excluded: ['/api/v1/things', '/api/things', '/api/v2.1/others/late'],
        included: ['/api/v1/things/a', '/api/v3/others', '/api/v3/others/things'],
      },
    ],
    [
      'in the URI, with nothing before the number',
      {
        versioning: { type: VersioningType.URI, prefix: false, defaultVersion: '3' },
        login: '/3/login',
        excluded: ['/1/things', '/2.1/others/late'],
        included: ['/3/others', '/3/others/things'],
      },
    ],
    [
      'in a header',
      {
        versioning: { type: VersioningType.HEADER, header: 'x-version' },
        login: '/login',
        excluded: ['/things'],
        included: ['/things/a'],
        headers: { 'x-version': '1' },
      },
    ],
  ])(
    'a route pattern in "exclude", with versions %s, holds with the version and without',
    async (_, { versioning, prefix = '', login, headers = {}, ...paths }) => {
      const application = await started({
        options: { exclude },
        controllers: [ThingsController, OthersController],
        configure: (app) => app.setGlobalPrefix(prefix).enableVersioning(versioning),
      });
      const browser = application.browser();
      expect((await browser.post(login, { json: ADA })).status).toBe(200);
      const ask = async (path: string) => [path, (await browser.get(path, { headers })).json()];

      for (const path of paths.excluded) expect(await ask(path)).toEqual([path, WITHOUT]);
      for (const path of paths.included) expect(await ask(path)).toEqual([path, WITH]);
    },
  );
});

/** A server of this listener, and a browser for it. */
async function browserOf(listener: RequestListener): Promise<Browser> {
  const server: Server = createServer(listener);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  closers.push(
    () => new Promise((resolve) => server.close(resolve)),
    () => {
      server.closeAllConnections();
    },
  );
  return new Browser(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
}

const expressOf = ({ app }: TestApplication) => app.getHttpAdapter().getInstance() as express.Express;

/** What Node's servers call for a request. */
const listenerOf = ({ app }: TestApplication) =>
  (app.getHttpAdapter() as AbstractHttpAdapter).getInstance<{ routing: RequestListener }>().routing;

describePlatforms((platform) => {
  it('an application works behind serverless-http', async () => {
    const application = await started();
    const handler = serverless(platform === 'express' ? expressOf(application) : listenerOf(application));
    const invoke = async (method: string, path: string, cookie = '', body?: object) => {
      const event = {
        httpMethod: method,
        path,
        headers: { cookie, ...(body && { 'content-type': 'application/json' }) },
        body: body && JSON.stringify(body),
        requestContext: {},
      };
      const result = (await handler(event, {})) as {
        statusCode: number;
        body: string;
        headers: Record<string, string>;
        multiValueHeaders?: Record<string, string[]>;
      };
      const setCookie = result.headers['set-cookie'] ?? result.multiValueHeaders?.['set-cookie']?.[0] ?? '';
      return { ...result, cookie: setCookie.split(';')[0]! };
    };

    const login = await invoke('POST', '/login', '', ADA);
    const me = await invoke('GET', '/me', login.cookie);
    const put = await invoke('PUT', '/session/cart', login.cookie, { value: 'tea' });
    const session = await invoke('GET', '/session', login.cookie);
    const logout = await invoke('POST', '/logout', login.cookie, {});
    const after = await invoke('GET', '/me', login.cookie);

    expect([login, me, put, session, logout, after].map(({ statusCode }) => statusCode)).toEqual([
      200, 200, 200, 200, 204, 401,
    ]);
    expect(JSON.parse(session.body)).toEqual({ cart: 'tea' });
    expect(JSON.parse(after.body)).toMatchObject({ reason: 'logged_out' });
  });

  it('an application works in a server of somebody else, below a path', async () => {
    const application = await started({
      options: { cookie: { path: '/shop' }, exclude: ['public'] },
      configure: (app) => app.setGlobalPrefix('shop'),
    });
    const listener = platform === 'express' ? expressOf(application) : listenerOf(application);
    const browser = await browserOf((request, response) => {
      if (request.url!.startsWith('/shop/')) listener(request, response);
      else response.writeHead(404).end();
    });

    await expectShop(browser);
    expect((await browser.get('/')).status).toBe(404);
  });
});

/* Express gives a request and its response prototypes of its own, whoever calls it. */
describePlatforms(() => {
  const ofExpress = () =>
    express()
      .get('/count', ({ session, user }, response) => {
        const counter = session as { count?: number };
        counter.count = (counter.count ?? 0) + 1;
        response.json({ count: counter.count, user });
      })
      .get('/unsaved', ({ session }, response) => {
        Object.assign(session, { amount: 1n });
        response.send('done');
      })
      .get('/login', async (request, response) => {
        await request.logIn({ id: '2', name: 'Grace' });
        response.json({ user: request.user, isSame: request.sessionID === request.session.id });
      });

  it('an Express application that main.ts mounts behind the session has it', async () => {
    const application = await started({
      configure: (app) => {
        app.use(app.get(SessionMiddleware).use);
        app.use('/express', ofExpress());
      },
    });
    const browser = await application.loggedIn();
    const ada = { id: '1', name: 'Ada' };

    expect((await browser.get('/express/count')).json()).toEqual({ count: 1, user: ada });
    expect((await browser.get('/express/count')).json()).toEqual({ count: 2, user: ada });
    const unsaved = await browser.get('/express/unsaved');
    expect([unsaved.status, unsaved.json()]).toMatchObject([500, { code: 'session_not_serializable' }]);
    const login = await browser.get('/express/login');
    expect(login.json()).toEqual({ user: { id: '2', name: 'Grace' }, isSame: true });
    expect((await browser.get('/me')).json()).toEqual({ id: '2', name: 'Grace' });
  });

  it('an Express application that a module applies as middleware has what it changes saved', async () => {
    @Module({})
    class WithExpress implements NestModule {
      configure(consumer: MiddlewareConsumer): void {
        const application = ofExpress();
        consumer
          .apply((request: Request, response: Response, next: NextFunction) => {
            request.url = '/count'; // Below the path of its own, as `app.use()` has it.
            application(request, response, next);
          })
          .forRoutes('express/count');
      }
    }
    const application = await started({ imports: [WithExpress] });
    const browser = await application.loggedIn();

    await browser.get('/express/count');
    expect((await browser.get('/express/count')).json()).toMatchObject({ count: 2 });
    expect((await browser.get('/session')).json()).toEqual({ count: 2 });
  });

  it('an Express application that a handler leaves its response to has the session saved, and the cookie sent', async () => {
    @Controller('express')
    class ExpressController {
      private readonly application = ofExpress();
      constructor(private readonly auth: SessionAuthService) {}
      @Get('count')
      async count(@Req() request: Request, @Res() response: Response) {
        await this.auth.logIn(request, { id: '2', name: 'Grace' });
        const raw = nodeRequest(request);
        raw.url = '/count';
        this.application(raw, takeOver(response) as Response);
      }
    }
    const browser = (await started({ controllers: [ExpressController] })).browser();

    expect((await browser.get('/express/count')).json()).toMatchObject({ count: 1, user: { name: 'Grace' } });
    expect((await browser.get('/me')).json()).toMatchObject({ name: 'Grace' });
    expect((await browser.get('/session')).json()).toEqual({ count: 1 });
  });
});

/* Express alone: it cuts the path off, and tells the application of it. A Fastify would not know that it is below it. */
it('an Express application works as a part of another one, with a cookie of its own path', async () => {
  const application = await started({
    platform: 'express',
    options: { cookie: { path: '/shop' }, exclude: ['public'] },
  });
  const parent = express();
  parent.use('/shop', expressOf(application));

  await expectShop(await browserOf(parent));
});

/** A user logs in and out below `/shop`, by a cookie of this kind. */
async function expectShop(browser: Browser, cookie: object = { path: '/shop' }): Promise<void> {
  expect((await browser.post('/shop/login', { json: ADA })).status).toBe(200);
  expect(browser.cookies.all()).toMatchObject([cookie]);
  expect((await browser.get('/shop/me')).json()).toMatchObject({ name: 'Ada' });
  expect((await browser.get('/shop/public')).json()).toEqual({ name: null });
  expect((await browser.post('/shop/logout')).status).toBe(204);
  expect((await browser.get('/shop/me')).status).toBe(401);
}

/** A proxy that passes on what is below `/shop`, with or without that. */
function proxyTo(url: string, strips: boolean): RequestListener {
  return (incoming, outgoing) => {
    const path = strips ? incoming.url!.slice('/shop'.length) : incoming.url!;
    const headers = { ...incoming.headers, 'x-forwarded-proto': 'https' };
    const passed = sendRequest(new URL(path, url), { method: incoming.method, headers }, (response) => {
      outgoing.writeHead(response.statusCode!, response.headers);
      response.pipe(outgoing);
    });
    incoming.pipe(passed);
  };
}

describePlatforms(() => {
  it.each<[string, boolean, TestApplicationOptions]>([
    [
      'that is passed on has a cookie of that path',
      false,
      {
        options: { cookie: { path: '/shop', secure: true }, exclude: ['public'] },
        configure: (app) => app.setGlobalPrefix('shop'),
      },
    ],
    [
      'that is cut off has a cookie of the whole host',
      true,
      { options: { cookie: { name: '__Host-shop', path: '/', secure: true }, exclude: ['public'] } },
    ],
  ])('an application at a path of a proxy %s', async (_, strips, options) => {
    const application = await started({ ...options, trustProxy: true });
    const { baseUrl } = await browserOf(proxyTo(application.url, strips));
    const browser = new Browser(baseUrl, { trustSecure: true });

    await expectShop(browser, { path: options.options?.cookie?.path, secure: true });
  });
});

const PAIRS: [Platform, Platform][] = [
  ['express', 'express'],
  ['fastify', 'fastify'],
  ['express', 'fastify'],
];

describe.each(PAIRS)('of two applications in one process, on %s and %s,', (one, other) => {
  it('each has sessions of its own, also under one name of cookie and one secret', async () => {
    const [first, second] = [await started({ platform: one }), await started({ platform: other })];
    const browser = await first.loggedIn();
    const headers = { cookie: `sid=${browser.cookies.get('sid')!}` };

    expect((await second.browser().get('/me', { headers })).status).toBe(401);
    expect((await first.browser().get('/me', { headers })).json()).toMatchObject({ name: 'Ada' });
  });
});

describe('two applications in one process, with one Redis, on', () => {
  const home = sessionsIn('redis');

  it.each(PAIRS)('%s and %s, share their sessions', async (one, other) => {
    const [api, admin] = [await home.start({ platform: one }), await home.start({ platform: other })];
    const browser = await api.loggedIn();
    const atAdmin = new Browser(admin.url, { now: () => admin.clock.now() }, browser.cookies);

    expect((await atAdmin.get('/me')).json()).toMatchObject({ name: 'Ada' });
    expect((await atAdmin.post('/logout')).status).toBe(204);
    expect((await browser.get('/me')).status).toBe(401);
  });
});
