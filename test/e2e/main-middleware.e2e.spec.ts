import { createBullBoard } from '@bull-board/api';
import { ExpressAdapter as BoardAdapter } from '@bull-board/express';
import {
  Body,
  Controller,
  Get,
  HttpCode,
  type INestApplication,
  Injectable,
  Post,
  Req,
  UseGuards,
} from '@nestjs/common';
import type { NestExpressApplication } from '@nestjs/platform-express';
import flash from 'connect-flash';
import { csrfSync } from 'csrf-sync';
import type { NextFunction, Request, RequestHandler, Response } from 'express';
import { ClsMiddleware, ClsModule, ClsService } from 'nestjs-cls';
import { CurrentUser, LoginGuard, SessionMiddleware } from '../../lib/index.js';
import { LocalStrategy, SnapshotSerializer, type TestApplication, type User } from '../support/application.js';
import { idIn, sessionsIn } from '../support/devices.js';

const ADA = { username: 'ada', password: 'lovelace' };
const home = sessionsIn('redis');

/** An application whose `main.ts` mounts the session, then what follows. */
const withSessionBefore = (mount: (app: NestExpressApplication) => void) => ({
  configure: (app: INestApplication) => {
    app.use(app.get(SessionMiddleware).use);
    mount(app as NestExpressApplication);
  },
});

/** Notes what middleware finds. */
function observer() {
  const seen: unknown[] = [];
  const use = (request: Request, _: Response, next: NextFunction) => {
    const isAuthenticated = (request as Partial<Request>).isAuthenticated?.() ?? 'no method';
    seen.push({ user: (request.user as User | undefined)?.name, isAuthenticated, hasSession: 'session' in request });
    next();
  };
  return { seen, use };
}

describe('middleware that main.ts mounts', () => {
  it('sees nobody, unless main.ts has mounted SessionMiddleware before', async () => {
    const before = observer();
    const after = observer();
    const application = await home.start({
      configure: (app) => {
        app.use('/me', before.use);
        app.use(app.get(SessionMiddleware).use);
        app.use('/me', after.use);
      },
    });

    const browser = await application.loggedIn();
    await browser.get('/me');
    await application.browser().get('/me');

    expect(before.seen).toMatchObject([{ user: undefined }, { user: undefined }]);
    expect(after.seen).toEqual([
      { user: 'Ada', isAuthenticated: true, hasSession: true },
      { user: undefined, isAuthenticated: false, hasSession: true },
    ]);
  });

  it('has one session with what modules mount: it is read once, saved once, and sets one cookie', async () => {
    const application = await home.start(
      withSessionBefore((app) => {
        app.use('/session', (request: Request & { session: { early?: string } }, _: Response, next: NextFunction) => {
          request.session.early = 'yes';
          next();
        });
      }),
    );
    const browser = await application.loggedIn();
    const monitor = await home.monitor();
    const commands = await monitor.during(() => browser.get('/me'));
    monitor.stop();

    const first = await application.browser().get('/session');

    expect(commands.map(({ name }) => name)).toEqual(['get']);
    expect(first.json()).toEqual({ early: 'yes' });
    expect(first.setCookies.map((cookie) => idIn(cookie).handle)).toEqual([expect.stringMatching(/./)]);
  });

  it('finds no session where "exclude" says so, also below a prefix that is set later', async () => {
    const { seen, use } = observer();
    const application = await home.start({
      options: { exclude: ['public'] },
      ...withSessionBefore((app) => {
        app.use(use);
        app.setGlobalPrefix('api');
      }),
    });
    const browser = application.browser();
    await browser.post('/api/login', { json: ADA });
    seen.splice(0);

    await browser.get('/api/public');
    await browser.get('/api/me');

    expect(seen).toMatchObject([{ user: undefined }, { user: 'Ada' }]);
  });

  it('may be mounted at a path of its own, and the module serves the others', async () => {
    const { seen, use } = observer();
    const application = await home.start({
      configure: (app) => {
        app.use('/me', app.get(SessionMiddleware).use, use);
      },
    });

    expect((await (await application.loggedIn()).get('/me')).json()).toMatchObject({ name: 'Ada' });
    expect(seen).toMatchObject([{ user: 'Ada' }]);
  });
});

it('res.locals tells templates who is logged in', async () => {
  @Controller('page')
  class PageController {
    @Get()
    page(@Req() { res }: Request) {
      return { shown: res?.locals['user'] as unknown };
    }
  }
  const application = await home.start({
    controllers: [PageController],
    ...withSessionBefore((app) => {
      app.use((request: Request, response: Response, next: NextFunction) => {
        response.locals['user'] = request.user;
        next();
      });
    }),
  });

  expect((await (await application.loggedIn()).get('/page')).json()).toEqual({ shown: { id: '1', name: 'Ada' } });
  expect((await application.browser().get('/page')).json()).toEqual({});
});

it('connect-flash shows a message once, also across a login', async () => {
  @Controller()
  class FlashController {
    @Post('try')
    @HttpCode(200)
    @UseGuards(LoginGuard('local', { failureFlash: 'Wrong password.', failureRedirect: '/messages' }))
    logIn(@CurrentUser() user: User) {
      return user;
    }
    @Get('messages')
    messages(@Req() request: Request) {
      return { error: request.flash('error') };
    }
  }
  const application = await home.start({
    controllers: [FlashController],
    ...withSessionBefore((app) => void app.use(flash())),
  });
  const browser = application.browser();
  const refused = await browser.post('/try', { json: { ...ADA, password: 'x' } });

  expect(refused.headers.location).toBe('/messages');
  await browser.post('/try', { json: ADA });
  expect((await browser.get('/messages')).json()).toEqual({ error: ['Wrong password.'] });
  expect((await browser.get('/messages')).json()).toEqual({ error: [] });
});

