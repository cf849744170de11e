import { readFileSync } from 'node:fs';
import { createServer, type RequestListener, type ServerResponse } from 'node:http';
import { buffer, text } from 'node:stream/consumers';
import { gunzipSync } from 'node:zlib';
import {
  Controller,
  ForbiddenException,
  Get,
  Injectable,
  type MiddlewareConsumer,
  Module,
  type NestModule,
  type OnModuleInit,
  Post,
  Req,
  Res,
  type Type,
  UseGuards,
} from '@nestjs/common';
import { PassportStrategy } from '@nestjs/passport';
import { HttpAdapterHost } from '@nestjs/core';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import fastifyCompress from '@fastify/compress';
import fastifyMultipart from '@fastify/multipart';
import type { Request } from 'express';
import type Inject from 'light-my-request';
import type { FastifyInstance, FastifyPluginCallback, FastifyReply, FastifyRequest } from 'fastify';
import { Strategy } from 'passport';
import OAuth2Strategy from 'passport-oauth2';
import { CurrentSession, LoginGuard, SessionAuthService, SessionGuard, type SessionRequest } from '../../lib/index.js';
import { LocalStrategy, SnapshotSerializer, TestApplication } from '../support/application.js';
import { ALL_CARRIERS, carriersOf } from '../support/carriers.js';
import { requireByNode } from '../support/platforms.js';

type Data = Record<string, unknown>;

const adapterWith = (configure: (instance: FastifyInstance) => unknown = () => undefined): FastifyAdapter => {
  const adapter = new FastifyAdapter();
  configure(adapter.getInstance());
  return adapter;
};

/** Sends its visitors away, and logs in whoever comes back. */
@Injectable()
class RoundTripStrategy extends Strategy {
  override readonly name = 'round-trip';

  override authenticate(request: { query?: unknown }): void {
    const { code } = request.query as { code?: string };
    if (code === undefined) {
      this.redirect('/round-trip?code=1');
    } else {
      this.success({ id: '1', name: 'Ada' }, { scope: 'all' });
    }
  }
}

/** What strategies for Express use: what has been parsed, and the response that the request leads to. */
@Injectable()
class ExpressStrategy extends Strategy {
  override readonly name = 'express';

  override authenticate(request: Request): void {
    const { query, params, protocol, host } = request;
    const { body, cookies } = request as { body: unknown; cookies: unknown };
    const res = request.res!;
    res.statusCode = 203;
    res.setHeader('x-strategy', this.name);
    res.setHeader('content-type', 'application/json');
    res.cookie('token', 'a b', { httpOnly: true }).clearCookie('old', { path: '/old' });
    res.end(JSON.stringify({ query, params, body, cookies, protocol, host, header: res.getHeader('x-strategy') }));
  }
}

@Injectable()
class RelativeStrategy extends PassportStrategy(OAuth2Strategy, 'relative') {
  constructor() {
    super({
      authorizationURL: 'https://id.test/authorize',
      tokenURL: 'https://id.test/token',
      clientID: 'c',
      clientSecret: 's',
      callbackURL: '/back',
    });
  }

  validate(): null {
    return null;
  }
}

@Controller()
class FastifyController {
  constructor(private readonly auth: SessionAuthService) {}

  @Get('round-trip')
  @UseGuards(LoginGuard('round-trip', { successRedirect: '/me' }))
  roundTrip(): void {
    return;
  }

  @Post('express/:param')
  @UseGuards(LoginGuard('express'))
  express(): void {
    return;
  }

  @Get('relative')
  @UseGuards(LoginGuard('relative'))
  relative(): void {
    return;
  }

  @Get('info')
  @UseGuards(LoginGuard('round-trip', { assignProperty: 'account' }))
  info(@Req() request: FastifyRequest & { account?: unknown }) {
    return { account: request.account, info: (request as { authInfo?: unknown }).authInfo, user: request.user ?? null };
  }

  /** What code written for Passport and express-session does, on Fastify's own request. */
  @Post('by-request')
  async byRequest(@Req() request: FastifyRequest) {
    await request.logIn({ id: '2', name: 'Grace' }, { method: 'magic' });
    Object.assign(request.session, { seen: true });
    const { sessionID, session, user } = request;
    return {
      user,
      isSame: sessionID === session.id && request.isAuthenticated(),
      isCurrent: this.auth.current(request).handle === sessionID,
    };
  }

  @Post('leave')
  async leave(@Req() request: FastifyRequest) {
    await request.logOut();
    return { user: request.user, is: request.isUnauthenticated() };
  }

  @Get('carriers')
  carriers(@Req() request: SessionRequest) {
    return carriersOf(request, (carrier) => this.auth.current(carrier).handle);
  }

