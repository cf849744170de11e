import { ForbiddenException, type Logger } from '@nestjs/common';
import type { Store } from 'express-session';
import { rotationKeys } from '../../lib/model/rotation.js';
import type { SessionEvent } from '../../lib/model/session-event.js';
import { MemorySessionStore } from '../../lib/memory/memory-session-store.js';
import { RedisSessionStore } from '../../lib/redis/redis-session-store.js';
import type { SessionAuthOptions } from '../../lib/session-auth.options.js';
import { resolveOptions } from '../../lib/validation/options.js';
import { type Clock, systemClock } from '../../lib/model/clock.js';
import { ForeignStoreAdapter } from '../../lib/store/foreign-store-adapter.js';
import type { AtomicSessionStore } from '../../lib/store/session-store.js';
import { DeviceCookies } from '../../lib/http/device-cookies.js';
import { SessionCookies } from '../../lib/http/session-cookies.js';
import { SessionReporter } from '../../lib/session/session-reporter.js';
import { SessionRepository } from '../../lib/session/session-repository.js';
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
  const { lifetime, warnAtBytes, maxSessions } = resolved;
  const expressStore = store ?? new MemorySessionStore(clock, lifetime);
  const isAtomic = expressStore instanceof MemorySessionStore || expressStore instanceof RedisSessionStore;
  const driven = isAtomic ? expressStore : new ForeignStoreAdapter(expressStore, clock, resolved.redisTimeout);
  const events: SessionEvent[] = [];
  const reporter = new SessionReporter((event) => {
    events.push({ ...event, at: new Date(clock.now()) });
  }, warnAtBytes);
  const logged: string[] = [];
  const log = (message: string): void => {
    logged.push(message);
  };
  const middleware = new SessionMiddleware(
    {
      repository: new SessionRepository(atomic ?? driven, { lifetime, clock, reporter, maxSessions }),
      expressStore,
      cookies: new SessionCookies(resolved.secrets, resolved.cookie),
      lifetime,
      rotationKeys: rotationKeys(resolved.secrets),
      devices: new DeviceCookies(resolved.secrets, resolved.cookie),
      clock,
      users: { restore: () => Promise.resolve('user_gone'), isUserOf: () => false },
      logger: { error: log, warn: log, log } as unknown as Logger,
      crossSite: { concerns: () => false, ofRequest: () => undefined, refuse: () => new ForbiddenException() },
      logOnce: log,
      options: resolved,
      equip: () => undefined,
      failLate: (error, _request, _response, next) => {
        next(error);
      },
    },
    () => false,
  );
  return { use: middleware.use, store: expressStore, events, logged };
}
