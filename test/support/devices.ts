import { Body, Controller, Delete, Get, HttpCode, Inject, Param, Post, Query, Req, UseGuards } from '@nestjs/common';
import { sign } from 'cookie-signature';
import type { Store } from 'express-session';
import {
  CurrentSession,
  CurrentUser,
  LoginGuard,
  type LogInOptions,
  Public,
  SESSION_STORE,
  SessionAuthService,
  SessionGuard,
  SessionRegistry,
  type SessionRequest,
} from '../../lib/index.js';
import { splitHandle } from '../../lib/model/session-id.js';
import {
  LocalStrategy,
  SECRET,
  SnapshotSerializer,
  TestApplication,
  type TestApplicationOptions,
  type User,
} from './application.js';
import type { Browser } from './browser.js';
import { Gates } from './gate.js';
import { type RedisClient, RedisDeployment } from './redis-deployment.js';
import type { RedisMonitor } from './redis-monitor.js';

/** What a page "your devices" asks for. */
@Controller('devices')
@UseGuards(SessionGuard)
export class DevicesController {
  constructor(private readonly registry: SessionRegistry) {}

  @Get()
  list(@CurrentUser('id') id: string) {
    return this.registry.list(id);
  }

  @Get('count')
  async count(@CurrentUser('id') id: string) {
    return { count: await this.registry.count(id) };
  }

  @Post('revoke')
  @HttpCode(200)
  async revoke(@CurrentUser('id') id: string, @Body() { handle }: { handle: string }) {
    return { revoked: await this.registry.revoke(id, handle) };
  }

  @Delete()
  async revokeAll(@CurrentUser('id') id: string, @Query('except') except?: string) {
    return { revoked: await this.registry.revokeAll(id, { except }) };
  }
}

/** Proves who a user is, in several ways. */
@Controller('proof')
export class ProofController {
  constructor(
    @Inject(Gates) private readonly gates: Gates,
    private readonly sessionAuth: SessionAuthService,
  ) {}

  @Public()
  @Post('password')
  @HttpCode(200)
  @UseGuards(LoginGuard('local'))
  byPassword(@CurrentUser() user: User) {
    return user;
  }

  /** Logs in whom it is told to (otherwise, again, who is logged in), without the price of a strategy. */
  @Public()
  @Post('none')
  @HttpCode(200)
  async byNothing(@Req() request: SessionRequest, @Body() { user, ...options }: LogInOptions & { user?: User }) {
    await this.sessionAuth.logIn(request, user ?? request.user, options);
    return {};
  }

  @Public()
  @Post('step-up')
  @HttpCode(200)
  async stepUp(@Req() request: SessionRequest, @Body() body: { method?: string } | undefined) {
    await this.sessionAuth.reauthenticate(request, body?.method);
    return { user: request.user, handle: this.sessionAuth.current(request).handle };
  }

  /** Writes, waits at the gate, steps up, writes again. */
  @Post('step-up/:gate')
  @HttpCode(200)
  async slowly(@Req() request: SessionRequest, @Param('gate') gate: string, @CurrentSession() session: object) {
    Object.assign(session, { own: 'own', both: 'own' });
    await this.gates.named(gate).pass();
    await this.sessionAuth.reauthenticate(request, 'totp');
    Object.assign(request.session!, { after: 'after' });
    return {};
  }
}

/** Writes into its session once the test says so. */
@Controller('slow')
export class SlowController {
  constructor(@Inject(Gates) private readonly gates: Gates) {}

  @Post(':gate')
  @HttpCode(200)
  async write(@Param('gate') gate: string, @CurrentSession() session: Record<string, unknown>) {
    await this.gates.named(gate).pass();
    session['late'] = true;
    return {};
  }
}

