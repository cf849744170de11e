import {
  All,
  type CanActivate,
  Controller,
  type ExecutionContext,
  type INestApplication,
  Injectable,
  Module,
  Req,
  RequestMethod,
  type Type,
  UseGuards,
  VersioningType,
} from '@nestjs/common';
import { ApolloDriver, type ApolloDriverConfig } from '@nestjs/apollo';
import { APP_GUARD, RouterModule } from '@nestjs/core';
import { Context, GraphQLModule, Mutation, Query, Resolver } from '@nestjs/graphql';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import type { Request, Response } from 'express';
import {
  AllowCrossSite,
  AuditLogger,
  type Carrier,
  LoginGuard,
  Public,
  type SessionAuthOptions,
  SessionAuthService,
  SessionGuard,
  SessionMiddleware,
  type SessionRequest,
} from '../../lib/index.js';
import { LocalStrategy, SnapshotSerializer, type TestApplication } from '../support/application.js';
import type { Browser } from '../support/browser.js';
import { cookieOf, idOf, sessionsIn } from '../support/devices.js';
import { graphqlServers } from '../support/graphql-drivers.js';
import { strategy } from '../support/guarded-by.js';
import { LogRecorder } from '../support/log-recorder.js';
import { describePlatforms, type Platform } from '../support/platforms.js';

const GRACE = { id: '2', name: 'Grace' };
/** Which of the application's own guards, strategies and handlers have run. */
let seen: string[] = [];

const providers = [
  SnapshotSerializer,
  LocalStrategy,
  /** Names Grace, whatever it is shown. */
  strategy('grace', function () {
    seen.push('strategy');
    this.success(GRACE);
  }),
];

@Injectable()
class ObservingGuard implements CanActivate {
  canActivate(context: ExecutionContext): boolean {
    seen.push(context.getHandler().name);
    return true;
  }
}

/** Routes of every kind, each for every method. */
@Controller('kinds')
class KindsController {
  constructor(private readonly auth: SessionAuthService) {}

  @All('plain')
  plain() {
    seen.push('in plain');
  }

  @All('guarded')
  @UseGuards(SessionGuard)
  guarded() {
    seen.push('in guarded');
  }

  @All('marked')
  @AllowCrossSite()
  marked() {}

  @All('login')
  @UseGuards(LoginGuard('grace'))
  login() {}

  @All('callback')
  @UseGuards(LoginGuard('grace', { crossSite: true }))
  callback() {}

  @All('service')
  async service(@Req() request: SessionRequest) {
    await this.auth.logIn(request, GRACE);
  }

  @All('marked-service')
  @AllowCrossSite()
  async markedService(@Req() request: SessionRequest) {
    await this.auth.logIn(request, GRACE);
  }
}

class AppleGuard extends LoginGuard('grace', { crossSite: true }) {}

class HookHandlers {
  @All('hook')
  hook() {}

  @All('own-mark')
  @AllowCrossSite()
  ownMark() {}

  @All('apple')
  @UseGuards(AppleGuard)
  apple() {}

  @All('two')
  @UseGuards(LoginGuard('grace', { crossSite: true }), LoginGuard('grace'))
  two() {}
}

@Controller('hooks')
@AllowCrossSite()
class HooksController extends HookHandlers {}

@Controller('inheriting')
class InheritingController extends HooksController {}

@Controller()
class RootController {
  @All()
  @AllowCrossSite()
  root() {}
}

/** A pattern of before Nest 11, which Nest still takes. */
@Controller('of-old')
class OfOldController {
  @All('*')
  @AllowCrossSite()
  any() {}
}

@Controller({ path: ['versioned', 'as-well'], version: '2' })
class VersionedController {
  @All(':id')
  one() {}

  @All('open/:id')
  @AllowCrossSite()
  open() {}
}

@Module({ controllers: [VersionedController] })
class VersionedModule {}

type From = { origin?: string; site?: string };