  @Get('hijacked')
  @UseGuards(SessionGuard)
  hijacked(@CurrentSession() session: Data, @Res() reply: FastifyReply): void {
    session['hijacked'] = true;
    reply.hijack();
    reply.raw.writeHead(200, { 'Content-Type': 'text/plain' }).end('hijacked');
  }

  @Get('hijacked/broken')
  brokenHijacked(@CurrentSession() session: Data, @Res() reply: FastifyReply): void {
    session['amount'] = 1n;
    reply.hijack();
    reply.raw.writeHead(200, { 'Content-Type': 'text/plain' }).end('hijacked');
  }

  @Post('upload')
  async upload(@Req() request: FastifyRequest, @CurrentSession() session: Data) {
    const file = await request.file();
    session['upload'] = file?.filename;
    return { content: await text(file!.file) };
  }

  @Get('broken')
  broken(@CurrentSession() session: Data, @Res({ passthrough: true }) reply: FastifyReply) {
    session['amount'] = 1n;
    void reply.type('text/csv').status(202);
    return 'a,b';
  }
}

const PARTS = {
  providers: [SnapshotSerializer, LocalStrategy, RoundTripStrategy, ExpressStrategy, RelativeStrategy],
  controllers: [FastifyController],
};

/** A module that mounts this middleware on one route. */
function middleware(
  use: (request: SessionRequest, response: ServerResponse, next: (error?: unknown) => void) => void,
  route = 'public',
) {
  @Module({})
  class WithMiddleware implements NestModule {
    configure(consumer: MiddlewareConsumer): void {
      consumer.apply(use).forRoutes(route);
    }
  }
  return WithMiddleware;
}

const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

async function started(
  adapter = adapterWith(),
  configure?: (instance: FastifyInstance) => unknown,
  imports: Type[] = [],
) {
  const application = await TestApplication.start({
    ...PARTS,
    adapter,
    imports,
    configure: () => configure?.(adapter.getInstance<FastifyInstance>()),
  });
  closers.push(() => application.close());
  return { application, browser: application.browser(), instance: adapter.getInstance() };
}

describe("Fastify's own request", () => {
  it('has the session, the user and the methods', async () => {
    const { browser } = await started();

    const response = await browser.post('/by-request');
    expect(response.json()).toEqual({ user: { id: '2', name: 'Grace' }, isSame: true, isCurrent: true });
    expect((await browser.get('/me')).json()).toEqual({ id: '2', name: 'Grace' });
    expect((await browser.get('/session')).json()).toEqual({ seen: true });

    expect((await browser.post('/leave')).json()).toEqual({ user: null, is: true });
    expect((await browser.get('/me')).status).toBe(401);
  });

  it.each(['session', 'user', 'isAuthenticated'])(
    'that somebody else has decorated with "%s" fails the boot, before the module and after it',
    async (name) => {
      const taken = { code: 'decorator_taken', message: expect.stringContaining(`"${name}"`) };

      await expect(started(adapterWith((instance) => instance.decorateRequest(name, null)))).rejects.toMatchObject(
        taken,
      );
      const plugin = (instance: FastifyInstance, _: object, done: () => void) => {
        instance.decorateRequest(name, null);
        done();
      };
      await expect(started(undefined, (instance) => instance.register(plugin))).rejects.toMatchObject(taken);
    },
  );
});

it('all that leads to a request leads to its session', async () => {
  const { application } = await started();

  expect((await (await application.loggedIn()).get('/carriers')).json()).toEqual(ALL_CARRIERS);
});

describe('a strategy on Fastify', () => {
  it('redirects, and logs in whoever comes back', async () => {
    const { browser } = await started();

    const away = await browser.get('/round-trip');
    expect([away.status, away.headers.location]).toEqual([302, '/round-trip?code=1']);
    const back = await browser.get('/round-trip?code=1', { follow: true });
    expect([back.status, back.json()]).toEqual([200, { id: '1', name: 'Ada' }]);
  });

  it('may name an account for one request, with what it knows besides', async () => {
    const { browser } = await started();

    const response = await browser.get('/info?code=1');
    expect(response.json()).toEqual({ account: { id: '1', name: 'Ada' }, info: { scope: 'all' }, user: null });
    expect(response.setCookies).toEqual([]);
  });
});

