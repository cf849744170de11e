import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import {
  Body,
  type CanActivate,
  ConsoleLogger,
  Controller,
  Delete,
  type ExecutionContext,
  Get,
  HttpCode,
  type INestApplication,
  Injectable,
  type LoggerService,
  type MiddlewareConsumer,
  Module,
  type ModuleMetadata,
  type NestModule,
  Param,
  Post,
  Put,
  Req,
  type Type,
  UseGuards,
} from '@nestjs/common';
import { AuthGuard, type AuthModuleOptions, PassportModule, PassportSerializer } from '@nestjs/passport';
import { Test } from '@nestjs/testing';
import { jest } from '@jest/globals';
import { RedisStore } from 'connect-redis';
import type { Request, RequestHandler } from 'express';
import session, { type SessionOptions } from 'express-session';
import ms, { type StringValue } from 'ms';
import passport from 'passport';
import { createClient } from 'redis';
import { LocalStrategy, SECRET, type User } from '../support/application.js';
import { Browser, type BrowserOptions } from '../support/browser.js';
import { promised } from './routes.js';
import { ADA, type Application } from './scenario.js';

/** As the Nest documentation has it, in the form that keeps the whole user. */
@Injectable()
export class UserSnapshotSerializer extends PassportSerializer {
  serializeUser(user: User, done: (error: unknown, payload?: unknown) => void): void {
    done(null, user);
  }
  deserializeUser(payload: unknown, done: (error: unknown, user?: unknown) => void): void {
    done(null, payload);
  }
}

@Injectable()
export class LocalAuthGuard extends AuthGuard('local') {
  override async canActivate(context: ExecutionContext): Promise<boolean> {
    const result = (await super.canActivate(context)) as boolean;
    await super.logIn(context.switchToHttp().getRequest());
    return result;
  }
}

@Injectable()
export class AuthenticatedGuard implements CanActivate {
  canActivate(context: ExecutionContext): boolean {
    return context.switchToHttp().getRequest<Request>().isAuthenticated();
  }
}

/** The routes of `TestController`, by hand. */
@Controller()
class HandWiredController {
  @Post('login')
  @HttpCode(200)
  @UseGuards(LocalAuthGuard)
  login(@Req() request: Request): unknown {
    return request.user;
  }

  @Post('logout')
  @HttpCode(204)
  logout(@Req() request: Request): Promise<void> {
    return promised((done) => request.logout(done));
  }

  @Get('me')
  @UseGuards(AuthenticatedGuard)
  me(@Req() request: Request): unknown {
    return request.user;
  }

  @Get('public')
  anybody(@Req() request: Request): object {
    return { name: (request.user as User | undefined)?.name ?? null };
  }

  @Get('session')
  session(@Req() request: Request): object {
    const { cookie: _cookie, passport: _passport, ...data } = request.session as unknown as Record<string, unknown>;
    return data;
  }

  @Put('session/:key')
  put(@Req() request: Request, @Param('key') key: string, @Body() { value }: { value: unknown }): object {
    Reflect.set(request.session, key, value);
    return { [key]: value };
  }

  @Delete('session/:key')
  remove(@Req() request: Request, @Param('key') key: string): object {
    Reflect.deleteProperty(request.session, key);
    return {};
  }
}

export interface ControlOptions {
  redis: { url: string };
  /** Over `{ resave: false, saveUninitialized: false }` and a `RedisStore`. */
  session?: Partial<SessionOptions>;
  /** Of the store's keys. Default connect-redis's own. */
  prefix?: string;
  /** Of the store, in seconds. */
  ttl?: number;
  /** Of `PassportModule.register()`. */
  passport?: AuthModuleOptions & { keepSessionInfo?: boolean };
  /** Default: a serializer that keeps the user, and the `local` strategy. */
  providers?: ModuleMetadata['providers'];
  controllers?: Type[];
  imports?: ModuleMetadata['imports'];
  logger?: LoggerService;
  /** Before session and Passport are mounted. */
  configure?: (app: INestApplication) => void;
  /** Mounts session and Passport by a module, imported last, and not by `app.use()`. */
  byModule?: boolean;
  /** Leaves on passport's process-wide singleton what other applications put there. */
  besideOthers?: boolean;
}