const SITES = [undefined, 'same-origin', 'none', 'same-site', 'cross-site'];
/** For each value of Sec-Fetch-Site, whether a request of this Origin is cross-site (x). */
const ORIGINS: [origin: string | undefined, isCrossSite: string][] = [
  [undefined, '...xx'],
  ['own', '...xx'],
  ['https://elsewhere.example', 'x..xx'],
  ['null', 'x..xx'],
  ['https://trusted.example', '.....'],
];
const METHODS = ['GET', 'OPTIONS', 'POST', 'DELETE'];
const SAFE = ['GET', 'OPTIONS'];

interface Kind {
  path: string;
  /** What it responds to a cross-site request that may change something and shows a session. */
  withCookie: number;
  without: number;
  /** What it responds to all else, of nobody, and of a user where that differs. */
  own: number;
  ownOfUser?: number;
  logsIn?: boolean;
}

const KINDS: Kind[] = [
  { path: '/kinds/plain', withCookie: 403, without: 200, own: 200 },
  { path: '/kinds/guarded', withCookie: 403, without: 401, own: 401, ownOfUser: 200 },
  { path: '/kinds/marked', withCookie: 200, without: 200, own: 200 },
  { path: '/kinds/login', withCookie: 403, without: 403, own: 200, logsIn: true },
  { path: '/kinds/callback', withCookie: 200, without: 200, own: 200, logsIn: true },
  { path: '/kinds/service', withCookie: 403, without: 403, own: 200, logsIn: true },
  { path: '/kinds/marked-service', withCookie: 200, without: 200, own: 200, logsIn: true },
  { path: '/mounted', withCookie: 403, without: 200, own: 200 },
  { path: '/nowhere', withCookie: 403, without: 404, own: 404 },
  { path: '/excluded', withCookie: 404, without: 404, own: 404 },
];

const CROSS_SITE: From = { origin: 'https://elsewhere.example', site: 'cross-site' };

/** A handler beside Nest's, which responds by itself. */
function mount(platform: Platform, app: INestApplication): void {
  if (platform === 'express') {
    app.use('/mounted', app.get(SessionMiddleware).use);
    app.use('/mounted', (_: Request, response: Response) => void response.status(200).end());
  } else {
    const fastify = (app as NestFastifyApplication).getHttpAdapter().getInstance();
    for (const path of ['/mounted', '/mounted/*']) {
      fastify.all(path, (_, reply) => reply.code(200).send());
    }
  }
}

const headersOf = ({ origin, site }: From) => ({ origin, 'sec-fetch-site': site });