describe('a strategy written for Express', () => {
  it('finds what has been parsed, and responds by itself', async () => {
    const { browser } = await started(
      adapterWith((instance) => instance.decorateRequest('cookies', { getter: () => ({ theme: 'dark' }) })),
    );

    const response = await browser.post('/express/1?q=2', { json: { b: 3 } });

    expect([response.status, response.headers['x-strategy']]).toEqual([203, 'express']);
    expect(response.json()).toEqual({
      query: { q: '2' },
      params: { param: '1' },
      body: { b: 3 },
      cookies: { theme: 'dark' },
      protocol: 'http',
      host: new URL(browser.baseUrl).host,
      header: 'express',
    });
    expect(response.setCookies).toEqual([
      'token=a%20b; Path=/; HttpOnly',
      'old=; Path=/old; Expires=Thu, 01 Jan 1970 00:00:00 GMT',
    ]);
  });

  it.each([
    [true, 'https://site.test/back'],
    [false, 'http://127.0.0.1'],
  ])('takes the address of a callback from the proxy, if that is trusted: %s', async (trustProxy, callback) => {
    const { browser } = await started(new FastifyAdapter({ trustProxy }));

    const { headers } = await browser.get('/relative', {
      headers: { 'x-forwarded-proto': 'https', 'x-forwarded-host': 'site.test' },
    });

    expect(new URL(headers.location!).searchParams.get('redirect_uri')).toMatch(callback);
  });
});

describe('a hijacked reply', () => {
  it('is sent when the session is saved', async () => {
    const { application } = await started();
    const browser = await application.loggedIn();

    expect((await browser.get('/hijacked')).text).toBe('hijacked');
    expect((await browser.get('/session')).json()).toEqual({ hijacked: true });
  });

  it('whose session cannot be saved is an error', async () => {
    const { browser } = await started();

    const response = await browser.get('/hijacked/broken');
    expect([response.status, response.json()]).toMatchObject([500, { code: 'session_not_serializable' }]);
  });

  it.each(['throws', 'rejects'])('has its error told where an error handler of the application %s', async (how) => {
    const { browser } = await started(
      adapterWith((instance) =>
        instance.register((child, _, done) => {
          child.setErrorHandler((error, _request, reply) => {
            const respond = () => reply.code(418).send({ message: (error as Error).message });
            return how === 'throws' ? respond() : Promise.resolve().then(respond);
          });
          child.get('/child', (request, reply) => {
            Object.assign(request.session, { amount: 1n });
            reply.hijack();
            reply.raw.writeHead(200).end('hijacked');
          });
          done();
        }),
      ),
    );

    const response = await browser.get('/child', { timeout: 2000 });
    expect([response.status, response.json()]).toMatchObject([500, { code: 'session_not_serializable' }]);
  });
});

it('an application runs on a server that another one has had', async () => {
  const server = createServer();
  const serverFactory = (handler: RequestListener) => server.removeAllListeners('request').on('request', handler);
  const before = await TestApplication.start({ adapter: new FastifyAdapter({ serverFactory }) });
  await before.close();
  const { application } = await started(new FastifyAdapter({ serverFactory }));
  const browser = await application.loggedIn();

  expect((await browser.get('/me')).json()).toMatchObject({ name: 'Ada' });
  expect((await browser.get('/hijacked')).text).toBe('hijacked');
});

it('inject() runs a request with its session', async () => {
  const { instance } = await started();

  // `instance.inject()` loads this inside of Jest.
  const inject = requireByNode<typeof Inject>('light-my-request');

  const login = await inject(instance.routing, {
    method: 'POST',
    url: '/login',
    payload: { username: 'ada', password: 'lovelace' },
  });
  const cookie = String(login.headers['set-cookie']).split(';')[0]!;
  const me = await inject(instance.routing, {
    url: '/me',
    headers: { cookie },
  });

  expect([login.statusCode, me.statusCode, me.json()]).toEqual([200, 200, { id: '1', name: 'Ada' }]);
  const carriers = await inject(instance.routing, { url: '/carriers', headers: { cookie } });
  expect(carriers.json()).toEqual(ALL_CARRIERS);
});

it('an upload is read by @fastify/multipart beside the session', async () => {
  const { browser } = await started(undefined, (instance) => instance.register(fastifyMultipart));
  const content = ['--b', 'Content-Disposition: form-data; name="f"; filename="a.txt"', '', 'hello', '--b--', ''];

  const response = await browser.post('/upload', {
    body: content.join('\r\n'),
    headers: { 'content-type': 'multipart/form-data; boundary=b' },
  });

  expect(response.json()).toEqual({ content: 'hello' });
  expect((await browser.get('/session')).json()).toEqual({ upload: 'a.txt' });
});

it('@fastify/compress compresses a response whose session is saved first', async () => {
  const { browser } = await started(undefined, (instance) => instance.register(fastifyCompress, { threshold: 0 }));

  const put = await browser.open('PUT', '/session/note', {
    json: { value: 'x' },
    headers: { 'accept-encoding': 'gzip' },
  });

  expect(put.headers['content-encoding']).toBe('gzip');
  expect(gunzipSync(await buffer(put.body)).toString()).toBe('{"note":"x"}');
  expect((await browser.get('/session')).json()).toEqual({ note: 'x' });
});

