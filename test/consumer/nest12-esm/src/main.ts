import 'reflect-metadata';
import {
  Controller,
  Get,
  HttpCode,
  Injectable,
  Module,
  Post,
  Req,
  UnauthorizedException,
  UseGuards,
} from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { PassportStrategy } from '@nestjs/passport';
import type { Request } from 'express';
import {
  CurrentUser,
  LoginGuard,
  SessionAuthModule,
  SessionAuthService,
  SessionGuard,
  UserSerializer,
} from 'nestjs-session-auth';
import { Strategy } from 'passport-local';

interface User {
  id: number;
  name: string;
}

const ADA: User = { id: 1, name: 'Ada' };

@Injectable()
class LocalStrategy extends PassportStrategy(Strategy) {
  validate(username: string, password: string): User {
    if (username !== 'ada' || password !== 'lovelace') throw new UnauthorizedException('Wrong name or password');
    return ADA;
  }
}

@Injectable()
class AppUserSerializer extends UserSerializer<User, number> {
  serializeUser(user: User): number {
    return user.id;
  }

  deserializeUser(id: number): User | null {
    return id === ADA.id ? ADA : null;
  }
}

@Controller()
class AppController {
  constructor(private readonly sessionAuth: SessionAuthService) {}

  @Post('login')
  @HttpCode(200)
  @UseGuards(LoginGuard('local'))
  logIn(@CurrentUser() user: User): User {
    return user;
  }

  @Get('me')
  @UseGuards(SessionGuard)
  me(@CurrentUser() user: User): User {
    return user;
  }

  @Post('logout')
  @HttpCode(204)
  async logOut(@Req() request: Request): Promise<void> {
    await this.sessionAuth.logOut(request);
  }
}

@Module({
  imports: [SessionAuthModule.forRoot({ secret: process.env.SESSION_SECRET, redis: { url: process.env.REDIS_URL } })],
  providers: [LocalStrategy, AppUserSerializer],
  controllers: [AppController],
})
class AppModule {}

const app = await NestFactory.create(AppModule, { logger: ['warn', 'error'] });
app.enableShutdownHooks();
await app.listen(0, '127.0.0.1');
console.log(`listening on ${await app.getUrl()}`);