describePlatforms((platform) => {
  const home = sessionsIn('memory');
  let application: TestApplication;
  let visitor: Browser;
  const start = async (options: Partial<SessionAuthOptions> = {}, others: Parameters<typeof home.start>[0] = {}) => {
    application = await home.start({
      providers: [...providers, { provide: APP_GUARD, useClass: ObservingGuard }],
      ...others,
      controllers: [KindsController, HooksController, InheritingController, OfOldController, RootController],
      options: { trustedOrigins: ['https://trusted.example'], exclude: ['excluded'], ...options },
      configure: (app) => {
        mount(platform, app);
        others.configure?.(app);
      },
    });
    visitor = application.browser();
    return application;
  };
  afterEach(() => visitor.close());
  const send = async (path: string, from: From, cookie?: string, method = 'POST') => {
    return await visitor.request(method, path, { headers: { ...headersOf(from), cookie } });
  };
  const statusOf = async (...given: Parameters<typeof send>) => (await send(...given)).status;

  beforeEach(() => {
    seen = [];
  });

  it.each(KINDS)(
    'requests from other sites to $path are refused where they may change something and show a session, or log in',
    async ({ path, withCookie, without, own, ownOfUser = own, logsIn = false }) => {
      await start();
      const browser = await application.loggedIn();
      const cookie = cookieOf(browser);
      const forged = cookie.slice(0, -1) + (cookie.endsWith('A') ? 'B' : 'A');
      const wrong: unknown[] = [];

      for (const [origin, isCrossSite] of ORIGINS) {
        for (const [place, site] of SITES.entries()) {
          const from = { origin: origin === 'own' ? application.url : origin, site };
          for (const method of METHODS) {
            const isRefusable = isCrossSite[place] === 'x' && !SAFE.includes(method);
            const ofNobody = place % 2 === 0 ? undefined : forged;
            const status = await statusOf(path, from, ofNobody, method);
            if (status !== (isRefusable ? without : own)) wrong.push({ ...from, method, ofNobody, status });
            // A login would replace the session.
            if (!logsIn || (isRefusable && withCookie === 403)) {
              const ofUser = await statusOf(path, from, cookie, method);
              if (ofUser !== (isRefusable ? withCookie : ownOfUser)) wrong.push({ ...from, method, ofUser });
            }
          }
        }
      }

      expect(wrong).toEqual([]);
      expect((await browser.get('/me')).status).toBe(200);
      expect(await statusOf(path, CROSS_SITE, cookie)).toBe(withCookie);
      const ofOwnSite = await statusOf(path, { origin: application.url }, cookieOf(await application.loggedIn()));
      expect(ofOwnSite).toBe(ownOfUser);
    },
  );

  it("are refused before the application's own guards and handlers, and say why", async () => {
    await start();
    const browser = await application.loggedIn();

    for (const [path, cookie] of [
      ['/kinds/plain', cookieOf(browser)],
      ['/kinds/guarded', cookieOf(browser)],
      ['/kinds/login', undefined],
      ['/inheriting/hook', cookieOf(browser)],
    ] as const) {
      seen = [];
      const response = await send(path, CROSS_SITE, cookie);

      expect([response.status, response.json()]).toEqual([
        403,
        { statusCode: 403, code: 'cross_site_request', message: expect.stringContaining('trustedOrigins') },
      ]);
      expect(seen).toEqual([]);
      expect(response.setCookies).toEqual([]);
    }
  });

  it('leave the session as it is, and ask the store for nothing', async () => {
    await start();
    const browser = await application.loggedIn();
    const before = (await browser.get('/current')).json<{ lastSeenAt: string }>();
    application.clock.advance(20 * 60_000);

    await send('/kinds/plain', CROSS_SITE, cookieOf(browser));

    expect((await browser.get('/current')).json()).toEqual(before);
  });

  it('are refused before a strategy runs, where a guard for all routes logs in', async () => {
    await start({}, { providers: [...providers, { provide: APP_GUARD, useClass: LoginGuard('grace') }] });

    expect(await statusOf('/kinds/plain', CROSS_SITE)).toBe(403);
    expect(seen).toEqual([]);
    expect(await statusOf('/kinds/plain', { origin: application.url })).toBe(200);
    expect(seen).toEqual(['strategy', 'in plain']);
  });

  it('are let through by a mark of the method or of the very class, and by a LoginGuard that says so', async () => {
    await start();
    const statuses = async (controller: string) => {
      const all = ['hook', 'own-mark', 'apple', 'two'].map(async (path) =>
        statusOf(`/${controller}/${path}`, CROSS_SITE, cookieOf(await application.loggedIn())),
      );
      return await Promise.all(all);
    };

    expect(await statuses('hooks')).toEqual([200, 200, 200, 200]);
    expect(await statuses('inheriting')).toEqual([403, 200, 200, 403]);
  });

  it('are told by event and, once for each route, by a line in the log, without a secret', async () => {
    const logger = new LogRecorder();
    await start({}, { logger, providers: [...providers, AuditLogger] });
    const browser = await application.loggedIn();
    const { handle, secret } = idOf(browser);

    for (let round = 0; round < 3; round++) {
      await send('/kinds/plain', CROSS_SITE, cookieOf(browser));
      await send('/kinds/login', { site: 'same-site' });
      await send('/mounted?token=of-mine', { ...CROSS_SITE, origin: `https://${'e'.repeat(300)}` }, cookieOf(browser));
    }

    const events = application.events.filter(({ type }) => type === 'cross-site-refused');
    expect(events).toHaveLength(9);
    const { at } = events[0]!;
    expect(events.slice(0, 3)).toEqual([
      { type: 'cross-site-refused', at, route: 'KindsController.plain', origin: CROSS_SITE.origin, handle },
      { type: 'cross-site-refused', at, route: 'KindsController.login', origin: '' },
      expect.objectContaining({ route: expect.stringContaining('besides'), origin: `https://${'e'.repeat(248)}` }),
    ]);
    const advice = logger.at('warn').filter((line) => line.includes('cross_site_request'));
    expect(advice).toHaveLength(3);
    expect(advice[0]).toMatch(/^KindsController\.plain.*trustedOrigins.*@AllowCrossSite\(\).*crossSite: true/);
    const logged = logger.lines.map(({ text }) => text).join('\n') + JSON.stringify(events);
    expect(logged.includes(secret) || logged.includes('of-mine')).toBe(false);
  });

  it('are all let through where crossSite is "allow"', async () => {
    await start({ crossSite: 'allow' });
    const browser = await application.loggedIn();

    for (const path of ['/kinds/plain', '/mounted', '/kinds/service', '/kinds/login']) {
      expect(await statusOf(path, CROSS_SITE, cookieOf(await application.loggedIn()))).toBe(200);
    }
    expect((await browser.get('/me')).status).toBe(200);
  });

  it('find marked routes behind prefixes, versions, parameters and the paths of modules', async () => {
    await start(
      {},
      {
        imports: [VersionedModule, RouterModule.register([{ path: 'inner', module: VersionedModule }])],
        configure: (app) => {
          app.setGlobalPrefix('api', { exclude: [{ path: 'login', method: RequestMethod.ALL }] });
          app.enableVersioning({ type: VersioningType.URI, defaultVersion: ['1', '2'] });
        },
      },
    );
    const browser = application.browser();
    await browser.post('/v1/login', { json: { username: 'ada', password: 'lovelace' } });
    const statuses = async (paths: string[]) =>
      await Promise.all(paths.map((path) => statusOf(path, CROSS_SITE, cookieOf(browser))));

    const open = ['/api/v1', '/api/v1/kinds/marked', '/api/v2/inner/versioned/open/7', '/api/v2/inner/as-well/OPEN/7/'];
    const shut = ['/api/v1/kinds/plain', '/api/v2/inner/versioned/7', '/api/v2/inner/as-well/7'];
    const nobodys = ['/api/v2/other/7'];
    expect(await statuses(open)).toEqual(platform === 'express' ? [200, 200, 200, 200] : [200, 200, 200, 404]);
    expect(await statuses(shut)).toEqual([403, 403, 403]);
    expect(await statuses(nobodys)).toEqual([403]);
  });

  it('are refused by what is mounted beside the controllers, though its path ends like that of a marked route', async () => {
    await start();
    const cookie = cookieOf(await application.loggedIn());
    const statuses = async (paths: string[]) =>
      await Promise.all(paths.map((path) => statusOf(path, CROSS_SITE, cookie)));

    expect(await statuses(['/kinds/marked', '/of-old/7'])).toEqual([200, 200]);
    expect(await statuses(['/mounted/kinds/marked', '/mounted/of-old/7', '/mounted/7'])).toEqual([403, 403, 403]);
    expect(await statusOf('/mounted/kinds/marked', { origin: application.url }, cookie)).toBe(200);
  });

  it('are refused the opening of a WebSocket by a server of the application itself', async () => {
    await start();
    const cookie = cookieOf(await application.loggedIn());
    const asked = async (from: From) => {
      const headers = { ...headersOf(from), cookie, connection: 'Upgrade', upgrade: 'WebSocket' };
      return (await application.browser().get('/public', { headers })).status;
    };

    expect(await asked(CROSS_SITE)).toBe(403);
    expect(await asked({ origin: application.url })).toBe(200);
  });

  it('are refused where main.ts has mounted the session by itself', async () => {
    await start({}, { configure: (app) => app.use(app.get(SessionMiddleware).use) });
    const cookie = cookieOf(await application.loggedIn());

    expect(await statusOf('/kinds/plain', CROSS_SITE, cookie)).toBe(403);
    expect(await statusOf('/kinds/marked', CROSS_SITE, cookie)).toBe(200);
  });

  it('compare the origin with the host and the scheme that the platform tells', async () => {
    await start({}, { trustProxy: true });
    const cookie = cookieOf(await application.loggedIn());
    const from = async (origin: string, scheme?: string) => {
      const headers = { host: 'app.example', origin, cookie, 'x-forwarded-proto': scheme };
      return (await application.browser().post('/kinds/plain', { headers })).status;
    };

    expect(await from('https://app.example', 'https')).toBe(200);
    expect(await from('http://app.example', 'https')).toBe(403);
    expect(await from('http://app.example')).toBe(200);
    expect(await from('https://app.example')).toBe(200);
    expect(await from('https://app.example:444', 'https')).toBe(403);
  });
});

