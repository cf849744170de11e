import { Body, Controller, Get, HttpCode, Post, Req, Res } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { createClient } from 'redis';
import { PASSWORD, type User, userOf } from './users.js';
import { greeting, SECRET, type Variant } from './variant.js';

/* Installed on demand (`stage/better-auth.ts`), so what is used of it is described here. */

interface Auth {
  api: {
    signInEmail(call: {
      body: { email: string; password: string };
      returnHeaders: true;
    }): Promise<{ headers: Headers; response: { user: User } }>;
    signOut(call: { headers: Headers; returnHeaders: true }): Promise<{ headers: Headers }>;
  };
}
interface NestBetterAuth {
  AuthModule: { forRoot(options: { auth: Auth }): NonNullable<Variant['metadata']['imports']>[number] };
  AllowAnonymous: () => MethodDecorator;
}
const load = (name: string): Promise<unknown> => import(name);
const { AuthModule, AllowAnonymous } = (await load('@thallesp/nestjs-better-auth')) as NestBetterAuth;
const { betterAuth } = (await load('better-auth')) as { betterAuth: (options: object) => Auth };
const { fromNodeHeaders } = (await load('better-auth/node')) as { fromNodeHeaders: (headers: object) => Headers };
const { memoryAdapter } = (await load('better-auth/adapters/memory')) as { memoryAdapter: (tables: object) => unknown };

/** Known users. They are in memory, so that no database has a part in the figures. */
const USERS = 500;
const BEGUN = new Date();
const emailOf = (username: string): string => `${username}@example.com`;

let auth: Auth;

@Controller()
class BetterAuthController {
  @Post('login')
  @HttpCode(200)
  @AllowAnonymous()
  async login(
    @Body() { username, password }: { username: string; password: string },
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<User> {
    const body = { email: emailOf(username), password };
    const { headers, response } = await auth.api.signInEmail({ body, returnHeaders: true });
    reply.header('set-cookie', headers.getSetCookie());
    return publicPart(response.user);
  }

  @Post('logout')
  @HttpCode(204)
  async logout(@Req() request: FastifyRequest, @Res({ passthrough: true }) reply: FastifyReply): Promise<void> {
    const { headers } = await auth.api.signOut({ headers: fromNodeHeaders(request.headers), returnHeaders: true });
    reply.header('set-cookie', headers.getSetCookie());
  }

  @Get('me')
  me(@Req() request: FastifyRequest): User {
    return publicPart(request.user as User);
  }

  @Get('open')
  @AllowAnonymous()
  open(@Req() request: FastifyRequest): { hello: string } {
    return greeting((request.user as User | null) ?? undefined);
  }
}

function publicPart({ id, username, name }: User): User {
  return { id, username, name };
}

export async function create(redisUrl: string): Promise<Variant> {
  const client = createClient({ url: redisUrl });
  await client.connect();
  auth = betterAuth({
    secret: SECRET,
    baseURL: 'http://127.0.0.1',
    database: memoryAdapter(tables()),
    user: { additionalFields: { username: { type: 'string' } } },
    emailAndPassword: {
      enabled: true,
      password: {
        hash: (password: string) => Promise.resolve(password),
        verify: ({ hash, password }: { hash: string; password: string }) => Promise.resolve(hash === password),
      },
    },
    // As its documentation has it for node-redis.
    secondaryStorage: {
      get: (key: string) => client.get(key),
      set: (key: string, value: string, ttl?: number) =>
        client.set(key, value, ttl === undefined ? {} : { expiration: { type: 'EX', value: ttl } }),
      delete: (key: string) => client.del(key),
    },
  });
  return {
    metadata: { imports: [AuthModule.forRoot({ auth })], controllers: [BetterAuthController] },
    bodyParser: false,
  };
}

/** The users, as Better Auth would have stored them. */
function tables(): Record<string, object[]> {
  const dates = { createdAt: BEGUN, updatedAt: BEGUN };
  const users = Array.from({ length: USERS }, (_, number) => userOf(number));
  return {
    user: users.map((user) => ({ ...user, ...dates, email: emailOf(user.username), emailVerified: true, image: null })),
    account: users.map(({ id }) => {
      return { id, ...dates, userId: id, accountId: id, providerId: 'credential', password: PASSWORD };
    }),
    session: [],
    verification: [],
  };
}