/** The Redis of a suite, if its sessions are to lie there, and the applications that its tests start. */
export function sessionsIn(where: string) {
  let redis: RedisDeployment | undefined;
  const started: TestApplication[] = [];

  beforeAll(async () => {
    redis = await RedisDeployment.startIn(where);
  });

  afterEach(async () => {
    for (const application of started.splice(0)) await application.close();
    await redis?.flush();
  });

  afterAll(() => redis?.stop());

  return {
    /**
     * Starts an application that has the routes of this file, until the test is over. In Redis, several of one test have
     * the same sessions.
     */
    async start({ options = {}, providers, controllers = [], ...others }: TestApplicationOptions = {}) {
      const application = await TestApplication.start({
        ...others,
        // A busy machine is no outage.
        options: { redisTimeout: '5s', ...(options.store === undefined && { redis: redis?.options }), ...options },
        controllers: [DevicesController, ProofController, SlowController, ...controllers],
        providers: [Gates, ...(providers ?? [SnapshotSerializer, LocalStrategy])],
      });
      started.push(application);
      return application;
    },
    /** Milliseconds that the key of this session, or of what remains of it, has to live in Redis. */
    async ttl(handle: string): Promise<number> {
      return await redis!.client.pTTL(keyOf(handle));
    },
    /** Reads along what Redis is asked. */
    monitor(): Promise<RedisMonitor> {
      return redis!.monitor();
    },
    /** Everything that stands in Redis: nothing, where the sessions are in memory. */
    async keys(): Promise<string[]> {
      return (await redis?.keys()) ?? [];
    },
    /** Redis answers reads, and refuses writes with an error, until told otherwise. */
    refuseWrites(refused = true): Promise<void> {
      return redis!.refuseWrites(refused);
    },
    /** How many clients listen to a channel. */
    subscribers(channel: string): Promise<number> {
      return redis!.subscribers(channel);
    },
    /** Cuts the lines of all who listen to channels, and works before they can listen again. */
    async cutSubscribers(work: () => Promise<void>): Promise<void> {
      await redis!.cutSubscribers();
      await work();
    },
    get client(): RedisClient {
      return redis!.client;
    },
  };
}

/** The key in Redis of this session, or of what remains of it. */
export function keyOf(handle: string): string {
  const { tag, rest } = splitHandle(handle);
  return `sess:{${tag}}${rest}`;
}

/** The `Cookie` header that this browser would send just now. */
export function cookieOf(browser: Browser): string {
  return `sid=${browser.cookies.get('sid') ?? ''}`;
}

/** What stands in a browser's session cookie. */
export function idOf(browser: Browser): { handle: string; secret: string } {
  return idIn(browser.cookies.get('sid') ?? '');
}

/** What stands in a session cookie's value, or in a `Set-Cookie` header. */
export function idIn(cookie: string): { handle: string; secret: string } {
  const [, handle = '', secret = ''] = /s(?:%3A|:)([\w-]{24,28})\.([\w-]{43})\./.exec(cookie) ?? [];
  return { handle, secret };
}

/** The `Cookie` header that shows this id, correctly signed. */
export function cookieFor({ handle, secret }: { handle: string; secret: string }): string {
  return `sid=${encodeURIComponent(`s:${sign(`${handle}.${secret}`, SECRET)}`)}`;
}

/** What a guarded route answers to who shows this cookie: its status and, of a 401, the reason. */
export async function responseTo(visitor: TestApplication | Browser, cookie: string, path = '/me') {
  const browser = visitor instanceof TestApplication ? visitor.browser() : visitor;
  const response = await browser.get(path, { headers: { cookie } });
  const { reason } = response.json<{ reason?: string }>();
  return { status: response.status, ...(reason !== undefined && { reason }) };
}

/** The handles of all sessions that the store holds. */
export async function handlesIn({ app }: TestApplication): Promise<string[]> {
  return await app.get<Store & { ids(): Promise<string[]> }>(SESSION_STORE).ids();
}

/** Writes into the session, as any handler would. */
export function put(browser: Browser, key: string, value: unknown) {
  return browser.request('PUT', `/session/${key}`, { json: { value } });
}
