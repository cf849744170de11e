import { randomBytes } from 'node:crypto';
import { Module } from '@nestjs/common';
import { APP_GUARD } from '@nestjs/core';
import { SessionAuthModule, SessionGuard } from 'nestjs-session-auth';
import { ApiController } from './api.controller.js';
import { IdSerializer } from './id.serializer.js';
import { LocalStrategy } from './local.strategy.js';
import { PagesController } from './pages.controller.js';
import { SnapshotSerializer } from './snapshot.serializer.js';
import { UsersService } from './users.service.js';

@Module({
  imports: [
    SessionAuthModule.forRoot({
      // The random secret is for this demo: without it, a missing SESSION_SECRET stops the start, as it should.
      secret: process.env.SESSION_SECRET ?? randomBytes(32).toString('base64url'),
      redis: { url: process.env.REDIS_URL },
    }),
  ],
  controllers: [PagesController, ApiController],
  providers: [
    UsersService,
    LocalStrategy,
    process.env.SERIALIZER === 'id' ? IdSerializer : SnapshotSerializer,
    { provide: APP_GUARD, useClass: SessionGuard },
  ],
})
export class AppModule {}
