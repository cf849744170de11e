import { createHmac } from 'node:crypto';
import { once } from 'node:events';
import { get, type IncomingMessage, type ServerResponse } from 'node:http';
import { json } from 'node:stream/consumers';
import {
  All,
  Controller,
  Get,
  Global,
  Injectable,
  type MiddlewareConsumer,
  Module,
  type NestModule,
  Param,
  Post,
  Req,
  RequestMethod,
  UseGuards,
} from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import type { Request, Response } from 'express';
import session from 'express-session';
import { RESP_TYPES } from 'redis';
import {
  CurrentUser,
  type RedisCommands,
  type RedisOptions,
  type RoutePattern,
  SessionAuthModule,
  type SessionAuthOptions,
  type SessionAuthOptionsFactory,
  SessionAuthService,
  SessionGuard,
  SESSION_STORE,
  SessionRegistry,
  type SessionRequest,
} from '../../lib/index.js';
import { newUserSessionId } from '../../lib/model/session-id.js';
import {
  inEnvironment,
  SECRET,
  SnapshotSerializer,
  TestApplication,
  type TestApplicationOptions,
  type User,
} from '../support/application.js';
import { eventually } from '../support/eventually.js';
import { freePort } from '../../scripts/free-port.mjs';
import { describePlatforms } from '../support/platforms.js';
import { RedisServer } from '../support/redis-server.js';

const UNAVAILABLE = { statusCode: 503, code: 'session_store_unavailable' };

const closers: (() => unknown)[] = [];

afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

async function started(options?: TestApplicationOptions): Promise<TestApplication> {
  const application = await TestApplication.start(options);
  closers.push(() => application.close());
  return application;
}

/** As an application boots in `main.ts`, but for the exit of the process. */
function boot(options: SessionAuthOptions, providers = [SnapshotSerializer]) {
  @Module({ imports: [SessionAuthModule.forRoot(options)], providers })
  class AppModule {}
  return NestFactory.create(AppModule, { logger: false, abortOnError: false });
}

/** Tells what a request brings with it. */
@Controller()
class ProbeController {
  @All(['probe', 'probe/:a', 'probe/:a/:b', 'app', 'app/:a', 'apple', 'application'])
  probe(@Req() request: SessionRequest) {
    return { session: request.session !== undefined, user: (request.user as User | undefined)?.name ?? null };
  }
}

describe('the options', () => {
  @Injectable()
  class Settings {
    readonly cookie = { name: 'from-settings' };
  }

  @Module({ providers: [Settings], exports: [Settings] })
  class SettingsModule {}

  @Injectable()
  class OptionsFactory implements SessionAuthOptionsFactory {
    constructor(private readonly settings: Settings) {}
    createSessionAuthOptions(): Promise<SessionAuthOptions> {
      return Promise.resolve({ secret: SECRET, cookie: this.settings.cookie });
    }
  }

  @Module({ imports: [SettingsModule], providers: [OptionsFactory], exports: [OptionsFactory] })
  class OptionsModule {}

  it.each([
    ['forRoot', SessionAuthModule.forRoot({ secret: SECRET, cookie: { name: 'from-settings' } })],
    [
      'a factory with what it injects',
      SessionAuthModule.forRootAsync({
        imports: [SettingsModule],
        inject: [Settings],
        useFactory: async ({ cookie }: Settings) => Promise.resolve({ secret: SECRET, cookie }),
      }),
    ],
    ['a class', SessionAuthModule.forRootAsync({ imports: [SettingsModule], useClass: OptionsFactory })],
    ['an existing provider', SessionAuthModule.forRootAsync({ imports: [OptionsModule], useExisting: OptionsFactory })],
  ])('can come by %s', async (_, module) => {
    const browser = await (await started({ module })).loggedIn();

    expect(browser.cookies.has('from-settings')).toBe(true);
    expect((await browser.get('/me')).status).toBe(200);
  });

  it('keep the application from booting when one is wrong', async () => {
    await expect(boot({ secret: undefined })).rejects.toMatchObject({
      code: 'invalid_option',
      message: expect.stringMatching(/^SessionAuthModule option "secret": it is missing or empty\. Give .*openssl/),
    });
  });

  it('keep the application from booting when their factory fails', async () => {
    const module = SessionAuthModule.forRootAsync({ useFactory: () => Promise.reject(new Error('no vault')) });

    await expect(started({ module })).rejects.toThrow('no vault');
  });
});

it('an application that imports the module twice does not boot', async () => {
  const module = SessionAuthModule.forRoot({ secret: SECRET });

  await expect(started({ before: [SessionAuthModule.forRoot({ secret: SECRET })], module })).rejects.toMatchObject({
    code: 'imported_twice',
    message: expect.stringContaining('It is global: import SessionAuthModule.forRoot() once'),
  });
});

