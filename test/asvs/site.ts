import { randomUUID } from 'node:crypto';
import {
  Body,
  Controller,
  Delete,
  Get,
  HttpCode,
  Inject,
  Injectable,
  Param,
  Post,
  Redirect,
  Req,
  UseGuards,
} from '@nestjs/common';
import { PassportStrategy } from '@nestjs/passport';
import { Strategy as CustomStrategy } from 'passport-custom';
import { Strategy as LocalPasswordStrategy } from 'passport-local';
import {
  CurrentSession,
  CurrentUser,
  LoginGuard,
  RequireFreshLogin,
  SessionAuthService,
  SessionGuard,
  type SessionInfo,
  SessionRegistry,
  type SessionRequest,
  UserSerializer,
} from '../../lib/index.js';
import { TestApplication, type TestApplicationOptions } from '../support/application.js';
import { Browser, type BrowserResponse, type OpenResponse, type RequestOptions } from '../support/browser.js';
import { eventually } from '../support/eventually.js';
import { Gates } from '../support/gate.js';
import { RedisDeployment } from '../support/redis-deployment.js';
import type { RedisLine } from '../support/redis-line.js';

const COOKIE = '__Host-Http-sid';
const PASSWORD = 'correct horse battery staple';

export interface Person {
  id: string;
  name: string;
}

/** The application's user database. */
@Injectable()
export class People {
  readonly #byId = new Map<string, Person>();
  isDown = false;

  /** Each test has people of its own, so that none disturbs another. */
  add(): Person {
    const id = randomUUID();
    const person = { id, name: `person ${id}` };
    this.#byId.set(id, person);
    return person;
  }
  remove({ id }: Person): void {
    this.#byId.delete(id);
  }
  find(id: string): Person | null {
    if (this.isDown) throw new Error('The user database is down.');
    return this.#byId.get(id) ?? null;
  }
}

@Injectable()
class PeopleSerializer extends UserSerializer<Person, string> {
  constructor(@Inject(People) private readonly people: People) {
    super();
  }
  serializeUser({ id }: Person): string {
    return id;
  }
  deserializeUser(id: string): Person | null {
    return this.people.find(id);
  }
}

/** Knows everybody by their id, and one password. */
@Injectable()
class PasswordStrategy extends PassportStrategy(LocalPasswordStrategy) {
  constructor(@Inject(People) private readonly people: People) {
    super();
  }
  validate(username: string, password: string): Person | null {
    return password === PASSWORD ? this.people.find(username) : null;
  }
}

/** Stands for single sign-on: comes back from the provider with who it is, and for how long the provider says so. */
@Injectable()
class ProviderStrategy extends PassportStrategy(CustomStrategy, 'provider') {
  constructor(@Inject(People) private readonly people: People) {
    super();
  }
  validate({ query }: SessionRequest & { query: { sub?: string } }): Person | null {
    return this.people.find(query.sub ?? '');
  }
}

/** What an application makes of the module. */
@Controller('account')
@UseGuards(SessionGuard)
class AccountController {
  constructor(
    private readonly auth: SessionAuthService,
    private readonly registry: SessionRegistry,
    @Inject(Gates) private readonly gates: Gates,
  ) {}

  @Get('sessions')
  list(@CurrentUser() person: Person): Promise<SessionInfo[]> {
    return this.registry.list(person);
  }

  @Delete('sessions/:handle')
  @RequireFreshLogin('5m')
  async end(@CurrentUser() person: Person, @Param('handle') handle: string) {
    return { ended: await this.registry.revoke(person, handle) };
  }

  @Delete('sessions')
  @RequireFreshLogin('5m')
  async endOthers(@CurrentUser() person: Person, @Req() request: SessionRequest) {
    return { ended: await this.registry.revokeAll(person, { except: this.auth.current(request).handle }) };
  }

  /** The user has changed their password, and ticked "sign out everywhere else". */
  @Post('password')
  @RequireFreshLogin('5m')
  async changePassword(@CurrentUser() person: Person, @Req() request: SessionRequest) {
    return { ended: await this.registry.credentialsChanged(person, { keep: this.auth.current(request).handle }) };
  }

  @Post('payments')
  @RequireFreshLogin('2m', { methods: ['totp'], once: true })
  pay() {
    return { paid: true };
  }

  /** The user has proved who they are. */
  @Post('proofs/:method')
  async prove(@Req() request: SessionRequest, @Param('method') method: string) {
    await this.auth.reauthenticate(request, method);
    return {};
  }

  @Get('balance')
  balance() {
    return { balance: 42 };
  }

  /** Writes, when the test lets it go on. */
  @Post('late/:gate')
  async writeLate(@CurrentSession() session: Record<string, unknown>, @Param('gate') gate: string) {
    await this.gates.named(gate).pass();
    session['late'] = true;
    return {};
  }
}

@Controller('login')
class LoginController {
  @Post('remembered')
  @UseGuards(LoginGuard('local', { remember: '30d' }))
  remembered() {
    return {};
  }

  /** Goes back to where the visitor was. */
  @Post('returning')
  @UseGuards(LoginGuard('local', { keep: ['returnTo'], successReturnToOrRedirect: '/public' }))
  returning() {
    return {};
  }

