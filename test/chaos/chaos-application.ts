import { Body, Controller, Delete, Get, Injectable, Param, Put, UseGuards } from '@nestjs/common';
import { PassportStrategy } from '@nestjs/passport';
import { WsAdapter } from '@nestjs/platform-ws';
import { SubscribeMessage, WebSocketGateway } from '@nestjs/websockets';
import type { Request, Response } from 'express';
import { Strategy } from 'passport-local';
import { CurrentSession, CurrentUser, SESSION_STORE, SessionGuard, SessionRegistry } from '../../lib/index.js';
import type { AtomicSessionStore } from '../../lib/store/session-store.js';
import { SnapshotSerializer, TestApplication, type User } from '../support/application.js';
import { TestClock } from '../support/test-clock.js';
import type { Stage } from './stages.js';

export const REDIS_TIMEOUT = 500;
export const RECHECK = 1_000;

/** The time there is. */
class SystemClock extends TestClock {
  override readonly now = Date.now;
}

/** Knows everybody. */
@Injectable()
class AnybodyStrategy extends PassportStrategy(Strategy) {
  validate(username: string): User {
    return { id: username, name: username };
  }
}

/** What visitors do, beside logging in and out. */
@Controller()
class VisitorController {
  constructor(private readonly sessions: SessionRegistry) {}

  @Get('mine')
  @UseGuards(SessionGuard)
  read(@CurrentUser('id') user: string, @CurrentSession() session: Record<string, unknown>) {
    const { cookie: _cookie, passport: _passport, ...data } = session;
    return { user, data };
  }

  @Put('mine/:key')
  @UseGuards(SessionGuard)
  write(
    @CurrentUser('id') user: string,
    @CurrentSession() session: Record<string, unknown>,
    @Param('key') key: string,
    @Body() { value }: { value: string },
  ) {
    session[key] = value;
    return { user };
  }

  @Get('devices')
  @UseGuards(SessionGuard)
  async list(@CurrentUser('id') user: string) {
    return { user, listed: (await this.sessions.list(user)).map(({ handle }) => handle) };
  }

  @Delete('devices/:handle')
  @UseGuards(SessionGuard)
  async revoke(@CurrentUser('id') user: string, @Param('handle') handle: string) {
    return { user, revoked: await this.sessions.revoke(user, handle) };
  }

  /** Answers 200 when the user's part of Redis can be reached. */
  @Get('probe/:user')
  probe(@Param('user') user: string) {
    return this.sessions.count(user);
  }
}

/** What visitors keep open. */
@WebSocketGateway()
@UseGuards(SessionGuard)
class VisitorGateway {
  @SubscribeMessage('who')
  who(@CurrentUser('id') user: string) {
    return { event: 'who', data: { user } };
  }
}

/** How long a response took within the server, with the times of `performance.now()`. */
export interface Served {
  readonly what: string;
  readonly start: number;
  readonly end: number;
}

/** An instance of the application. `served` is told of every response, by a middleware that stands before the module. */
export function startInstance({ redis, sabotage }: Stage, served: (response: Served) => void) {
  return TestApplication.start({
    options: {
      redis,
      redisTimeout: REDIS_TIMEOUT,
      connections: { recheck: RECHECK },
      lifetime: { idle: '1h', absolute: '24h', touchEvery: 1_000, rotateEvery: 2_000, rotationGrace: 1_500 },
    },
    providers: [SnapshotSerializer, AnybodyStrategy, VisitorGateway],
    controllers: [VisitorController],
    clock: new SystemClock(),
    configure: (app) => {
      app.useWebSocketAdapter(new WsAdapter(app));
      sabotage?.(app.get<AtomicSessionStore>(SESSION_STORE));
      // A kept-alive connection that the server closes just as it is used again would look like a lost response.
      (app.getHttpServer() as { keepAliveTimeout: number }).keepAliveTimeout = 0;
      app.use((request: Request, response: Response, next: () => void) => {
        const start = performance.now();
        response.once('close', () =>
          served({ what: `${request.method} ${request.path} ${response.statusCode}`, start, end: performance.now() }),
        );
        next();
      });
    },
  });
}
