import { Module } from '@nestjs/common';
import { TerminusModule } from '@nestjs/terminus';
import { SessionAuthModule } from 'nestjs-session-auth';
import { SessionHealthIndicator } from 'nestjs-session-auth/health';
import { AppUserSerializer } from './app-user.serializer';
import { AuthController } from './auth.controller';
import { LocalStrategy } from './local.strategy';

@Module({
  imports: [
    TerminusModule,
    SessionAuthModule.forRoot({
      secret: process.env.SESSION_SECRET ?? 'a secret of a consumer test, 32 bytes long',
      redis: { url: process.env.REDIS_URL },
    }),
  ],
  controllers: [AuthController],
  providers: [LocalStrategy, AppUserSerializer, SessionHealthIndicator],
})
export class AuthModule {}
