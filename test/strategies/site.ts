import { type CanActivate, Controller, Get, HttpCode, Post, type Provider, type Type, UseGuards } from '@nestjs/common';
import { CurrentUser } from '../../lib/index.js';
import {
  LocalStrategy,
  SnapshotSerializer,
  TestApplication,
  type TestApplicationOptions,
  type User,
} from '../support/application.js';
import { type Browser } from '../support/browser.js';
import { RedisServer } from '../support/redis-server.js';

/** Routes behind a `LoginGuard`: `GET /login` to begin, and `/login/callback` to come back by either method. */
export function loginRoutes(guard: Type<CanActivate>): Type {
  @Controller('login')
  class LoginRoutes {
    @Get()
    @UseGuards(guard)
    start(@CurrentUser() user: User | undefined) {
      return { user: user ?? null };
    }

    @Get('callback')
    @UseGuards(guard)
    followed(@CurrentUser() user: User | undefined) {
      return { user: user ?? null };
    }

    @Post('callback')
    @HttpCode(200)
    @UseGuards(guard)
    posted(@CurrentUser() user: User | undefined) {
      return { user: user ?? null };
    }
  }
  return LoginRoutes;
}

/** The redis-server of a file of tests, and the applications that keep their sessions in it. */
export function sites() {
  const closers: (() => unknown)[] = [];
  let redis: RedisServer;

  beforeAll(async () => {
    redis = await RedisServer.start();
  });

  afterAll(async () => {
    for (const close of closers.splice(0).reverse()) await close();
    await redis.stop();
  });

  return {
    /** Starts an application with these strategies. What starts lives until the tests of the file are done. */
    async start(strategies: Provider[], options: TestApplicationOptions): Promise<TestApplication> {
      const application = await TestApplication.start({
        ...options,
        options: { redis: { url: redis.url }, ...options.options },
        providers: [SnapshotSerializer, LocalStrategy, ...strategies],
      });
      closers.push(() => application.close());
      return application;
    },
    /** Stops it after the tests of the file. */
    closeLater(close: () => unknown): void {
      closers.push(close);
    },
  };
}

/** Whom the routes behind `SessionGuard` see; undefined where they turn the browser away. */
export async function whoIs(browser: Browser): Promise<User | undefined> {
  const response = await browser.get('/me');
  return response.status === 200 ? response.json<User>() : undefined;
}

/** The handle in the session cookie: the part before the dot. */
export function handleOf({ cookies }: Browser): string {
  return /^s%3A([^.]+)\./.exec(cookies.get('sid') ?? '')?.[1] ?? '';
}
