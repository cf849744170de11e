import type { Logger } from '@nestjs/common';
import type { Store } from 'express-session';
import { type SessionEvent, SessionEvents } from '../../lib/events/session-events.js';
import { lifetimePolicy } from '../../lib/lifetime/lifetime.policy.js';
import { MemorySessionStore } from '../../lib/memory/memory-session.store.js';
import { RedisSessionStore } from '../../lib/redis/redis-session.store.js';
import type { SessionAuthOptions } from '../../lib/session-auth.options.js';
import { resolveOptions } from '../../lib/session-auth.validation.js';
import { type Clock, systemClock } from '../../lib/session/clock.js';
import { PlainStoreAdapter } from '../../lib/session/plain-store.adapter.js';
import type { AtomicSessionStore } from '../../lib/session/session-store.js';
import { SessionCookies } from '../../lib/session/session-cookies.js';
import { SessionKeeper } from '../../lib/session/session-keeper.js';
import { SessionMiddleware } from '../../lib/session/session.middleware.js';

export interface SessionLoopOptions extends Pick<
  SessionAuthOptions,
  'secret' | 'cookie' | 'lifetime' | 'onStoreError'
> {
  /** Default: a store in memory. */
  store?: Store;
  /** What drives the store, for loops that share one. Default: one of its own. */
  atomic?: AtomicSessionStore;
  clock?: Clock;
}

/** The request loop by itself, without Nest and without users: it runs wherever there is a Node request and response. */
export interface SessionLoop {
  use: SessionMiddleware['use'];
  store: Store;
  /** What has happened, in order. */
  events: SessionEvent[];
  /** What has been logged, in order. */
  logged: string[];
}

export function sessionLoop({ store, atomic, clock = systemClock, ...options }: SessionLoopOptions): SessionLoop {
  const resolved = resolveOptions(options, 'test');
  const lifetime = lifetimePolicy(resolved.lifetime);
  const expressStore = store ?? new MemorySessionStore(clock, lifetime);
  const isAtomic = expressStore instanceof MemorySessionStore || expressStore instanceof RedisSessionStore;
  const driven = isAtomic ? expressStore : new PlainStoreAdapter(expressStore, clock, resolved.redisTimeout);
  const emitter = new SessionEvents();
  const events: SessionEvent[] = [];
  emitter.events$.subscribe((event) => events.push(event));
  const logged: string[] = [];
  const log = (message: string): void => {
    logged.push(message);
  };
  const middleware = new SessionMiddleware(
    {
      keeper: new SessionKeeper(atomic ?? driven, lifetime, clock, emitter, resolved),
      expressStore,
      cookies: new SessionCookies(resolved.secrets, resolved.cookie),
      lifetime,
      clock,
      users: { restore: () => Promise.resolve(undefined) },
      logger: { error: log, warn: log, log } as unknown as Logger,
      logOnce: log,
      options: resolved,
      equip: () => undefined,
    },
    () => false,
  );
  return { use: middleware.use, store: expressStore, events, logged };
}
