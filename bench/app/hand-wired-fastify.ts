import { createRequire } from 'node:module';
import {
  type CanActivate,
  Controller,
  type ExecutionContext,
  Get,
  HttpCode,
  Injectable,
  Post,
  Req,
  UnauthorizedException,
  UseGuards,
} from '@nestjs/common';
import { RedisStore } from 'connect-redis';
import type { FastifyInstance, FastifyPluginCallback, FastifyReply, FastifyRequest } from 'fastify';
import { Strategy } from 'passport-local';
import { createClient } from 'redis';
import { type User, verify } from './users.js';
import { greeting, SECRET, type Variant } from './variant.js';

/* Not imported: their types and this library's would each declare `session` and `user` of Fastify's requests. */
const require = createRequire(import.meta.url);
const fastifyCookie = require('@fastify/cookie') as FastifyPluginCallback;
const fastifySession = require('@fastify/session') as FastifyPluginCallback;
const { Authenticator } = require('@fastify/passport') as { Authenticator: new () => Authenticator };

type Authenticated = (
  request: FastifyRequest,
  reply: FastifyReply,
  error: unknown,
  user?: User | false,
) => Promise<void>;
type Identity = (user: User) => Promise<User>;

/** What is used of @fastify/passport. */
interface Authenticator {
  use(name: string, strategy: Strategy): void;
  registerUserSerializer(serialize: Identity): void;
  registerUserDeserializer(deserialize: Identity): void;
  initialize(): FastifyPluginCallback;
  secureSession(): FastifyPluginCallback;
  authenticate(
    strategy: string,
    callback: Authenticated,
  ): (this: FastifyInstance, request: FastifyRequest, reply: FastifyReply) => Promise<void>;
}

const passport = new Authenticator();
passport.use(
  'local',
  new Strategy((username, password, done) => {
    done(null, verify(username, password) ?? false);
  }),
);
passport.registerUserSerializer((user) => Promise.resolve(user));
passport.registerUserDeserializer((user) => Promise.resolve(user));

const authenticate = passport.authenticate('local', async (request, _reply, error, user) => {
  if (error instanceof Error) throw error;
  if (!user) throw new UnauthorizedException();
  await request.logIn(user);
});

/** In the place of a `preValidation` hook of the route, which Nest's routes do not have. */
@Injectable()
class LocalAuthGuard implements CanActivate {
  async canActivate(context: ExecutionContext): Promise<boolean> {
    const http = context.switchToHttp();
    const request = http.getRequest<FastifyRequest>();
    await authenticate.call(request.server, request, http.getResponse());
    return true;
  }
}

@Injectable()
class AuthenticatedGuard implements CanActivate {
  canActivate(context: ExecutionContext): boolean {
    if (!context.switchToHttp().getRequest<FastifyRequest>().isAuthenticated()) {
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
  login(@Req() request: FastifyRequest): unknown {
    return request.user;
  }

  @Post('logout')
  @HttpCode(204)
  logout(@Req() request: FastifyRequest): Promise<void> {
    return request.logOut();
  }

  @Get('me')
  @UseGuards(AuthenticatedGuard)
  me(@Req() request: FastifyRequest): unknown {
    return request.user;
  }

  @Get('open')
  open(@Req() request: FastifyRequest): { hello: string } {
    return greeting(request.user as User | undefined);
  }
}

/** `secure: false`: this is plain HTTP. By default (`rolling`), each read stores the session anew and sets its cookie. */
const SESSION = { secret: SECRET, cookie: { secure: false }, saveUninitialized: false };

export async function create(redisUrl: string): Promise<Variant> {
  const client = createClient({ url: redisUrl });
  await client.connect();
  const store = new RedisStore({ client });
  return {
    metadata: { controllers: [HandWiredController] },
    plugins: [
      [fastifyCookie],
      [fastifySession, { ...SESSION, store }],
      [passport.initialize()],
      [passport.secureSession()],
    ],
  };
}
