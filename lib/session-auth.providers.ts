import { Logger } from '@nestjs/common';
import type { Store } from 'express-session';
import type { SessionEvents } from './events/session-events.js';
import { MemorySessionStore } from './memory/memory-session.store.js';
import { RedisConnection } from './redis/redis.connection.js';
import { RedisSessionStore } from './redis/redis-session.store.js';
import type { ResolvedSessionAuthOptions } from './session-auth.options.js';
import type { Clock } from './session/clock.js';
import type { LifetimePolicy } from './session/lifetime-policy.js';
import { PlainStoreAdapter } from './session/plain-store.adapter.js';
import { SessionKeeper } from './session/session-keeper.js';
import type { AtomicSessionStore } from './session/session-store.js';

/** The connection to Redis, open; `null` where sessions live elsewhere. */
export async function openConnection(options: ResolvedSessionAuthOptions): Promise<RedisConnection | null> {
  if (options.redis === undefined) {
    return null;
  }
  const connection = new RedisConnection(options.redis, options.redisTimeout);
  await connection.open();
  return connection;
}

/** Where sessions live, as the options say. */
export function createStore(
  options: ResolvedSessionAuthOptions,
  lifetime: LifetimePolicy,
  clock: Clock,
  events: SessionEvents,
  connection: RedisConnection | null,
): Store {
  if (options.store !== undefined) {
    return options.store;
  }
  if (connection === null) {
    new Logger('SessionAuthModule').log('Sessions are kept in memory: they end with this process.');
    return new MemorySessionStore(clock, lifetime);
  }
  return new RedisSessionStore({
    get client() {
      return connection.client;
    },
    get isDown() {
      return connection.isDown;
    },
    holdsBack: connection.holdsBack,
    prefix: options.prefix,
    timeout: options.redisTimeout,
    clock,
    lifetime,
    onFailure: (error) => {
      connection.suspect(error);
    },
    onUnreadable: (handle) => {
      events.emit({ type: 'ended', handle, reason: 'unreadable' }, clock.now());
    },
  });
}

/** The store as requests use it. One that is not this module's own is driven through express-session's contract. */
export function createKeeper(
  options: ResolvedSessionAuthOptions,
  lifetime: LifetimePolicy,
  clock: Clock,
  events: SessionEvents,
  store: Store,
): SessionKeeper {
  const atomic = isAtomic(store) ? store : new PlainStoreAdapter(store, clock, options.redisTimeout);
  return new SessionKeeper(atomic, lifetime, clock, events, options);
}

function isAtomic(store: Store): store is Store & AtomicSessionStore {
  return store instanceof RedisSessionStore || store instanceof MemorySessionStore;
}
