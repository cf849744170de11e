import type { ServerResponse } from 'node:http';
import { createBullBoard } from '@bull-board/api';
import { ExpressAdapter as ExpressBoard } from '@bull-board/express';
import { FastifyAdapter as FastifyBoard } from '@bull-board/fastify';
import {
  Body,
  Controller,
  Get,
  HttpCode,
  type INestApplication,
  Injectable,
  Post,
  Req,
  Res,
  UseGuards,
} from '@nestjs/common';
import type { NestExpressApplication } from '@nestjs/platform-express';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import flash from 'connect-flash';
import { csrfSync } from 'csrf-sync';
import type { NextFunction, Request, Response } from 'express';
import { ClsMiddleware, ClsModule, ClsService } from 'nestjs-cls';
import { CurrentUser, LoginGuard, SessionMiddleware } from '../../lib/index.js';
import { LocalStrategy, SnapshotSerializer, type TestApplication, type User } from '../support/application.js';
import { idIn, sessionsIn } from '../support/devices.js';
import { describePlatforms, nodeRequest, type Platform } from '../support/platforms.js';

const ADA = { username: 'ada', password: 'lovelace' };
const home = sessionsIn('redis');

type Configure = (app: INestApplication) => void;

/** An application whose `main.ts` mounts the session, then what follows. */
const withSessionBefore = (mount: Configure) => ({
  configure: (app: INestApplication) => {
    app.use(app.get(SessionMiddleware).use);
    mount(app);
  },
});

const fastifyOf = (app: INestApplication) => (app as NestFastifyApplication).getHttpAdapter().getInstance();

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

/** Mounts a queue board at `/queues`, for those who are logged in. */
const mountBoard: Record<Platform, Configure> = {
  express: (app) => {
    const board = new ExpressBoard();
    createBullBoard({ queues: [], serverAdapter: board.setBasePath('/queues') });
    const onlyUsers = (request: Request, response: Response, next: NextFunction) => {
      if (request.isAuthenticated()) next();
      else response.redirect('/login');
    };
    app.use('/queues', onlyUsers, board.getRouter());
  },
  fastify: (app) => {
    const board = new FastifyBoard();
    createBullBoard({ queues: [], serverAdapter: board.setBasePath('/queues') });
    void fastifyOf(app).register((instance, _, registered) => {
      instance.addHook('preHandler', (request, reply, done) => {
        if (request.isAuthenticated()) done();
        else void reply.redirect('/login');
      });
      void instance.register(board.registerPlugin(), { prefix: '/queues' });
      registered();
    });
  },
};

describePlatforms((platform) => {
  /** The same, for what is a hook on Fastify, where the session comes before without a line in `main.ts`. */
  const withSessionOrHooks = platform === 'express' ? withSessionBefore : (configure: Configure) => ({ configure });

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

    it.each(['by itself', 'by a handler'])('responds %s, and what cannot be saved is an error', async (by) => {
      @Controller('unsaved')
      class UnsavedController {
        @Get()
        get() {
          return {};
        }
      }
      const application = await home.start({
        controllers: [UnsavedController],
        ...withSessionBefore((app) => {
          app.use('/unsaved', (request: Request, response: ServerResponse, next: NextFunction) => {
            Object.assign(request.session, { amount: 1n });
            if (by === 'by itself') response.end('done');
            else next();
          });
        }),
      });
      const browser = application.browser();

      for (let times = 0; times < 3; times++) {
        const response = await browser.get('/unsaved');
        expect([response.status, response.json()]).toMatchObject([500, { code: 'session_not_serializable' }]);
      }
    });

    it('may be mounted at a path of its own, and the module serves the others', async () => {
      const { seen, use } = observer();
      const application = await home.start({
        configure: (app) => {
          app.use('/me', [app.get(SessionMiddleware).use, use]);
        },
      });

      expect((await (await application.loggedIn()).get('/me')).json()).toMatchObject({ name: 'Ada' });
      expect(seen).toMatchObject([{ user: 'Ada' }]);
    });
  });

  it('templates are told who is logged in', async () => {
    @Controller('page')
    class PageController {
      @Get()
      page(@Res({ passthrough: true }) response: { locals: Record<string, unknown> }) {
        return { shown: response.locals['user'] };
      }
    }
    const application = await home.start({
      controllers: [PageController],
      ...withSessionOrHooks((app) => {
        if (platform === 'express') {
          app.use((request: Request, response: Response, next: NextFunction) => {
            response.locals['user'] = request.user;
            next();
          });
          return;
        }
        fastifyOf(app).addHook('preHandler', (request, reply, done) => {
          Object.assign(reply, { locals: { user: request.user } }); // As @fastify/view has it.
          done();
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
        return { error: nodeRequest(request).flash('error') };
      }
    }
    const application = await home.start({
      controllers: [FlashController],
      ...withSessionBefore((app) => {
        app.use(flash());
      }),
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
        const { csrfToken } = { ...nodeRequest(request), ...request } as Request;
        return { token: csrfToken!() };
      }
      @Post('form')
      @HttpCode(200)
      save(@Body() body: object) {
        return body;
      }
    }
    const tokenOf = ({ headers, body }: Request) =>
      (headers['x-csrf-token'] as string | undefined) ?? (body as { _csrf?: string } | undefined)?._csrf;
    const { csrfSynchronisedProtection } = csrfSync({ getTokenFromRequest: tokenOf });

    /** Mounts it behind the parser of bodies. */
    const mountBehindParser: Configure = (app) => {
      if (platform === 'express') {
        (app as NestExpressApplication).useBodyParser('urlencoded', { extended: true });
        app.use(csrfSynchronisedProtection);
        return;
      }
      fastifyOf(app).addHook('preHandler', (request, reply, done) => {
        csrfSynchronisedProtection(request as never, reply as never, done as NextFunction);
      });
    };

    it.each<[string, Configure, (token: string) => object]>([
      [
        'a header',
        (app) => app.use(csrfSynchronisedProtection),
        (token) => ({ headers: { 'x-csrf-token': token }, form: {} }),
      ],
      ['a form, whose body is parsed before', mountBehindParser, (token) => ({ form: { _csrf: token } })],
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
        ...withSessionBefore((app) => app.use(csrfSynchronisedProtection)),
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
    const application = await home.start(withSessionOrHooks(mountBoard[platform]));
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
        configure: (app) => app.use(new ClsMiddleware({ generateId: true }).use),
      });

      expect(lookups).toEqual([handler.id]);
      expect(handler.id).toMatch(/./);
    });

    it('mounted in main.ts behind SessionMiddleware, or by its module, knows the user in its setup', async () => {
      const inMain = await contextsOf({
        imports: [ClsModule.forRoot({ global: true })],
        ...withSessionBefore((app) => app.use(new ClsMiddleware({ generateId: true, setup }).use)),
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
});