describe('in production', () => {
  const command = () => Promise.resolve(null);
  const client: RedisCommands = { get: command, set: command, del: command, eval: command, evalSha: command };
  const redis = { client };

  it.each<[string, SessionAuthOptions, RegExp]>([
    ['without Redis', { secret: SECRET }, /option "redis": it is missing/],
    ['with a short secret', { secret: 'keyboard cat', redis }, /option "secret": it is shorter than 32 bytes/],
    ['with an insecure cookie', { secret: SECRET, redis, cookie: { secure: false } }, /option "cookie.secure"/],
  ])('an application does not boot %s', async (_, options, message) => {
    await expect(inEnvironment('production', () => boot(options))).rejects.toThrow(message);
    await (await inEnvironment('development', () => boot(options))).close();
  });

  it('an application boots with Redis and a long secret', async () => {
    const app = await inEnvironment('production', () => boot({ secret: SECRET, redis }));

    await expect(app.close()).resolves.toBeUndefined();
  });
});

describePlatforms(() => {
  it('an express-session of its own at another path, as an admin panel brings along, works beside the module', async () => {
    const application = await started({
      configure: (app) => {
        app.use('/admin', session({ secret: SECRET, resave: false, saveUninitialized: true }));
        app.use('/admin', (request: Request, response: Response) =>
          response.end(JSON.stringify({ id: request.sessionID })),
        );
      },
    });
    const browser = await application.loggedIn();

    const panel = await browser.get('/admin');
    expect({ status: panel.status, cookies: panel.setCookies }).toEqual({
      status: 200,
      cookies: [expect.stringContaining(`connect.sid=s%3A${panel.json<{ id: string }>().id}`)],
    });
    expect((await browser.get('/me')).status).toBe(200);
  });

  describe('the module', () => {
    it('serves feature modules that do not import it', async () => {
      @Controller('feature')
      class FeatureController {
        constructor(private readonly sessionAuth: SessionAuthService) {}
        @Get()
        @UseGuards(SessionGuard)
        show(@CurrentUser('name') name: string, @Req() request: SessionRequest) {
          return { name, handle: this.sessionAuth.current(request).handle };
        }
      }
      @Module({ controllers: [FeatureController] })
      class FeatureModule {}
      const application = await started({ imports: [FeatureModule] });

      expect((await application.browser().get('/feature')).status).toBe(401);
      expect((await (await application.loggedIn()).get('/feature')).json()).toEqual({
        name: 'Ada',
        handle: expect.stringMatching(/^[\w-]{28}$/),
      });
    });

    describe.each([
      ['', ''],
      ['api', '/api'],
    ])('with the global prefix "%s"', (prefix, base) => {
      /** Says in a header what its middleware found. */
      function moduleWithMiddleware(header: string) {
        class MiddlewareModule implements NestModule {
          configure(consumer: MiddlewareConsumer): void {
            consumer
              .apply((request: SessionRequest, response: ServerResponse, next: () => void) => {
                const name = (request.user as User | undefined)?.name;
                response.setHeader(header, `${String(request.session !== undefined)} ${String(name)}`);
                next();
              })
              .forRoutes('{*path}');
          }
        }
        Module({})(MiddlewareModule);
        return MiddlewareModule;
      }
      const Earlier = moduleWithMiddleware('x-earlier');
      const EarlierGlobal = moduleWithMiddleware('x-earlier-global');
      Global()(EarlierGlobal);
      const Later = moduleWithMiddleware('x-later');

      it('comes before the middleware of every other module, whatever the order of imports', async () => {
        const application = await started({
          before: [EarlierGlobal, Earlier],
          imports: [Later],
          configure: (app) => app.setGlobalPrefix(prefix),
        });
        const browser = application.browser();
        await browser.post(`${base}/login`, { json: { username: 'ada', password: 'lovelace' } });

        expect((await browser.get(`${base}/me`)).headers).toMatchObject({
          'x-earlier': 'true Ada',
          'x-earlier-global': 'true Ada',
          'x-later': 'true Ada',
        });
      });
    });
  });

  describe('a route pattern in "exclude"', () => {
    const GET = RequestMethod.GET;

    it.each<[RoutePattern, string, { excluded: string[]; included: string[] }]>([
      [
        'probe/a',
        '',
        {
          excluded: ['GET /probe/a', 'POST /probe/a', 'GET /probe/a?b=c', 'GET /probe/a/'],
          included: ['GET /probe', 'GET /probe/ab', 'GET /probe/a/b', 'GET /probe/b?/probe/a'],
        },
      ],
      ['/probe/a', '', { excluded: ['GET /probe/a'], included: ['GET /probe/b'] }],
      [{ path: 'probe/a', method: GET }, '', { excluded: ['GET /probe/a'], included: ['POST /probe/a', 'GET /probe'] }],
      ['probe/{*path}', '', { excluded: ['GET /probe/a', 'PUT /probe/a/b'], included: ['GET /application'] }],
      ['probe/:id', '', { excluded: ['GET /probe/7'], included: ['GET /probe', 'GET /probe/7/a'] }],
      ['probe/a', 'api', { excluded: ['GET /api/probe/a'], included: ['GET /api/probe/b'] }],
      [
        { path: 'probe/{*path}', method: GET },
        '/v1/',
        { excluded: ['GET /v1/probe/a/b'], included: ['PUT /v1/probe/a'] },
      ],
    ])(
      '%j below the prefix "%s" leaves the session alone there and nowhere else',
      async (pattern, prefix, requests) => {
        const application = await started({
          options: { exclude: [pattern] },
          controllers: [ProbeController],
          configure: (app) => app.setGlobalPrefix(prefix),
        });
        const browser = application.browser();
        const base = prefix && `/${prefix.replaceAll('/', '')}`;
        await browser.post(`${base}/login`, { json: { username: 'ada', password: 'lovelace' } });
        const ask = async (line: string) => {
          const [method = '', path = ''] = line.split(' ');
          return (await browser.request(method, path)).json();
        };

        for (const line of requests.excluded) {
          expect([line, await ask(line)]).toEqual([line, { session: false, user: null }]);
        }
        for (const line of requests.included) {
          expect([line, await ask(line)]).toEqual([line, { session: true, user: 'Ada' }]);
        }
      },
    );

    it('holds for a request line that names the whole address, too', async () => {
      const application = await started({ options: { exclude: ['probe/a'] }, controllers: [ProbeController] });
      const { hostname, port } = new URL(application.url);
      const ask = async (path: string) => {
        const request = get({ hostname, port, path });
        const [response] = (await once(request, 'response')) as [IncomingMessage];
        return json(response);
      };

      expect(await ask('http://elsewhere.test/probe/a')).toEqual({ session: false, user: null });
      expect(await ask('http://elsewhere.test/probe/b')).toEqual({ session: true, user: null });
    });

    it('has guards and logins fail with the reason', async () => {
      const application = await started({ options: { exclude: ['me', 'login', 'logout', 'session'] } });
      const browser = application.browser();
      const login = await browser.post('/login', { json: { username: 'ada', password: 'lovelace' } });

      const guarded = await browser.get('/me');
      for (const response of [login, guarded, await browser.post('/logout'), await browser.get('/session')]) {
        expect(response.status).toBe(500);
        expect(response.json()).toMatchObject({
          code: 'session_unavailable',
          message: expect.stringContaining('exclude'),
        });
      }
    });
  });

  describe('cookie.path', () => {
    it.each([
      ['/app', ['/app', '/app/', '/app/a', '/app?a'], ['/apple', '/application', '/probe', '/probe/app']],
      ['/app/', ['/app/', '/app/a'], ['/app', '/apple']],
    ])('%s covers %j, but not %j', async (path, covered, outside) => {
      const application = await started({ options: { cookie: { path } }, controllers: [ProbeController] });
      const browser = application.browser();

      for (const url of covered) expect((await browser.get(url)).json()).toMatchObject({ session: true });
      for (const url of outside) expect((await browser.get(url)).json()).toMatchObject({ session: false });
    });

    it('is where the browser sends the cookie of a login below it', async () => {
      @Controller('app')
      class AppController {
        constructor(private readonly sessionAuth: SessionAuthService) {}
        @Post('login/:name')
        async logIn(@Req() request: SessionRequest, @Param('name') name: string) {
          await this.sessionAuth.logIn(request, { id: '1', name });
        }
        @Get('who')
        @UseGuards(SessionGuard)
        who(@CurrentUser() user: User) {
          return user;
        }
      }
      const application = await started({ options: { cookie: { path: '/app' } }, controllers: [AppController] });
      const browser = application.browser();
      const { setCookies } = await browser.post('/app/login/Ada');

      expect(setCookies).toEqual([expect.stringContaining('; Path=/app; ')]);
      expect((await browser.get('/app/who')).json()).toEqual({ id: '1', name: 'Ada' });
    });
  });
});