  /** Goes to the one other host that the application's own code names. */
  @Post('elsewhere')
  @UseGuards(LoginGuard('local', { successRedirect: 'https://accounts.example.com/' }))
  elsewhere() {
    return {};
  }

  @Get('provider')
  @Redirect('https://provider.example.com/authorize')
  begin() {
    return;
  }

  /** A session lives no longer than the provider answers for. */
  @Get('provider/callback')
  @UseGuards(LoginGuard('provider', { method: 'provider', remember: () => '20m' }))
  callback() {
    return {};
  }
}

@Controller('leave')
class LogoutController {
  constructor(private readonly auth: SessionAuthService) {}

  /** For a plain form on any page. */
  @Post()
  @HttpCode(204)
  async leave(@Req() request: SessionRequest) {
    await this.auth.logOut(request, { clearSiteData: true });
  }
}

/** What administrators do, and the provider by a back channel: the tests are the ones who may. */
@Controller('admin')
class AdminController {
  constructor(private readonly registry: SessionRegistry) {}

  @Post('disable')
  @HttpCode(200)
  async disable(@Body() { id }: { id: string }) {
    return { ended: await this.registry.userDisabled(id) };
  }

  @Post('sign-out')
  @HttpCode(200)
  async signOut(@Body() { id }: { id: string }) {
    return { ended: await this.registry.revokeAll(id, { by: 'admin' }) };
  }

  @Post('sign-out/everyone')
  @HttpCode(200)
  async signOutEveryone() {
    return { ended: await this.registry.revokeEveryone() };
  }
}

/** A browser that speaks HTTPS to a proxy before the application. */
export class SecureBrowser extends Browser {
  override open(method: string, path: string, options: RequestOptions = {}): Promise<OpenResponse> {
    return super.open(method, path, { ...options, headers: { 'x-forwarded-proto': 'https', ...options.headers } });
  }

  get cookie(): string {
    return `${COOKIE}=${this.cookies.get(COOKIE) ?? ''}`;
  }

  /** The session id in the cookie. */
  get id(): { handle: string; secret: string } {
    return idIn(this.cookie);
  }
}

export function idIn(cookie: string): { handle: string; secret: string } {
  const [, handle = '', secret = ''] = /=s%3A([\w-]+)\.([\w-]+)\./.exec(cookie) ?? [];
  return { handle, secret };
}

/** An application as in production, on a Redis of its own, and what differs of others that a test starts beside it. */
export function productionSite(options?: TestApplicationOptions) {
  let redis: RedisDeployment;
  let application: TestApplication;
  const closers: (() => Promise<void>)[] = [];

  beforeAll(async () => {
    redis = await RedisDeployment.start('redis');
    application = await launch(redis, options);
  });
  afterEach(async () => {
    for (const close of closers.splice(0).reverse()) await close();
  });
  afterAll(async () => {
    await application.close();
    await redis.stop();
  });

  const browser = (on = application): SecureBrowser =>
    new SecureBrowser(on.url, { trustSecure: true, now: on.clock.now });

  const site = {
    get application(): TestApplication {
      return application;
    },
    get redis(): RedisDeployment {
      return redis;
    },
    /** Another application of the same kind, until the test is over. */
    async start(more: TestApplicationOptions = {}): Promise<TestApplication> {
      const other = await launch(redis, { ...options, ...more });
      closers.push(() => other.close());
      return other;
    },
    /** A line to Redis that the test can cut, until it is over. */
    async line(): Promise<RedisLine> {
      const line = await redis.line();
      closers.push(() => line.close());
      return line;
    },
    browser,
    person: (on = application): Person => on.app.get(People).add(),
    credentialsOf: ({ id }: Person) => ({ username: id, password: PASSWORD }),
    /** A browser on which this person has logged in. */
    async loggedIn(person: Person, on = application, path = '/login'): Promise<SecureBrowser> {
      const visitor = browser(on);
      const response = await visitor.post(path, { json: site.credentialsOf(person) });
      if (visitor.id.secret === '') throw new Error(`login: ${response.status} ${response.text}`);
      return visitor;
    },
    /** Uses a session, and waits until that is written down. The response does not. */
    async use(visitor: SecureBrowser, on = application): Promise<void> {
      const { id } = (await visitor.get('/me')).json<Person>();
      await eventually('the use to be written down', async () => {
        const sessions = await on.app.get(SessionRegistry).list(id);
        const used = sessions.find(({ handle }) => handle === visitor.id.handle);
        return used?.seenAt.getTime() === on.clock.now();
      });
    },
  };
  return site;
}

function launch(
  redis: RedisDeployment,
  { options, providers = [], controllers = [], ...more }: TestApplicationOptions = {},
): Promise<TestApplication> {
  return TestApplication.start({
    environment: 'production',
    trustProxy: true,
    ...more,
    options: { redis: redis.options, redisTimeout: '5s', ...options }, // A busy machine is no outage.
    controllers: [AccountController, LoginController, LogoutController, AdminController, ...controllers],
    providers: [People, Gates, PeopleSerializer, PasswordStrategy, ProviderStrategy, ...providers],
  });
}

/** What matters of a response to most tests: its status, or the code and the reason of a refusal. */
export function outcomeOf({ status, text }: BrowserResponse): number | string {
  const { code, reason } = (text === '' ? {} : JSON.parse(text)) as { code?: string; reason?: string };
  return [code, reason].filter(Boolean).join(': ') || status;
}
