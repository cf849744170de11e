import 'reflect-metadata';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { Body, Controller, Get, Injectable, Module, Param, Post, Put, Query, Req, UseGuards } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import type { NestExpressApplication } from '@nestjs/platform-express';
import {
  CurrentSession,
  CurrentUser,
  SessionAuthModule,
  SessionAuthService,
  SessionGuard,
  type SessionRequest,
  UserSerializer,
} from 'nestjs-session-auth';

interface User {
  id: string;
}

@Injectable()
class Users extends UserSerializer<User, User> {
  serializeUser(user: User) {
    return user;
  }
  deserializeUser(user: User) {
    return user;
  }
}

@Controller()
class ChildController {
  constructor(private readonly sessionAuth: SessionAuthService) {}

  @Post('login')
  async login(@Req() request: SessionRequest, @Body() user: User) {
    await this.sessionAuth.logIn(request, user);
    return user;
  }

  @Get('mine')
  @UseGuards(SessionGuard)
  read(
    @CurrentUser('id') user: string,
    @CurrentSession() { cookie: _, passport: __, ...data }: Record<string, unknown>,
  ) {
    return { user, data };
  }

  /** Takes so many milliseconds between loading the session and writing to it. */
  @Put('mine/:key')
  @UseGuards(SessionGuard)
  async write(
    @CurrentSession() session: Record<string, unknown>,
    @Param('key') key: string,
    @Query('takes') takes: string | undefined,
    @Body() { value }: { value: string },
  ) {
    await sleep(Number(takes ?? 0));
    session[key] = value;
    return {};
  }

  /** A response of so many bytes that has written to the session before. */
  @Get('large/:key')
  @UseGuards(SessionGuard)
  large(@CurrentSession() session: Record<string, unknown>, @Param('key') key: string, @Query('bytes') bytes: string) {
    session[key] = 'written';
    return 'x'.repeat(Number(bytes));
  }

  @Get('memory')
  memory() {
    globalThis.gc?.();
    return process.memoryUsage();
  }
}

@Module({
  imports: [
    SessionAuthModule.forRoot({
      secret: 'a secret that is only good for tests, 32 bytes',
      redis: { url: process.env['REDIS_URL'] },
      redisTimeout: 500,
    }),
  ],
  controllers: [ChildController],
  providers: [Users],
})
class ChildModule {}

const app = await NestFactory.create<NestExpressApplication>(ChildModule, { logger: ['error', 'fatal'] });
const server = app.getHttpServer();
// Nest waits until every connection has ended. Clients that go on using theirs keep it waiting for ever, unless they are
// told not to.
let closing = false;
process.once('SIGTERM', () => (closing = true));
server.prependListener('request', (_request, response) => {
  if (closing) response.setHeader('Connection', 'close');
});
server.keepAliveTimeout = Number(process.env['KEEP_ALIVE'] ?? 5_000);
app.enableShutdownHooks();
await app.listen(Number(process.env['PORT'] ?? 0), '127.0.0.1');
console.log(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
