import type { Server } from 'node:http';
import {
  Body,
  ConsoleLogger,
  Controller,
  Delete,
  Get,
  HttpCode,
  Injectable,
  type LoggerService,
  type ModuleMetadata,
  Param,
  Post,
  Put,
  Req,
  type Type,
  UseGuards,
} from '@nestjs/common';
import type { INestApplication } from '@nestjs/common';
import { PassportStrategy } from '@nestjs/passport';
import type { AbstractHttpAdapter } from '@nestjs/core';
import { Test } from '@nestjs/testing';
import { Strategy } from 'passport-local';
import {
  CurrentSession,
  CurrentUser,
  LoginGuard,
  SessionAuthModule,
  type SessionAuthOptions,
  SessionAuthService,
  type SessionEvent,
  SessionEvents,
  SessionGuard,
  type SessionRequest,
  UserSerializer,
} from '../../lib/index.js';
import { SESSION_CLOCK } from '../../lib/model/clock.js';
import { Browser, type BrowserOptions } from './browser.js';
import { type AdapterOptions, createAdapter, type Platform, platformUnderTest } from './platforms.js';
import { TestClock } from './test-clock.js';

export const SECRET = 'a secret that is only good for tests, 32 bytes';

export interface User {
  id: string;
  name: string;
}

const USERS: Record<string, User & { password: string }> = {
  ada: { id: '1', name: 'Ada', password: 'lovelace' },
  grace: { id: '2', name: 'Grace', password: 'hopper' },
};

/** Keeps the user as it is. */
@Injectable()
export class SnapshotSerializer extends UserSerializer<User, User> {
  serializeUser(user: User): User {
    return user;
  }
  deserializeUser(payload: User): User | null {
    return payload;
  }
}

@Injectable()
export class LocalStrategy extends PassportStrategy(Strategy) {
  validate(username: string, password: string): User | null {
    const found = USERS[username];
    return found?.password === password ? { id: found.id, name: found.name } : null;
  }
}

type Data = Record<string, unknown>;

/** What most tests ask of an application. */
@Controller()
export class TestController {
  constructor(private readonly sessionAuth: SessionAuthService) {}

  @Post('login')
  @HttpCode(200)
  @UseGuards(LoginGuard('local', { keep: ['returnTo'] }))
  login(@CurrentUser() user: User): User {
    return user;
  }

  @Post('logout')
  @HttpCode(204)
  async logout(@Req() request: SessionRequest): Promise<void> {
    await this.sessionAuth.logOut(request);
  }

  @Get('me')
  @UseGuards(SessionGuard)
  me(@CurrentUser() user: User): User {
    return user;
  }

  @Get('current')
  @UseGuards(SessionGuard)
  current(@Req() request: SessionRequest) {
    return this.sessionAuth.current(request);
  }

  @Get('public')
  anybody(@CurrentUser('name') name: string | undefined) {
    return { name: name ?? null };
  }

  @Get('session')
  session(@CurrentSession() session: Data): Data {
    const { cookie: _cookie, passport: _passport, ...data } = session;
    return data;
  }

  @Put('session/:key')
  put(@CurrentSession() session: Data, @Param('key') key: string, @Body() body: { value: unknown }) {
    session[key] = body.value;
    return { [key]: body.value };
  }

  @Delete('session/:key')
  remove(@CurrentSession() session: Data, @Param('key') key: string) {
    Reflect.deleteProperty(session, key);
    return {};
  }
}

/** Does something while `NODE_ENV` is another one. */
export async function inEnvironment<T>(environment: string | undefined, work: () => Promise<T>): Promise<T> {
  const before = process.env['NODE_ENV'];
  process.env['NODE_ENV'] = environment;
  try {
    return await work();
  } finally {
    process.env['NODE_ENV'] = before;
  }
}

export interface TestApplicationOptions extends AdapterOptions {
  /** Default: that of `describePlatforms()`, else Express. */
  platform?: Platform;
  /** In place of the platform's usual one. */
  adapter?: AbstractHttpAdapter;
  options?: Partial<SessionAuthOptions>;
  /** Default: a serializer that keeps the user, and the `local` strategy that knows ada/lovelace and grace/hopper. */
  providers?: ModuleMetadata['providers'];
  controllers?: Type[];
  /** Imported before the module, which must come first all the same. */
  before?: ModuleMetadata['imports'];
  /** In place of `SessionAuthModule.forRoot(options)`. */
  module?: NonNullable<ModuleMetadata['imports']>[number];
  imports?: ModuleMetadata['imports'];
  clock?: TestClock;
  /** `NODE_ENV` while it boots. */
  environment?: string;
  /** Hears what is logged, from the first line on. Default: nobody does. */
  logger?: LoggerService;
  /** Before the application starts. */
  configure?: (app: INestApplication) => void;
}

/** A Nest application with the module in it, listening on a free port. */
export class TestApplication {
  #closed: Promise<void> | undefined;

  private constructor(
    readonly app: INestApplication,
    readonly url: string,
    readonly clock: TestClock,
    readonly events: SessionEvent[],
  ) {}

  static async start({
    platform = platformUnderTest(),
    trustProxy,
    adapter = createAdapter(platform, { trustProxy }),
    options = {},
    providers = [SnapshotSerializer, LocalStrategy],
    controllers = [],
    before = [],
    module = SessionAuthModule.forRoot({ secret: SECRET, ...options }),
    imports = [],
    logger = new ConsoleLogger({ logLevels: ['fatal'] }),
    clock = new TestClock(new Date()),
    environment = process.env['NODE_ENV'],
    configure,
  }: TestApplicationOptions = {}): Promise<TestApplication> {
    const testing = await inEnvironment(environment, () =>
      Test.createTestingModule({
        imports: [...before, module, ...imports],
        providers,
        controllers: [TestController, ...controllers],
      })
        .setLogger(logger)
        .overrideProvider(SESSION_CLOCK)
        .useValue(clock)
        .compile(),
    );
    const app = testing.createNestApplication(adapter, { logger });
    configure?.(app);
    const events: SessionEvent[] = [];
    app.get(SessionEvents).events$.subscribe((event) => events.push(event));
    await app.listen(0, '127.0.0.1');
    const { port } = (app.getHttpServer() as Server).address() as { port: number };
    return new TestApplication(app, `http://127.0.0.1:${port}`, clock, events);
  }

  browser(options: BrowserOptions = {}): Browser {
    return new Browser(this.url, { now: () => this.clock.now(), ...options });
  }

  /** A browser on which this user has logged in. */
  async loggedIn(username = 'ada', password = 'lovelace'): Promise<Browser> {
    const browser = this.browser();
    const response = await browser.post('/login', { json: { username, password } });
    if (response.status !== 200) throw new Error(`login: ${response.status} ${response.text}`);
    return browser;
  }

  /** Closes it once, however often this is called: Nest 11's driver of Apollo cannot be closed again. */
  close(): Promise<void> {
    return (this.#closed ??= this.app.close());
  }
}
