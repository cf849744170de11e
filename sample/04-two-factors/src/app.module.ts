import { randomBytes } from 'node:crypto';
import { Module } from '@nestjs/common';
import { APP_GUARD } from '@nestjs/core';
import { AuditLogger, SessionAuthModule, SessionGuard } from 'nestjs-session-auth';
import { Attempts } from './attempts.js';
import { CodesService } from './codes.service.js';
import { ConfirmController } from './confirm.controller.js';
import { IdSerializer } from './id.serializer.js';
import { LocalStrategy } from './local.strategy.js';
import { LoginController } from './login.controller.js';
import { PayoutController } from './payout.controller.js';
import { TwoFactorsController } from './two-factors.controller.js';
import { UsersService } from './users.service.js';

@Module({
  imports: [
    SessionAuthModule.forRoot({
      // The random secret is for this demo: without it, a missing SESSION_SECRET stops the start, as it should.
      secret: process.env.SESSION_SECRET ?? randomBytes(32).toString('base64url'),
      redis: { url: process.env.REDIS_URL },
    }),
  ],
  controllers: [LoginController, PayoutController, TwoFactorsController, ConfirmController],
  providers: [
    UsersService,
    CodesService,
    Attempts,
    LocalStrategy,
    IdSerializer,
    AuditLogger,
    { provide: APP_GUARD, useClass: SessionGuard },
  ],
})
export class AppModule {}