describe('csrf-sync', () => {
  @Controller()
  class FormController {
    @Get('form')
    form(@Req() request: Request) {
      return { token: request.csrfToken!() };
    }
    @Post('form')
    @HttpCode(200)
    save(@Body() body: object) {
      return body;
    }
  }
  const tokenOf = (request: Request) =>
    request.get('x-csrf-token') ?? (request.body as { _csrf?: string } | undefined)?._csrf;
  const { csrfSynchronisedProtection } = csrfSync({ getTokenFromRequest: tokenOf });

  it.each<[string, (app: NestExpressApplication) => void, (token: string) => object]>([
    [
      'a header',
      (app) => void app.use(csrfSynchronisedProtection as RequestHandler),
      (token) => ({ headers: { 'x-csrf-token': token }, form: {} }),
    ],
    [
      'a form, whose body is parsed before',
      (app) => {
        app.useBodyParser('urlencoded', { extended: true });
        app.use(csrfSynchronisedProtection as RequestHandler);
      },
      (token) => ({ form: { _csrf: token } }),
    ],
  ])('takes the token of the session from %s', async (_, mount, withToken) => {
    const application = await home.start({ controllers: [FormController], ...withSessionBefore(mount) });
    const browser = application.browser();
    const { token } = (await browser.get('/form')).json<{ token: string }>();
    const stranger = application.browser();
    await stranger.get('/form');

    expect((await browser.post('/form', withToken(token))).status).toBe(200);
    expect((await browser.post('/form', { form: {} })).status).toBe(403);
    expect((await stranger.post('/form', withToken(token))).status).toBe(403);
  });

  it('gives another token after a login', async () => {
    const application = await home.start({
      controllers: [FormController],
      ...withSessionBefore((app) => void app.use(csrfSynchronisedProtection as RequestHandler)),
    });
    const browser = application.browser();
    const { token } = (await browser.get('/form')).json<{ token: string }>();
    const login = await browser.post('/login', { json: ADA, headers: { 'x-csrf-token': token } });
    const after = (await browser.get('/form')).json<{ token: string }>();

    expect(login.status).toBe(200);
    expect(after.token).not.toBe(token);
    expect((await browser.post('/form', { form: {}, headers: { 'x-csrf-token': token } })).status).toBe(403);
    expect((await browser.post('/form', { form: {}, headers: { 'x-csrf-token': after.token } })).status).toBe(200);
  });
});

it('a queue board behind req.isAuthenticated() is for those who are logged in', async () => {
  const board = new BoardAdapter();
  createBullBoard({ queues: [], serverAdapter: board.setBasePath('/queues') });
  const onlyUsers = (request: Request, response: Response, next: NextFunction) => {
    if (request.isAuthenticated()) next();
    else response.redirect('/login');
  };
  const application = await home.start(
    withSessionBefore((app) => void app.use('/queues', onlyUsers, board.getRouter() as RequestHandler)),
  );
  const browser = await application.loggedIn();

  expect((await application.browser().get('/queues/api/queues')).headers.location).toBe('/login');
  expect((await browser.get('/queues/api/queues')).json()).toMatchObject({ queues: [] });
  await browser.post('/logout');
  expect((await browser.get('/queues/api/queues')).headers.location).toBe('/login');
});

describe('nestjs-cls', () => {
  /** Notes the context in which users are looked up. */
  @Injectable()
  class LookupSerializer extends SnapshotSerializer {
    readonly contexts: (string | undefined)[] = [];

    constructor(private readonly cls: ClsService) {
      super();
    }
    override deserializeUser(user: User) {
      this.contexts.push(this.cls.isActive() ? this.cls.getId() : undefined);
      return user;
    }
  }

  @Controller('context')
  class ContextController {
    constructor(private readonly cls: ClsService) {}

    @Get()
    context() {
      return { id: this.cls.getId(), user: this.cls.get<string | undefined>('user') ?? null };
    }
  }

  let application: TestApplication;
  const contextsOf = async (options: Parameters<typeof home.start>[0]) => {
    application = await home.start({
      controllers: [ContextController],
      providers: [LookupSerializer, LocalStrategy],
      ...options,
    });
    const browser = await application.loggedIn();
    const { contexts } = application.app.get(LookupSerializer);
    contexts.splice(0);
    const handler = (await browser.get('/context')).json<{ id: string; user: string | null }>();
    return { handler, lookups: contexts };
  };
  const setup = (cls: ClsService, request: Request) => {
    cls.set('user', (request.user as User | undefined)?.name);
  };

  it('mounted in main.ts, opens its context before users are looked up', async () => {
    const { handler, lookups } = await contextsOf({
      imports: [ClsModule.forRoot({ global: true, middleware: { generateId: true } })],
      configure: (app) => void app.use(new ClsMiddleware({ generateId: true }).use),
    });

    expect(lookups).toEqual([handler.id]);
    expect(handler.id).toMatch(/./);
  });

  it('mounted in main.ts behind SessionMiddleware, or by its module, knows the user in its setup', async () => {
    const inMain = await contextsOf({
      imports: [ClsModule.forRoot({ global: true })],
      ...withSessionBefore((app) => void app.use(new ClsMiddleware({ generateId: true, setup }).use)),
    });
    const byModule = await contextsOf({
      imports: [ClsModule.forRoot({ global: true, middleware: { mount: true, generateId: true, setup } })],
    });

    for (const { handler, lookups } of [inMain, byModule]) {
      expect(handler.user).toBe('Ada');
      expect(lookups).toEqual([undefined]);
    }
  });
});
