import { randomBytes } from 'node:crypto';
import { Body, Controller, Get, HttpCode, Inject, Post, Put, Req, Res, UnauthorizedException } from '@nestjs/common';
import type { Request, Response } from 'express';
import { createClient } from 'redis';
import { type User, verify } from './users.js';
import { greeting, type Middleware, type Variant } from './variant.js';

/** A value of the shape that express-session stores. */
interface Stored {
  cookie: object;
  passport: { user: User };
  data?: unknown;
}
type LimitRequest = Omit<Request, 'user'> & { user?: User; stored?: Stored };

const CLIENT = Symbol('redis');
const DAY = { expiration: { type: 'EX', value: 86_400 } } as const;
const COOKIE = { originalMaxAge: null, expires: null, httpOnly: true, path: '/' };

type Client = ReturnType<typeof createClient>;

/** No signature, no guard, no session: the key in Redis is the request's whole cookie header. */
@Controller()
class LimitController {
  constructor(@Inject(CLIENT) private readonly client: Client) {}

  @Post('login')
  @HttpCode(200)
  async login(
    @Body() { username, password }: { username: string; password: string },
    @Res({ passthrough: true }) response: Response,
  ): Promise<User> {
    const user = verify(username, password);
    if (user === null) {
      throw new UnauthorizedException();
    }
    const cookie = `sid=${randomBytes(24).toString('base64url')}`;
    await this.client.set(cookie, JSON.stringify({ cookie: COOKIE, passport: { user } } satisfies Stored), DAY);
    response.header('Set-Cookie', `${cookie}; Path=/; HttpOnly`);
    return user;
  }

  @Post('logout')
  @HttpCode(204)
  async logout(@Req() request: LimitRequest): Promise<void> {
    await this.client.del(request.headers.cookie ?? '');
  }

  @Get('me')
  me(@Req() request: LimitRequest): User | undefined {
    return request.user;
  }

  @Get('open')
  open(@Req() request: LimitRequest): { hello: string } {
    return greeting(request.user);
  }

  @Put('data')
  @HttpCode(204)
  async put(@Req() request: LimitRequest, @Body() body: { data: unknown }): Promise<void> {
    await this.client.set(request.headers.cookie ?? '', JSON.stringify({ ...request.stored, data: body.data }), DAY);
  }
}

export async function create(redisUrl: string): Promise<Variant> {
  const client = createClient({ url: redisUrl });
  await client.connect();
  const load: Middleware = (request, _response, next) => {
    const { cookie } = request.headers;
    if (cookie === undefined) {
      next();
      return;
    }
    client.get(cookie).then((text) => {
      const stored = JSON.parse(text ?? '{}') as Partial<Stored>;
      Object.assign(request, { stored, user: stored.passport?.user });
      next();
    }, next);
  };
  return {
    metadata: { controllers: [LimitController], providers: [{ provide: CLIENT, useValue: client }] },
    middleware: [load],
  };
}
