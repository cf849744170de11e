import { Body, Controller, Delete, Get, HttpCode, Injectable, Param, Post, Put, Req, UseGuards } from '@nestjs/common';
import type { Request } from 'express';
import { WebSocketGateway } from '@nestjs/websockets';
import { Redis } from 'ioredis';
import { createClient } from 'redis';
import {
  CurrentSession,
  CurrentUser,
  LoginGuard,
  type RedisCommands,
  type RedisOptions,
  SessionAuthModule,
  SessionAuthService,
  SessionGuard,
  SessionRegistry,
  UserSerializer,
} from 'nestjs-session-auth';
import { LiveGateway } from './live.gateway.js';
import { LocalStrategy, type User, userOf } from './users.js';
import { type Flag, greeting, SECRET, type Variant } from './variant.js';

@Injectable()
class SnapshotSerializer extends UserSerializer<User, User> {
  serializeUser(user: User): User {
    return user;
  }
  deserializeUser(payload: User): User {
    return payload;
  }
}

@Injectable()
class UserIdSerializer extends UserSerializer<User, string> {
  serializeUser(user: User): string {
    return user.id;
  }
  deserializeUser(id: string): User {
    return userOf(Number(id));
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

/** What a user has of sessions, by their id. */
@Controller('sessions/:user')
class DevicesController {
  constructor(private readonly sessions: SessionRegistry) {}

  @Get()
  async list(@Param('user') user: string): Promise<number> {
    return (await this.sessions.list(user)).length;
  }

  @Get('count')
  count(@Param('user') user: string): Promise<number> {
    return this.sessions.count(user);
  }

  @Delete(':handle')
  revoke(@Param('user') user: string, @Param('handle') handle: string): Promise<boolean> {
    return this.sessions.revoke(user, handle);
  }

  @Delete()
  revokeAll(@Param('user') user: string): Promise<number> {
    return this.sessions.revokeAll(user);
  }
}

@WebSocketGateway()
@UseGuards(SessionGuard)
class GuardedGateway extends LiveGateway {}

/** A login that ends ten thousand sessions takes its time. */
const LIMITED = { maxSessions: { limit: 3, overflow: 'evict-oldest' }, redisTimeout: '30s' } as const;

export async function create(redisUrl: string, flags: ReadonlySet<Flag>): Promise<Variant> {
  const redis = await redisOf(redisUrl, flags);
  const device = flags.has('no-device') && { device: false as const };
  const limited = flags.has('devices') && LIMITED;
  return {
    metadata: {
      imports: [SessionAuthModule.forRoot({ secret: SECRET, redis, ...device, ...limited })],
      providers: [
        flags.has('production') ? UserIdSerializer : SnapshotSerializer,
        LocalStrategy,
        ...(flags.has('connections') ? [GuardedGateway] : []),
        ...(flags.has('metrics') ? [(await import('nestjs-session-auth/metrics')).SessionMetrics] : []),
      ],
      controllers: [OurController, ...(limited || flags.has('connections') ? [DevicesController] : [])],
    },
  };
}

async function redisOf(url: string, flags: ReadonlySet<Flag>): Promise<RedisOptions> {
  if (flags.has('ioredis')) return { client: new Redis(url).on('error', () => undefined) };
  return flags.has('read-cache') ? { client: await cachingClient(url) } : { url };
}

/** Shows whether a cache in the process would pay. The library itself reads each session from Redis. */
async function cachingClient(url: string): Promise<RedisCommands> {
  const clientSideCache = { ttl: 0, maxEntries: 0, evictPolicy: 'LRU' as const };
  const client = createClient({ url, RESP: 3, clientSideCache, disableOfflineQueue: true });
  client.on('error', () => undefined);
  await client.connect();
  // The commands alone: the library refuses a client that has a cache.
  return commandsOf(client);
}

function commandsOf(client: RedisCommands): RedisCommands {
  return {
    get: client.get.bind(client),
    set: client.set.bind(client),
    del: client.del.bind(client),
    eval: client.eval.bind(client),
    evalSha: client.evalSha.bind(client),
  };
}
