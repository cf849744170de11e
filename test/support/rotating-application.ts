import {
  Controller,
  Get,
  HttpCode,
  Inject,
  InternalServerErrorException,
  Param,
  Post,
  Put,
  Redirect,
  Res,
  UseGuards,
} from '@nestjs/common';
import type { Response } from 'express';
import { takeOver } from './platforms.js';
import { CurrentSession, PassiveRoute, SessionGuard } from '../../lib/index.js';
import { LocalStrategy, SnapshotSerializer, TestApplication, type TestApplicationOptions } from './application.js';
import type { Browser } from './browser.js';
import { Gates } from './gate.js';
import { RedisDeployment } from './redis-deployment.js';
import type { RedisLine } from './redis-line.js';
import { eventsOf, shownBy } from './rotating-browser.js';
import { TestClock } from './test-clock.js';

type Data = Record<string, unknown>;

/** A new secret is due every quarter of an hour, and nothing else: activity is written down with it. */
export const ROTATING = {
  idle: '2h',
  absolute: '24h',
  touchEvery: '1h',
  rotateEvery: '15m',
  rotationGrace: '30s',
} as const;

/** Handlers that wait at a gate, with their session loaded. */
@Controller('slow')
export class SlowController {
  constructor(@Inject(Gates) private readonly gates: Gates) {}

  @Get('read/:gate')
  async read(@Param('gate') gate: string): Promise<Data> {
    await this.gates.named(gate).pass();
    return {};
  }

  @Post('write/:gate')
  @HttpCode(200)
  async write(@Param('gate') gate: string, @CurrentSession() session: Data): Promise<Data> {
    await this.gates.named(gate).pass();
    session[`written-${gate}`] = true;
    return {};
  }

  /** Its head goes out at once, its end when the gate is opened. */
  @Get('stream/:gate')
  async stream(@Param('gate') gate: string, @Res() response: Response): Promise<void> {
    const raw = takeOver(response);
    raw.write('begun, ');
    await this.gates.named(gate).pass();
    raw.end('ended');
  }
}

/** Responses of every kind. */
@Controller('responses')
export class ResponsesController {
  @Get('redirect')
  @Redirect('/me')
  redirect(): void {
    return;
  }

  @Get('error')
  error(): never {
    throw new InternalServerErrorException();
  }

  @Get('stream')
  stream(@Res() response: Response): void {
    const raw = takeOver(response);
    raw.write('a piece, ');
    raw.end('and the rest');
  }

  @Get('head-first')
  headFirst(@Res() response: Response): void {
    takeOver(response).writeHead(200, { 'content-type': 'text/plain' }).end('the rest');
  }
}

/** What a page polls while its user may be away. */
@PassiveRoute()
@UseGuards(SessionGuard)
@Controller('passive')
export class PassiveController {
  @Get()
  poll(): Data {
    return {};
  }

  @Put('polls')
  count(@CurrentSession() session: Data): Data {
    session['polls'] = Number(session['polls'] ?? 0) + 1;
    return {};
  }
}

/** An application with all these routes, and secrets that change every quarter of an hour. */
export function rotatingApplication({
  options,
  providers = [],
  ...rest
}: TestApplicationOptions = {}): Promise<TestApplication> {
  return TestApplication.start({
    ...rest,
    options: { lifetime: ROTATING, redisTimeout: '5s', ...options }, // A busy machine is no outage.
    controllers: [SlowController, ResponsesController, PassiveController],
    providers: [Gates, SnapshotSerializer, LocalStrategy, ...providers],
  });
}

/** Where the sessions of a {@link RotatingSite} are. */
export const SITES = ['memory', 'redis', 'two applications on one Redis, with clocks 2 s apart', 'cluster'] as const;

/** The Redis that a site needs, if it does. */
export function redisFor(where: (typeof SITES)[number]): Promise<RedisDeployment | undefined> {
  return RedisDeployment.startIn(where === SITES[2] ? 'redis' : where);
}

/** One application, or several on one Redis that share their users. */
export class RotatingSite {
  readonly gates = new Gates();
  readonly #applications: TestApplication[] = [];
  #own: RedisDeployment | undefined;
  #line: RedisLine | undefined;

  /** On a Redis of its own, unless it is given one. */
  static async start(
    where: (typeof SITES)[number],
    lifetime: object = {},
    redis?: RedisDeployment,
  ): Promise<RotatingSite> {
    const site = new RotatingSite();
    site.#own = redis ? undefined : await redisFor(where);
    site.#line = await (redis ?? site.#own)?.line();
    const now = Date.now();
    const clockAt = (time: number) => new TestClock(new Date(time));
    const clocks = where === SITES[2] ? [clockAt(now), clockAt(now + 2_000)] : [clockAt(now)];
    for (const clock of clocks) {
      const application = await rotatingApplication({
        options: { redis: site.#line?.options, lifetime: { ...ROTATING, ...lifetime } },
        clock,
        providers: [{ provide: Gates, useValue: site.gates }],
      });
      site.#applications.push(application);
    }
    return site;
  }

  /** The one whose clock is behind, where there are two. */
  get first(): TestApplication {
    return this.#applications[0]!;
  }

  get last(): TestApplication {
    return this.#applications.at(-1)!;
  }

  /** How long Redis is away, in milliseconds each way: others can then come between whatever two steps a request makes. */
  set distance(delay: number) {
    if (this.#line) this.#line.delay = delay;
  }

  advance(by: Parameters<TestClock['advance']>[0]): void {
    for (const { clock } of this.#applications) clock.advance(by);
  }

  /** On which of the applications the n-th request ends up. */
  address(n: number, path: string): string {
    return new URL(path, this.#applications[n % this.#applications.length]!.url).href;
  }

  events(browser: Browser): string[] {
    return this.#applications.flatMap((application) => eventsOf(application, shownBy(browser)));
  }

  async close(): Promise<void> {
    for (const application of this.#applications) await application.close();
    await this.#line?.close();
    await this.#own?.stop();
  }
}
