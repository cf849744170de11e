import { randomBytes } from 'node:crypto';
import { Module } from '@nestjs/common';
import { APP_GUARD } from '@nestjs/core';
import { AuditLogger, SessionAuthModule, SessionGuard } from 'nestjs-session-auth';
import { ConfirmController } from './confirm.controller.js';
import { DevicesController } from './devices.controller.js';
import { IdSerializer } from './id.serializer.js';
import { LocalStrategy } from './local.strategy.js';
import { LoginController } from './login.controller.js';
import { SessionController } from './session.controller.js';
import { UsersService } from './users.service.js';

@Module({
  imports: [
    SessionAuthModule.forRoot({
      // The random secret is for this demo: without it, a missing SESSION_SECRET stops the start, as it should.
      secret: process.env.SESSION_SECRET ?? randomBytes(32).toString('base64url'),
      redis: { url: process.env.REDIS_URL },
      // Short enough to watch. The defaults suit an application better.
      lifetime: { idle: process.env.IDLE ?? '10m', absolute: '8h', rotateEvery: '1m' },
      maxSessions: { limit: 5, overflow: 'evict-oldest' },
    }),
  ],
  controllers: [LoginController, DevicesController, ConfirmController, SessionController],
  providers: [UsersService, LocalStrategy, IdSerializer, AuditLogger, { provide: APP_GUARD, useClass: SessionGuard }],
})
export class AppModule {}
