import {
  Controller,
  Get,
  Global,
  HttpCode,
  Injectable,
  type MiddlewareConsumer,
  Module,
  type NestModule,
  Post,
  Req,
  type Type,
  UseGuards,
} from '@nestjs/common';
import { AuthGuard, PassportSerializer } from '@nestjs/passport';
import type { Request, Response } from 'express';
import {
  CurrentUser,
  Public,
  SessionAuthService,
  SessionGuard,
  type SessionRequest,
  UserSerializer,
} from '../../lib/index.js';
import { LocalStrategy, type User } from '../support/application.js';
import { ADA, type Application, dataOf, GRACE, isLoggedIn, put } from './scenario.js';
import { promised } from './routes.js';
import { describeStages } from './stage.js';

describeStages((on) => {
  describe('a guard that asks for a session', () => {
    /** A route behind the stack's own guard for sessions. */
    function guardedBy(guard: Type): Type {
      @Controller('guarded')
      class GuardedController {
        @Get()
        @UseGuards(guard)
        guarded(@Req() request: Request): object {
          return { user: (request.user as User | undefined)?.name ?? null };
        }
      }
      return GuardedController;
    }

    async function whoComesIn(application: Application) {
      const anonymous = await application.browser().get('/guarded');
      const ada = await (await application.loggedIn()).get('/guarded');
      return { anonymous: anonymous.status, ada: ada.status === 200 ? ada.json() : ada.status };
    }

    on.control?.('control: lets everyone in, and forgets who it is (AuthGuard of "session")', async () => {
      const application = await on.handWired({ controllers: [guardedBy(AuthGuard('session'))] });

      expect(await whoComesIn(application)).toEqual({ anonymous: 200, ada: { user: null } });
    });

    it('answers 401 without a user, and leaves req.user alone', async () => {
      const application = await on.here({ controllers: [guardedBy(SessionGuard)] });

      expect(await whoComesIn(application)).toEqual({ anonymous: 401, ada: { user: 'Ada' } });
    });

    it('takes no user whom other code put at req.user', async () => {
      const application = await on.here({
        controllers: [guardedBy(SessionGuard)],
        configure: (app) =>
          app.use((request: SessionRequest, _: Response, next: () => void) => {
            request.user ??= { id: '666', name: 'Mallory' };
            next();
          }),
      });

      expect(await whoComesIn(application)).toEqual({ anonymous: 401, ada: { user: 'Ada' } });
    });
  });

  describe('two applications in one process', () => {
    /** Each kind of application keeps the users of one realm. */
    async function whoIsWho([first, second]: [Application, Application]) {
      const realmOf = async (application: Application) =>
        (await (await application.loggedIn()).get('/me')).json<{ realm?: string }>().realm;
      return [await realmOf(first), await realmOf(second)];
    }

    function byPassport(realm: string): Type {
      @Injectable()
      class RealmSerializer extends PassportSerializer {
        serializeUser({ id }: User, done: (error: unknown, payload: unknown) => void): void {
          done(null, id);
        }
        deserializeUser(id: string, done: (error: unknown, user: unknown) => void): void {
          done(null, { id, realm });
        }
      }
      return RealmSerializer;
    }

    function byModule(realm: string): Type {
      @Injectable()
      class RealmSerializer extends UserSerializer<User & { realm?: string }, string> {
        serializeUser({ id }: User): string {
          return id;
        }
        deserializeUser(id: string): User & { realm: string } {
          return { id, name: '', realm };
        }
      }
      return RealmSerializer;
    }

    on.control?.("control: the second uses the first one's serializer", async () => {
      const applications: [Application, Application] = [
        await on.handWired({ providers: [byPassport('first'), LocalStrategy] }),
        await on.handWired({ providers: [byPassport('second'), LocalStrategy], besideOthers: true }),
      ];

      expect(await whoIsWho(applications)).toEqual(['first', 'first']);
    });

    it('have a Passport of their own each', async () => {
      const applications: [Application, Application] = [
        await on.here({ providers: [byModule('first'), LocalStrategy] }),
        await on.here({ providers: [byModule('second'), LocalStrategy] }),
      ];

      expect(await whoIsWho(applications)).toEqual(['first', 'second']);
    });
  });

  describe('what a login keeps of the session before it', () => {
    async function loginsInOneBrowser(application: Application) {
      const browser = application.browser();
      await put(browser, 'returnTo', '/cart');
      await put(browser, 'offer', 'anonymous');
      await browser.post('/login', { json: ADA });
      const ada = await dataOf(browser);
      await put(browser, 'returnTo', '/orders/of/ada');
      await put(browser, 'secret', "Ada's");
      await browser.post('/login', { json: GRACE });
      return { ada, grace: await dataOf(browser) };
    }

    on.control?.('control: nothing', async () => {
      expect(await loginsInOneBrowser(await on.handWired())).toEqual({ ada: {}, grace: {} });
    });

    on.control?.("control: everything, another user's data included (keepSessionInfo)", async () => {
      const application = await on.handWired({ passport: { session: true, keepSessionInfo: true } });

      expect(await loginsInOneBrowser(application)).toEqual({
        ada: { returnTo: '/cart', offer: 'anonymous' },
        grace: { returnTo: '/orders/of/ada', offer: 'anonymous', secret: "Ada's" },
      });
    });

    it("is what it is told to keep, and never another user's", async () => {
      expect(await loginsInOneBrowser(await on.here())).toEqual({ ada: { returnTo: '/cart' }, grace: {} });
    });
  });

  describe('a login', () => {
    /** By the guard of the stack, and nothing written by hand. */
    async function byGuard(application: Application, path: string) {
      const browser = application.browser();
      const { status } = await browser.post(path, { json: ADA });
      return { status, loggedIn: await isLoggedIn(browser) };
    }

    @Controller()
    class PlainController {
      @Post('plain-login')
      @HttpCode(200)
      @UseGuards(AuthGuard('local'))
      login(): void {
        // The guard is meant to have done it.
      }
    }

    on.control?.("control: does not come of AuthGuard('local') and register({ session: true })", async () => {
      const application = await on.handWired({ passport: { session: true }, controllers: [PlainController] });

      expect(await byGuard(application, '/plain-login')).toEqual({ status: 200, loggedIn: false });
    });

    it("comes of LoginGuard('local')", async () => {
      expect(await byGuard(await on.here(), '/login')).toEqual({ status: 200, loggedIn: true });
    });

    it('comes of SessionAuthService.logIn() anywhere', async () => {
      @Controller()
      class SignUpController {
        constructor(private readonly sessionAuth: SessionAuthService) {}

        @Post('sign-up')
        @HttpCode(200)
        @Public()
        async signUp(@Req() request: SessionRequest, @CurrentUser() nobody: unknown): Promise<unknown> {
          await this.sessionAuth.logIn(request, { id: '3', name: 'Edsger' });
          return { nobody: nobody ?? null, user: request.user };
        }
      }
      const application = await on.here({ controllers: [SignUpController] });
      const browser = application.browser();

      expect((await browser.post('/sign-up')).json()).toEqual({ nobody: null, user: { id: '3', name: 'Edsger' } });
      expect((await browser.get('/me')).json()).toEqual({ id: '3', name: 'Edsger' });
    });
  });

  describe("the request's methods", () => {
    const USER = { id: '4', name: 'Barbara' };

    @Controller()
    class MethodsController {
      @Post('await/login')
      @HttpCode(200)
      async logIn(@Req() request: Request): Promise<void> {
        await (request.logIn as (user: unknown) => unknown)(USER);
      }

      @Post('await/logout')
      @HttpCode(200)
      async logOut(@Req() request: Request): Promise<void> {
        await (request.logOut as () => unknown)();
      }

      @Post('callback/login')
      @HttpCode(200)
      logInWithCallback(@Req() request: Request): Promise<void> {
        return promised((done) => request.logIn(USER, done));
      }

      @Post('callback/logout')
      @HttpCode(200)
      logOutWithCallback(@Req() request: Request): Promise<void> {
        return promised((done) => request.logOut(done));
      }
    }

    async function comeAndGo(application: Application, style: 'await' | 'callback') {
      const browser = application.browser();
      const login = await browser.post(`/${style}/login`);
      const loggedIn = await isLoggedIn(browser);
      const logout = await browser.post(`/${style}/logout`);
      return { login: login.status, loggedIn, logout: logout.status, loggedOut: !(await isLoggedIn(browser)) };
    }

    const WELL = { login: 200, loggedIn: true, logout: 200, loggedOut: true };
    const controllers = [MethodsController];

    on.control?.('control: cannot be awaited', async () => {
      const application = await on.handWired({ controllers });

      expect(await comeAndGo(application, 'await')).toMatchObject({ login: 500, loggedIn: false, logout: 500 });
      expect(await comeAndGo(application, 'callback')).toEqual(WELL);
    });

    it.each(['await', 'callback'] as const)('work by %s', async (style) => {
      expect(await comeAndGo(await on.here({ controllers }), style)).toEqual(WELL);
    });
  });

  describe('middleware of a module that is imported first', () => {
    @Module({})
    class EarlyModule implements NestModule {
      configure(consumer: MiddlewareConsumer): void {
        consumer
          .apply((request: SessionRequest, response: Response, next: () => void) => {
            const user = request.user as User | undefined;
            response.setHeader('X-Found', request.session === undefined ? 'nothing' : (user?.name ?? 'nobody'));
            next();
          })
          .forRoutes('{*path}');
      }
    }

    @Global()
    @Module({})
    class EarlyGlobalModule extends EarlyModule {}

    const found = async (application: Application) =>
      (await (await application.loggedIn()).get('/public')).headers['x-found'];

    on.control?.('control: runs before the session, where a module mounts that', async () => {
      const application = await on.handWired({ imports: [EarlyModule], byModule: true });

      expect(await found(application)).toBe('nothing');
    });

    it.each([EarlyModule, EarlyGlobalModule])(
      'finds the session and its user, whatever the order of imports (%p)',
      async (early) => {
        expect(await found(await on.here({ before: [early] }))).toBe('Ada');
        expect(await found(await on.here({ imports: [early] }))).toBe('Ada');
      },
    );
  });
});