@Resolver()
class FieldsResolver {
  constructor(private readonly auth: SessionAuthService) {}

  @Query(() => Boolean)
  read() {
    return true;
  }

  @Mutation(() => Boolean)
  plain() {
    seen.push('in plain');
    return true;
  }

  @Mutation(() => Boolean, { nullable: true })
  @AllowCrossSite()
  marked() {
    return true;
  }

  @Mutation(() => Boolean, { nullable: true })
  @UseGuards(LoginGuard('grace'))
  login() {
    return true;
  }

  @Mutation(() => Boolean, { nullable: true })
  @UseGuards(LoginGuard('grace', { crossSite: true }))
  callback() {
    return true;
  }

  @Mutation(() => Boolean, { nullable: true })
  @Public()
  async service(@Context() context: Carrier) {
    await this.auth.logIn(context, GRACE);
    return true;
  }
}

@Resolver()
class ShutResolver {
  @Query(() => Boolean)
  read() {
    return true;
  }

  @Mutation(() => Boolean)
  shut() {
    return true;
  }
}

describe.each(graphqlServers)('over $name, requests from other sites', ({ platform, module }) => {
  const home = sessionsIn('memory');
  let application: TestApplication;
  let cookie: string;
  const send = async (query: string, from: From, shown?: string) => {
    const headers = { ...headersOf(from), cookie: shown };
    const response = await application.browser().post('/graphql', { json: { query }, headers });
    const { data, errors = [] } = response.json<{
      data: unknown;
      errors?: { extensions: Record<string, unknown> }[];
    }>();
    return { status: response.status, data, codes: errors.map(({ extensions }) => extensions['sessionAuth']), errors };
  };

  beforeEach(async () => {
    seen = [];
    application = await home.start({
      platform,
      imports: [module()],
      providers: [...providers, FieldsResolver, { provide: APP_GUARD, useClass: ObservingGuard }],
    });
    cookie = cookieOf(await application.loggedIn());
    seen = [];
  });

  it('are refused field by field, before guards and resolvers', async () => {
    const { data, codes, errors } = await send('mutation { plain }', CROSS_SITE, cookie);

    expect(codes).toEqual(['cross_site_request']);
    expect(errors[0]!.extensions['code']).toBe('FORBIDDEN');
    expect(data).toBeNull();
    expect(seen).toEqual([]);
    expect((await send('mutation { plain }', { origin: application.url }, cookie)).data).toEqual({ plain: true });
  });

  it('are refused as a whole where no field is open, and as clients of GraphQL expect it', async () => {
    application = await home.start({ platform, imports: [module()], providers: [...providers, ShutResolver] });
    const own = cookieOf(await application.loggedIn());

    const { status, codes, errors } = await send('mutation { shut }', CROSS_SITE, own);

    expect([status, codes, errors[0]!.extensions['code']]).toEqual([403, ['cross_site_request'], 'FORBIDDEN']);
    expect(application.events.at(-1)).toMatchObject({ type: 'cross-site-refused', route: 'GraphQL' });
    expect((await send('mutation { shut }', { origin: application.url }, own)).data).toEqual({ shut: true });
  });

  it('are let through where they show no session and log nobody in, or where the field is open', async () => {
    expect((await send('mutation { plain }', CROSS_SITE)).codes).toEqual([]);
    expect((await send('mutation { marked }', CROSS_SITE, cookie)).codes).toEqual([]);
    expect((await send('mutation { callback }', CROSS_SITE, cookie)).codes).toEqual([]);
    expect((await send('mutation { callback }', CROSS_SITE)).codes).toEqual([]);
  });

  it('log nobody in, not beside an open field either', async () => {
    const refused = ['cross_site_request'];
    expect((await send('mutation { login }', CROSS_SITE)).codes).toEqual(refused);
    expect((await send('mutation { service }', CROSS_SITE)).codes).toEqual(refused);
    expect((await send('mutation { marked service }', CROSS_SITE)).codes).toEqual(refused);
    expect((await send('mutation { service marked }', CROSS_SITE)).codes).toEqual(refused);
    expect((await send('mutation { service }', { origin: application.url })).codes).toEqual([]);
  });
});