describe('a file of @fastify/static', () => {
  /** As `useStaticAssets()` does, which Jest cannot run. */
  const files = (instance: FastifyInstance) =>
    instance.register(requireByNode<FastifyPluginCallback<{ root: string; prefix: string }>>('@fastify/static'), {
      root: process.cwd(),
      prefix: '/files/',
    });

  it('is sent without a session', async () => {
    const { browser } = await started(undefined, files);

    const response = await browser.get('/files/LICENSE');

    expect([response.status, response.text]).toEqual([200, readFileSync('LICENSE', 'utf8')]);
    expect(response.setCookies).toEqual([]);
  });

  it('is sent when what middleware has stored is saved', async () => {
    const { browser } = await started(undefined, files, [
      middleware((request, _response, next) => {
        Object.assign(request.session!, { seen: true });
        next();
      }, 'files/*path'),
    ]);

    expect((await browser.get('/files/LICENSE')).text).toBe(readFileSync('LICENSE', 'utf8'));
    expect((await browser.get('/session')).json()).toEqual({ seen: true });
  });

  it('is replaced by an error when that cannot be saved', async () => {
    const { browser } = await started(undefined, files, [
      middleware((request, _response, next) => {
        Object.assign(request.session!, { amount: 1n });
        next();
      }, 'files/*path'),
    ]);

    const response = await browser.get('/files/LICENSE');

    expect([response.status, response.json()]).toMatchObject([500, { code: 'session_not_serializable' }]);
    expect(response.headers).not.toHaveProperty('etag');
  });
});

describe('a plugin with routes of its own', () => {
  const plugin = (instance: FastifyInstance, _: object, done: () => void) => {
    instance.get('/plugin', (request) => ({ user: request.user ?? null }));
    done();
  };

  it('sees the user, if it is registered before the module is mounted', async () => {
    const { application } = await started(adapterWith((instance) => instance.register(plugin)));

    expect((await (await application.loggedIn()).get('/plugin')).json()).toEqual({ user: { id: '1', name: 'Ada' } });
  });

  it('sees the user, if it is loaded before the module is mounted', async () => {
    const adapter = adapterWith();
    await adapter.getInstance().register(plugin as never);
    const { application } = await started(adapter);

    expect((await (await application.loggedIn()).get('/plugin')).json()).toEqual({ user: { id: '1', name: 'Ada' } });
  });
});

it('middleware that a plugin mounts finds the session', async () => {
  type WithUse = FastifyInstance & {
    use(middleware: (request: SessionRequest, _: unknown, next: () => void) => void): void;
  };
  const seen: unknown[] = [];
  @Module({})
  class WithPlugin implements OnModuleInit {
    constructor(private readonly host: HttpAdapterHost) {}

    onModuleInit(): void {
      void this.host.httpAdapter.getInstance<FastifyInstance>().register((plugin, _, done) => {
        (plugin as WithUse).use(({ sessionID, user }, __, next) => {
          seen.push(typeof sessionID, user);
          next();
        });
        plugin.get('/plugin', () => ({}));
        done();
      });
    }
  }
  const { application } = await started(undefined, undefined, [WithPlugin]);

  await (await application.loggedIn()).get('/plugin');

  expect(seen).toEqual(['string', { id: '1', name: 'Ada' }]);
});

describe('a response whose session cannot be saved', () => {
  it.each([
    ['by default', undefined],
    ['behind @fastify/compress', (instance: FastifyInstance) => instance.register(fastifyCompress, { threshold: 0 })],
  ])('is replaced whole, %s', async (_, configure) => {
    const { browser } = await started(undefined, configure);

    const response = await browser.get('/broken');
    expect([response.status, response.json()]).toMatchObject([500, { code: 'session_not_serializable' }]);
    expect(response.setCookies).toEqual([]);
  });

  it.each(['responds', 'passes an error on', 'throws'])('is replaced where middleware %s', async (what) => {
    const { browser } = await started(undefined, undefined, [
      middleware((request, response, next) => {
        Object.assign(request.session!, { amount: 1n });
        if (what === 'responds') response.writeHead(200, { 'Content-Type': 'text/plain' }).end('by hand');
        else if (what === 'throws') throw new ForbiddenException();
        else next(new ForbiddenException());
      }),
    ]);

    for (let times = 0; times < 3; times++) {
      const response = await browser.get('/public');
      expect([response.status, response.json()]).toMatchObject([500, { code: 'session_not_serializable' }]);
    }
  });
});
