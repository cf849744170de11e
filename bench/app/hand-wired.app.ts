import {
  Body,
  type CanActivate,
  Controller,
  type ExecutionContext,
  Get,
  HttpCode,
  Injectable,
  Post,
  Put,
  Req,
  UnauthorizedException,
  UseGuards,
} from '@nestjs/common';
import { AuthGuard, PassportModule, PassportSerializer } from '@nestjs/passport';
import { RedisStore } from 'connect-redis';
import type { Request } from 'express';
import session from 'express-session';
import passport from 'passport';
import { createClient } from 'redis';
import { LocalStrategy, type User, userOf } from './users.js';
import { type Flag, greeting, type Middleware, SECRET, type Variant } from './variant.js';

@Injectable()
class SnapshotSerializer extends PassportSerializer {
  serializeUser(user: User, done: (error: unknown, payload?: unknown) => void): void {
    done(null, user);
  }
  deserializeUser(payload: unknown, done: (error: unknown, user?: unknown) => void): void {
    done(null, payload);
  }
}

@Injectable()
class UserIdSerializer extends PassportSerializer {
  serializeUser(user: User, done: (error: unknown, payload?: unknown) => void): void {
    done(null, user.id);
  }
  deserializeUser(payload: unknown, done: (error: unknown, user?: unknown) => void): void {
    done(null, userOf(Number(payload)));
  }
}

@Injectable()
class LocalAuthGuard extends AuthGuard('local') {
  override async canActivate(context: ExecutionContext): Promise<boolean> {
    const result = (await super.canActivate(context)) as boolean;
    await super.logIn(context.switchToHttp().getRequest());
    return result;
  }
}

@Injectable()
class AuthenticatedGuard implements CanActivate {
  canActivate(context: ExecutionContext): boolean {
    if (!context.switchToHttp().getRequest<Request>().isAuthenticated()) {
      throw new UnauthorizedException();
    }
    return true;
  }
}

@Controller()
class HandWiredController {
  @Post('login')
  @HttpCode(200)
  @UseGuards(LocalAuthGuard)
  login(@Req() request: Request): unknown {
    return request.user;
  }

  @Post('logout')
  @HttpCode(204)
  logout(@Req() request: Request): Promise<void> {
    return new Promise((resolve, reject) => {
      request.logout((error: unknown) => {
        if (error instanceof Error) reject(error);
        else resolve();
      });
    });
  }

  @Get('me')
  @UseGuards(AuthenticatedGuard)
  me(@Req() request: Request): unknown {
    return request.user;
  }

  @Get('open')
  open(@Req() request: Request): { hello: string } {
    return greeting(request.user as User | undefined);
  }

  @Put('data')
  @HttpCode(204)
  @UseGuards(AuthenticatedGuard)
  put(@Req() request: Request, @Body() body: { data: unknown }): void {
    Object.assign(request.session, { data: body.data });
  }
}

/** `'auto'` in the place of `true`: this is plain HTTP. */
const PRODUCTION_COOKIE = { maxAge: 86_400_000, sameSite: 'lax', secure: 'auto' } as const;

export async function create(redisUrl: string, flags: ReadonlySet<Flag>): Promise<Variant> {
  if (flags.has('fastify')) return (await import('./hand-wired-fastify.js')).create(redisUrl);
  const client = createClient({ url: redisUrl });
  await client.connect();
  const store = new RedisStore({ client });
  const cookie = flags.has('production') && { cookie: PRODUCTION_COOKIE };
  return {
    metadata: {
      imports: [PassportModule],
      providers: [flags.has('production') ? UserIdSerializer : SnapshotSerializer, LocalStrategy],
      controllers: [HandWiredController],
    },
    middleware: [
      session({ store, secret: SECRET, resave: false, saveUninitialized: false, ...cookie }),
      passport.initialize() as Middleware,
      passport.session() as Middleware,
    ],
  };
}