describe('where the context of GraphQL hides the request', () => {
  const home = sessionsIn('memory');
  const context = ({ req }: { req: Request }) => ({ req: { user: req.user } });
  const logger = new LogRecorder();
  /** The code of its error, or the status, of a mutation from another site that shows a session. */
  const resultOf = async (query: string, resolver: Type, crossSite: 'refuse' | 'allow' = 'refuse') => {
    const application = await home.start({
      platform: 'express',
      imports: [GraphQLModule.forRoot<ApolloDriverConfig>({ driver: ApolloDriver, autoSchemaFile: true, context })],
      providers: [...providers, resolver],
      options: { crossSite },
      logger,
    });
    const headers = { ...headersOf(CROSS_SITE), cookie: cookieOf(await application.loggedIn()) };
    const response = await application.browser().post('/graphql', { json: { query }, headers });
    const { errors } = response.json<{ errors?: { extensions: { sessionAuth?: string } }[] }>();
    return errors?.[0]?.extensions.sessionAuth ?? response.status;
  };

  it('a mutation that is not open is refused beside one that is, since nobody can tell where it comes from', async () => {
    expect(await resultOf('mutation { plain }', FieldsResolver)).toBe('session_unavailable');
    expect(logger.at('error').join()).toMatch(/FieldsResolver\.plain.*context of GraphQL/);
    expect(await resultOf('mutation { marked }', FieldsResolver)).toBe(200);
    expect(await resultOf('{ read }', FieldsResolver)).toBe(200);
    expect(await resultOf('mutation { plain }', FieldsResolver, 'allow')).toBe(200);
    expect(await resultOf('mutation { shut }', ShutResolver)).toBe('cross_site_request');
  });
});

it('a LoginGuard whose crossSite is no boolean fails the boot', async () => {
  const guard = LoginGuard('grace', { crossSite: 'yes' as unknown as boolean });

  @Controller('try')
  class TryController {
    @All()
    @UseGuards(guard)
    logIn() {}
  }
  const booting = import('../support/application.js').then(({ TestApplication: Application }) =>
    Application.start({ providers, controllers: [TryController as Type] }),
  );

  await expect(booting).rejects.toMatchObject({
    code: 'invalid_option',
    message: expect.stringContaining('crossSite'),
  });
});
