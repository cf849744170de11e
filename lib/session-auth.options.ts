import type { RequestMethod, Type } from '@nestjs/common';
import type { Store } from 'express-session';
import type { RedisOptions } from './redis/redis.options.js';
import type { UserSerializer } from './serializer/user.serializer.js';
import type { Device, SessionRequest } from './session/session.types.js';

/** Milliseconds, or a string the `ms` package reads: `'15m'`, `'1h'`, `'30 days'`. Always more than zero. */
export type Duration = number | string;

/** The session cookie's attributes. It is always HttpOnly; its expiry follows from {@link LifetimeOptions}. */
export interface CookieOptions {
  /** Default `__Host-sid` in production, `sid` elsewhere. The `__Host-` and `__Secure-` rules (RFC 6265bis) are checked at boot. */
  name?: string;
  /** Default `/`. Matches on segment boundaries; requests outside it have no session. */
  path?: string;
  /** Default none: the cookie goes to this host alone. */
  domain?: string;
  /** Default `'lax'`. `'none'` needs `secure`. */
  sameSite?: 'lax' | 'strict' | 'none';
  /** Default `true` in production, `'auto'` (secure when the request is) elsewhere. `false` is refused in production. */
  secure?: boolean | 'auto';
  /** Default `false`. CHIPS: a cookie jar for each top-level site. Needs `secure`. */
  partitioned?: boolean;
}

/** How long a session lives: until the earlier of `seen + idle` and `created + absolute`. */
export interface LifetimeOptions {
  /** A session unused for so long ends (OWASP ASVS 7.3.1). Default `'1h'`. */
  idle?: Duration;
  /** A session ends after so long, however busy (OWASP ASVS 7.3.2). Default `'24h'`. */
  absolute?: Duration;
  /**
   * How often activity is written down and the cookie renewed. Default a tenth of `idle`; a session may end by so much
   * earlier than `idle` says.
   */
  touchEvery?: Duration;
  /**
   * How often the secret in the cookie changes (OWASP Session Management, "Renew the Session ID"). Default `'15m'`; `false`
   * for never. The handle, the login and the session's end stay.
   */
  rotateEvery?: Duration | false;
  /** For how long the old secret is good beside the new one, for requests that are under way. Default `'30s'`. */
  rotationGrace?: Duration;
}

/**
 * Lifetimes by the assurance levels of NIST SP 800-63B-4, section 2: `aal1` 30 days over all; `aal2` 24 hours, idle 1
 * hour; `aal3` 12 hours, idle 15 minutes.
 */
export type LifetimePreset = 'aal1' | 'aal2' | 'aal3';

/** How many sessions one user may have at a time. */
export interface MaxSessionsOptions {
  limit: number;
  /**
   * What becomes of one more: the user's least recently seen session ends for it (`'evict-oldest'`, the default), or the
   * login answers 409, code `too_many_sessions` (`'reject'`). The session that a login replaces does not count. Of a user with
   * more than 500 sessions, the least recently seen is chosen among the 500 that run out first.
   */
  overflow?: 'evict-oldest' | 'reject';
}

/** A route, as Nest's `MiddlewareConsumer.exclude()` takes it. */
export type RoutePattern = string | { path: string; method: RequestMethod };

/** Options of `SessionAuthModule.forRoot()`. Only `secret` is required. */
export interface SessionAuthOptions {
  /**
   * Signs the cookie. Of several, the first signs and all verify; a cookie signed by an older one is signed anew on its
   * next use. At least 32 bytes each: a boot error in production, a warning elsewhere. Missing is a boot error, not a
   * type error, so that `process.env.SESSION_SECRET` compiles.
   */
  secret: string | string[] | undefined;
  /** Where sessions live. Absent, or `url` undefined: in this process's memory, refused in production. */
  redis?: RedisOptions;
  /** Any existing express-session store instead, with the weaker promises its contract allows. */
  store?: Store;
  /** Prefix of every key. Default `'sess:'`. Braces are refused: they would move the Redis Cluster hash tag. */
  prefix?: string;
  cookie?: CookieOptions;
  lifetime?: LifetimeOptions | LifetimePreset;
  /** Default: no limit. */
  maxSessions?: MaxSessionsOptions;
  /**
   * What a request meets while the store is out of reach. It always goes on without `req.session` and `req.user`, and
   * keeps its cookie; guarded routes answer 503 (`'fail'`, the default) or 401 (`'anonymous'`).
   */
  onStoreError?: 'fail' | 'anonymous';
  /**
   * Longest wait for the store: a request's commands take no longer together, but for what each may have whatever came
   * before it: 50 ms or, far from the store, twice its quickest answer (half of `redisTimeout` at the most). So does a call
   * of `SessionRegistry`, but for walks over many sessions, which have it for each step. Default 500 ms, at most 24.8 days
   * (2^31 - 1 ms). Nothing queues while disconnected.
   */
  redisTimeout?: Duration;
  /**
   * Size of a session's data, in bytes of JSON, past which it is reported by an event `large-session`: each request has
   * to load it. Default 65536 (64 kB); `Infinity` reports none.
   */
  warnAtBytes?: number;
  /** What to remember of the device that logs in. Default its ip and user agent; `false` remembers nothing. */
  device?: false | ((request: SessionRequest) => Device);
  /** The user serializers, where discovery among the providers is not wanted. */
  serializers?: Type<UserSerializer>[];
  /** Routes that never touch a session. */
  exclude?: RoutePattern[];
}

/** {@link SessionAuthOptions} with every default filled in and every duration in milliseconds. */
export interface ResolvedSessionAuthOptions {
  readonly secrets: readonly [string, ...string[]];
  readonly redis: RedisOptions | undefined;
  readonly store: Store | undefined;
  readonly prefix: string;
  readonly cookie: Readonly<Required<Omit<CookieOptions, 'domain'>> & Pick<CookieOptions, 'domain'>>;
  /** `rotateEvery` is `Infinity` where secrets never change. */
  readonly lifetime: Readonly<Record<keyof LifetimeOptions, number>>;
  readonly maxSessions: Readonly<Required<MaxSessionsOptions>> | undefined;
  readonly onStoreError: 'fail' | 'anonymous';
  readonly redisTimeout: number;
  readonly warnAtBytes: number;
  readonly device: false | ((request: SessionRequest) => Device);
  readonly serializers: readonly Type<UserSerializer>[] | undefined;
  readonly exclude: readonly RoutePattern[];
  /** Things worth a warning that are no errors outside production. */
  readonly warnings: readonly string[];
}
