import { Body, Controller, Get, HttpCode, Injectable, Post, Put, Req, UseGuards } from '@nestjs/common';
import type { Request } from 'express';
import {
  CurrentSession,
  CurrentUser,
  LoginGuard,
  SessionAuthModule,
  SessionAuthService,
  SessionGuard,
  UserSerializer,
} from 'nestjs-session-auth';
import { LocalStrategy, type User } from './users.js';
import { greeting, SECRET, type Variant } from './variant.js';

@Injectable()
class SnapshotSerializer extends UserSerializer<User, User> {
  serializeUser(user: User): User {
    return user;
  }
  deserializeUser(payload: User): User {
    return payload;
  }
}

@Controller()
class OurController {
  constructor(private readonly sessionAuth: SessionAuthService) {}

  @Post('login')
  @HttpCode(200)
  @UseGuards(LoginGuard('local'))
  login(@CurrentUser() user: User): User {
    return user;
  }

  @Post('logout')
  @HttpCode(204)
  logout(@Req() request: Request): Promise<void> {
    return this.sessionAuth.logOut(request);
  }

  @Get('me')
  @UseGuards(SessionGuard)
  me(@CurrentUser() user: User): User {
    return user;
  }

  @Get('open')
  open(@CurrentUser() user: User | undefined): { hello: string } {
    return greeting(user);
  }

  @Put('data')
  @HttpCode(204)
  @UseGuards(SessionGuard)
  put(@CurrentSession() session: Record<string, unknown>, @Body() body: { data: unknown }): void {
    session['data'] = body.data;
  }
}

export function create(redisUrl: string): Variant {
  return {
    metadata: {
      imports: [SessionAuthModule.forRoot({ secret: SECRET, redis: { url: redisUrl } })],
      providers: [SnapshotSerializer, LocalStrategy],
      controllers: [OurController],
    },
  };
}