describe('the connection to Redis', () => {
  /** A cookie as the module would have handed it out: only Redis can say that there is no such session. */
  function wellSigned(): string {
    const { handle, secret } = newUserSessionId('1');
    const id = `${handle}.${secret}`;
    const signature = createHmac('sha256', SECRET).update(id).digest('base64').replace(/=+$/, '');
    return `sid=${encodeURIComponent(`s:${id}.${signature}`)}`;
  }

  async function redisServer(options?: Parameters<typeof RedisServer.start>[0]): Promise<RedisServer> {
    const redis = await RedisServer.start(options);
    closers.push(() => redis.stop());
    return redis;
  }

  it('need not be there at boot: public routes respond, guarded ones with 503, and all is well once it is', async () => {
    const port = await freePort();
    const application = await started({ options: { redis: { url: `redis://127.0.0.1:${port}` } } });
    const browser = application.browser();
    const headers = { cookie: wellSigned() };
    const login = () => browser.post('/login', { json: { username: 'ada', password: 'lovelace' } });

    expect((await browser.get('/public', { headers })).json()).toEqual({ name: null });
    for (const response of [
      await browser.get('/me', { headers }),
      await login(),
      await browser.get('/session', { headers }),
    ]) {
      expect(response.json()).toMatchObject(UNAVAILABLE);
      expect(response.setCookies).toEqual([]);
    }

    await redisServer({ port });
    await eventually('the login to work', async () => (await login()).status === 200);
    expect((await browser.get('/me')).json()).toEqual({ id: '1', name: 'Ada' });
  });

  it('may hang at boot: the application starts, and who was logged in still is when Redis replies', async () => {
    const redis = await redisServer();
    const options = { redis: { url: redis.url }, redisTimeout: 200 };
    const browser = await (await started({ options })).loggedIn();
    redis.pause();
    closers.push(() => redis.resume());
    const application = await started({ options });
    const headers = { cookie: browser.cookies.headerFor(new URL(application.url)) };
    const elsewhere = application.browser();

    expect((await elsewhere.get('/public', { headers })).status).toBe(200);
    expect((await elsewhere.get('/me', { headers })).json()).toMatchObject(UNAVAILABLE);

    redis.resume();
    await eventually('Redis to be used', async () => (await elsewhere.get('/me', { headers })).status === 200);
  });

  /** Probes from the same place before and after, so that what the probing itself keeps alive counts for both. */
  function keptAlive(): Promise<string[]> {
    return eventually('the list of handles', () => process.getActiveResourcesInfo());
  }

  /** What keeps the process from ending that did not do so before. */
  async function noMoreKeptAliveThan(before: string[]): Promise<void> {
    const more = () => {
      const left = process.getActiveResourcesInfo();
      const count = (all: string[], kind: string) => all.filter((one) => one === kind).length;
      return left.filter((kind) => count(left, kind) > count(before, kind)).join();
    };
    await eventually('no handle to be left', () => more() === '' || Promise.reject(new Error(more())));
  }

  it('is closed with the application, and no handle of it is left', async () => {
    const redis = await redisServer();
    const other = await redis.client();
    const clients = async () => {
      const list = await other.sendCommand<string>(['CLIENT', 'LIST']);
      return list.trim().split('\n').length;
    };
    const before = { clients: await clients(), handles: await keptAlive() };
    const application = await TestApplication.start({ options: { redis: { url: redis.url } } });
    expect(await clients()).toBe(before.clients + 1);

    await application.close();

    await eventually('the server to see it closed', async () => (await clients()) === before.clients);
    await noMoreKeptAliveThan(before.handles);
  });

  it('is given up with the application when Redis was never there', async () => {
    const before = await keptAlive();
    const application = await TestApplication.start({
      options: { redis: { url: `redis://127.0.0.1:${await freePort()}` }, redisTimeout: 100 },
    });

    await application.close();

    await noMoreKeptAliveThan(before);
  });

  it('may be a client of your own, which stays open', async () => {
    const redis = await redisServer();
    const client = await redis.client();
    const application = await TestApplication.start({ options: { redis: { client } } });
    const browser = await application.loggedIn();
    expect((await browser.get('/me')).status).toBe(200);
    expect(await client.keys('sess:*')).toContainEqual(expect.stringMatching(/^sess:\{[\w-]{16}\}[\w-]{12}$/));

    await application.close();

    expect(await client.ping()).toBe('PONG');
  });

  it.each([
    ['a client of your own', (client: Client) => ({ client: client.withTypeMapping(BUFFERS) })],
    ['its options', ({ options }: Client) => ({ url: options.url, commandOptions: { typeMapping: BUFFERS } })],
  ])('replies in texts, though %s would have buffers: no session is taken for unreadable', async (_, redisOf) => {
    const redis = await redisServer();
    const given = redisOf(await redis.client()) as unknown as RedisOptions;
    const application = await TestApplication.start({ options: { redis: given } });
    const browser = await application.loggedIn();

    expect((await browser.get('/me')).status).toBe(200);
    expect(await application.app.get(SessionRegistry).count('1')).toBe(1);
    expect(await application.app.get<{ length(): Promise<number> }>(SESSION_STORE).length()).toBe(1);
    await application.close();
  });
});

type Client = Awaited<ReturnType<RedisServer['client']>>;

/** What some other part of an application may need. */
const BUFFERS = { [RESP_TYPES.BLOB_STRING]: Buffer };
