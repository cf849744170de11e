import type { AddressInfo } from 'node:net';
import type { Server } from 'node:http';
import {
  Body,
  type CanActivate,
  Controller,
  type ExecutionContext,
  ForbiddenException,
  Get,
  HttpCode,
  Injectable,
  type INestApplication,
  Module,
  Param,
  Post,
  Put,
  Req,
  UseGuards,
} from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { AuthGuard, PassportModule, PassportSerializer, PassportStrategy } from '@nestjs/passport';
import { ExpressAdapter } from '@nestjs/platform-express';
import { RedisStore } from 'connect-redis';
import type { Request } from 'express';
import session, { type SessionOptions } from 'express-session';
import passport from 'passport';
import { Strategy } from 'passport-local';
import { Browser } from './browser.js';
import type { RedisClient } from './redis-deployment.js';

export const OLD_SECRET = 'the secret of the former stack';

type Data = Record<string, unknown>;

/**
 * Everybody has the same password. The id is the name. The strategy's name is one of its own: Passport is one for the
 * whole process, in which a test has both applications.
 */
@Injectable()
class OldStrategy extends PassportStrategy(Strategy, 'old-local') {
  validate(username: string, password: string): { id: string } | null {
    return password === 'secret' ? { id: username } : null;
  }
}

@Injectable()
class OldLoginGuard extends AuthGuard('old-local') {
  override async canActivate(context: ExecutionContext): Promise<boolean> {
    await super.canActivate(context);
    await super.logIn(context.switchToHttp().getRequest<Request>());
    return true;
  }
}

@Injectable()
class AuthenticatedGuard implements CanActivate {
  canActivate(context: ExecutionContext): boolean {
    if (!context.switchToHttp().getRequest<Request>().isAuthenticated()) throw new ForbiddenException();
    return true;
  }
}

@Injectable()
class OldSerializer extends PassportSerializer {
  serializeUser(user: { id: string }, done: (error: null, payload: string) => void): void {
    done(null, user.id);
  }
  deserializeUser(payload: string, done: (error: null, user: { id: string }) => void): void {
    done(null, { id: payload });
  }
}

@Controller()
class OldController {
  @Post('login')
  @HttpCode(200)
  @UseGuards(OldLoginGuard)
  login(@Req() { user }: Request) {
    return user;
  }

  @Get('me')
  @UseGuards(AuthenticatedGuard)
  me(@Req() { user }: Request) {
    return user;
  }

  @Put('session/:key')
  put(@Req() request: Request, @Param('key') key: string, @Body() body: { value: unknown }) {
    (request.session as unknown as Data)[key] = body.value;
    return body;
  }
}

@Module({
  imports: [PassportModule.register({ session: true })],
  controllers: [OldController],
  providers: [OldStrategy, OldSerializer],
})
class OldModule {}

/**
 * An application as tutorials have it: express-session, connect-redis and Passport, wired by hand. Where a test's
 * application has the same routes, they do the same.
 */
export class OldStack {
  private constructor(
    private readonly app: INestApplication,
    readonly url: string,
  ) {}

  /** @param client by which connect-redis reaches its sessions */
  static async start(client: RedisClient, options: Partial<SessionOptions> = {}, prefix?: string): Promise<OldStack> {
    const app = await NestFactory.create(OldModule, new ExpressAdapter(), { logger: ['error'] });
    const store = new RedisStore({ client: client as never, ...(prefix !== undefined && { prefix }) });
    app.use(session({ secret: OLD_SECRET, resave: false, saveUninitialized: false, store, ...options }));
    app.use(passport.initialize());
    app.use(passport.session());
    await app.listen(0, '127.0.0.1');
    const { port } = (app.getHttpServer() as Server).address() as AddressInfo;
    return new OldStack(app, `http://127.0.0.1:${port}`);
  }

  browser(): Browser {
    return new Browser(this.url);
  }

  /** A browser on which a user of this name has logged in, and something was put into the session. */
  async loggedIn(username: string): Promise<Browser> {
    const browser = this.browser();
    const response = await browser.post('/login', { json: { username, password: 'secret' } });
    if (response.status !== 200) throw new Error(`login: ${response.status} ${response.text}`);
    await browser.request('PUT', '/session/cart', { json: { value: [username] } });
    return browser;
  }

  async close(): Promise<void> {
    await this.app.close();
  }
}

/** The same browser, after the application was replaced: its cookies go to the new one. */
export function movedTo(url: string, browser: Browser): Browser {
  return new Browser(url, {}, browser.cookies);
}

/** The id in an old cookie. */
export function oldIdOf(browser: Browser, cookie = 'connect.sid'): string {
  const value = decodeURIComponent(browser.cookies.get(cookie) ?? '');
  return value.slice('s:'.length, value.lastIndexOf('.'));
}
