import 'reflect-metadata';
import type { AddressInfo } from 'node:net';
import type { Server } from 'node:http';
import {
  Controller,
  Get,
  HttpCode,
  type INestApplication,
  Module,
  Post,
  Put,
  Req,
  Sse,
  UseGuards,
} from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import type { Request } from 'express';
import {
  CurrentSession,
  CurrentUser,
  LoginGuard,
  PendingLogin,
  RequireFreshLogin,
  SessionAuthModule,
  SessionAuthService,
  SessionGuard,
  SessionRegistry,
  UserSerializer,
} from 'nestjs-session-auth';
import { SessionMetrics } from 'nestjs-session-auth/metrics';
import { interval, map } from 'rxjs';
import { LocalStrategy, type User, userOf } from '../app/users.js';
import { SECRET } from '../app/variant.js';

class SnapshotSerializer extends UserSerializer<User, User> {
  serializeUser(user: User): User {
    return user;
  }
  deserializeUser(payload: User): User {
    return payload;
  }
}

/** A route for each thing that a dashboard shows. */
@Controller()
class DashboardController {
  constructor(
    private readonly auth: SessionAuthService,
    private readonly registry: SessionRegistry,
  ) {}

  @Post('login')
  @HttpCode(204)
  @UseGuards(LoginGuard('local', { method: 'password' }))
  byPassword(): void {}

  @Post('login/link/:number')
  @HttpCode(204)
  async byLink(@Req() request: Request): Promise<void> {
    await this.auth.logIn(request, userOf(Number(request.params['number'])), { method: 'link' });
  }

  @Post('login/first')
  @HttpCode(204)
  @UseGuards(LoginGuard('local', { method: 'password', pending: ['totp'] }))
  first(): void {}

  @Post('login/totp')
  @HttpCode(204)
  @PendingLogin()
  @UseGuards(SessionGuard)
  async second(@Req() request: Request): Promise<void> {
    await this.auth.completeLogin(request, 'totp');
  }

  @Post('proof')
  @HttpCode(204)
  @PendingLogin()
  @UseGuards(LoginGuard('local', { method: 'password' }))
  prove(): void {}

  @Get('me')
  @UseGuards(SessionGuard)
  me(@CurrentUser() user: User): User {
    return user;
  }

  @Get('fresh')
  @UseGuards(SessionGuard)
  @RequireFreshLogin('3s')
  fresh(@CurrentUser() user: User): User {
    return user;
  }

  @Put('counter')
  @HttpCode(204)
  @UseGuards(SessionGuard)
  count(@CurrentSession() session: { counter?: number }): void {
    session.counter = (session.counter ?? 0) + 1;
  }

  @Sse('news')
  @UseGuards(SessionGuard)
  news() {
    return interval(1000).pipe(map((data) => ({ data })));
  }

  @Post('logout')
  @HttpCode(204)
  logOut(@Req() request: Request): Promise<void> {
    return this.auth.logOut(request);
  }

  /** As an administrator would, or after a new password. */
  @Post('end/:reason/:number')
  @HttpCode(204)
  async end(@Req() { params }: Request): Promise<void> {
    const user = userOf(Number(params['number']));
    await (params['reason'] === 'admin'
      ? this.registry.revokeAll(user, { by: 'admin' })
      : this.registry.credentialsChanged(user));
  }
}

/** An application whose sessions are in this Redis, measured by the SDK that the process has registered. */
export async function startApplication(redisUrl: string): Promise<{ app: INestApplication; url: string }> {
  @Module({
    imports: [
      SessionAuthModule.forRoot({
        secret: SECRET,
        redis: { url: redisUrl },
        maxSessions: { limit: 2, overflow: 'evict-oldest' },
      }),
    ],
    providers: [SnapshotSerializer, LocalStrategy, SessionMetrics],
    controllers: [DashboardController],
  })
  class AppModule {}

  const app = await NestFactory.create(AppModule, { logger: false });
  await app.listen(0, '127.0.0.1');
  const { port } = (app.getHttpServer() as Server).address() as AddressInfo;
  return { app, url: `http://127.0.0.1:${port}` };
}