/**
 * What the module's users would wire by hand, as the documentation of Nest, Passport, express-session and connect-redis
 * says: what this module is an alternative to. A scenario that shows the defect here is known to be able to fail.
 */
export class ControlApplication implements Application {
  readonly clock = new DateClock();

  private constructor(
    readonly app: INestApplication,
    readonly url: string,
    readonly store: RedisStore,
    private readonly disconnect: () => void,
  ) {}

  static async start({
    redis,
    session: sessionOptions,
    prefix,
    ttl,
    passport: passportOptions = { session: true },
    providers = [UserSnapshotSerializer, LocalStrategy],
    controllers = [],
    imports = [],
    logger = new ConsoleLogger({ logLevels: ['fatal'] }),
    configure,
    byModule = false,
    besideOthers = false,
  }: ControlOptions): Promise<ControlApplication> {
    if (!besideOthers) forgetPassport();
    const client = createClient({ url: redis.url });
    client.on('error', () => undefined);
    await client.connect();
    const store = new RedisStore({ client, prefix, ttl });
    const middleware: RequestHandler[] = [
      session({ store, secret: SECRET, resave: false, saveUninitialized: false, name: 'sid', ...sessionOptions }),
      passport.initialize(),
      passport.session(),
    ];

    @Module({})
    class SessionModule implements NestModule {
      configure(consumer: MiddlewareConsumer): void {
        consumer.apply(...middleware).forRoutes('{*path}');
      }
    }

    const testing = await Test.createTestingModule({
      imports: [PassportModule.register(passportOptions), ...imports, ...(byModule ? [SessionModule] : [])],
      providers,
      controllers: [HandWiredController, ...controllers],
    })
      .setLogger(logger)
      .compile();
    const app = testing.createNestApplication({ logger });
    configure?.(app);
    if (!byModule) middleware.forEach((one) => app.use(one));
    await app.listen(0, '127.0.0.1');
    const { port } = (app.getHttpServer() as Server).address() as AddressInfo;
    return new ControlApplication(app, `http://127.0.0.1:${port}`, store, () => client.destroy());
  }

  browser(options: BrowserOptions = {}): Browser {
    return new Browser(this.url, { now: this.clock.now, ...options });
  }

  async loggedIn(username = ADA.username, password = ADA.password): Promise<Browser> {
    const browser = this.browser();
    const response = await browser.post('/login', { json: { username, password } });
    if (response.status !== 200) throw new Error(`login: ${response.status} ${response.text}`);
    return browser;
  }

  async close(): Promise<void> {
    this.clock.restore();
    this.disconnect();
    // Some requests here are never answered: nobody waits for them.
    (this.app.getHttpServer() as Server).closeAllConnections();
    await this.app.close();
  }
}

/** The hand-wired stack knows no clock but `Date`: this one moves it, for the whole test file and nothing else of it. */
class DateClock {
  #faked = false;

  readonly now = (): number => Date.now();

  advance(by: number | StringValue): void {
    const now = Date.now() + (typeof by === 'number' ? by : ms(by));
    if (this.#faked) jest.setSystemTime(now);
    else this.#fake(now);
  }

  restore(): void {
    if (this.#faked) jest.useRealTimers();
  }

  #fake(now: number): void {
    const timers = [
      'setImmediate',
      'clearImmediate',
      'setInterval',
      'clearInterval',
      'setTimeout',
      'clearTimeout',
    ] as const;
    jest.useFakeTimers({ now, doNotFake: [...timers, 'hrtime', 'nextTick', 'performance', 'queueMicrotask'] });
    this.#faked = true;
  }
}

/** Passport's singleton as a process of its own would find it. */
function forgetPassport(): void {
  Object.assign(passport, { _serializers: [], _deserializers: [], _infoTransformers: [] });
}
