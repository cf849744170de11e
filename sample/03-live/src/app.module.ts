import { randomBytes } from 'node:crypto';
import { Module } from '@nestjs/common';
import { APP_GUARD } from '@nestjs/core';
import { AuditLogger, SessionAuthModule, SessionGuard } from 'nestjs-session-auth';
import { ChatGateway } from './chat.gateway.js';
import { IdSerializer } from './id.serializer.js';
import { LiveController } from './live.controller.js';
import { LocalStrategy } from './local.strategy.js';
import { LoginController } from './login.controller.js';
import { Presence } from './presence.js';
import { UsersService } from './users.service.js';

@Module({
  imports: [
    SessionAuthModule.forRoot({
      // The random secret is for this demo: without it, a missing SESSION_SECRET stops the start, as it should.
      secret: process.env.SESSION_SECRET ?? randomBytes(32).toString('base64url'),
      redis: { url: process.env.REDIS_URL },
      lifetime: { idle: process.env.IDLE ?? '1h' },
    }),
  ],
  controllers: [LoginController, LiveController],
  providers: [
    UsersService,
    LocalStrategy,
    IdSerializer,
    AuditLogger,
    Presence,
    ChatGateway,
    // Of the gateway, too: who is not logged in is not connected.
    { provide: APP_GUARD, useClass: SessionGuard },
  ],
})
export class AppModule {}
