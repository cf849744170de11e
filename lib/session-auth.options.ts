import type { RequestMethod, Type } from '@nestjs/common';
import type { Store } from 'express-session';
import type { SessionRequest } from './http/session-request.js';
import type { Device } from './model/session-info.js';
import type { RedisOptions } from './redis/redis-options.js';
import type { UserSerializer } from './serializer/user-serializer.js';

/** Milliseconds, or a string that the `ms` package reads: `'15m'`, `'1h'`, `'30 days'`. Always more than zero. */
export type Duration = number | string;

/**
 * The session cookie's attributes. It is always HttpOnly. Its expiry follows from {@link LifetimeOptions}.
 *
 * @example
 * ```ts
 * // One login for app.example.com and admin.example.com. The name cannot begin with `__Host-` then.
 * const cookie: CookieOptions = { name: '__Secure-sid', domain: 'example.com', secure: true };
 * ```
 */
export interface CookieOptions {
  /**
   * Default: `__Host-Http-sid` in production, `sid` elsewhere. Give another one beside `domain` or `path`, such as
   * `__Secure-sid`. What browsers demand of names with `__Secure-`, `__Host-`, `__Http-` and `__Host-Http-` (RFC
   * 6265bis) is checked at boot. Name and value have at most 4096 bytes.
   */
  name?: string;
  /** Default: `/`. It matches whole segments. Requests outside it have no session. */
  path?: string;
  /** Default: none, so that browsers send the cookie to this host alone. */
  domain?: string;
  /** Default: `'lax'`. `'none'` requires `secure`. */
  sameSite?: 'lax' | 'strict' | 'none';
  /**
   * Default: `true` in production, which refuses all else; `'auto'` (secure when the request is) elsewhere.
   */
  secure?: boolean | 'auto';
  /** CHIPS: a cookie jar for each top-level site. Default: `false`. Requires `secure`. */
  partitioned?: boolean;
}

/**
 * How long a session lives: until the earlier of last activity plus `idle` and login plus `absolute`.
 *
 * @example
 * ```ts
 * const lifetime: LifetimeOptions = { idle: '30m', absolute: '12h' };
 * const preset: LifetimePreset = 'aal2';
 * ```
 */
export interface LifetimeOptions {
  /** A session that goes unused for this long expires (OWASP ASVS 7.3.1). Default: `'1h'`. */
  idle?: Duration;
  /** A session expires after this long in any case (OWASP ASVS 7.3.2). Default: `'24h'`. */
  absolute?: Duration;
  /**
   * How often activity is written down. A session may expire by this much before `idle` is over. Default: a tenth of
   * `idle`.
   */
  touchEvery?: Duration;
  /**
   * How often the secret in the cookie changes (OWASP Session Management, "Renew the Session ID"); `false` for never.
   * The handle, the login and the session's end stay. Default: `'15m'`.
   */
  rotateEvery?: Duration | false;
  /** How long the former secret stays good beside the new one, for requests that are under way. Default: `'30s'`. */
  rotationGrace?: Duration;
}

/**
 * Lifetimes by the assurance levels of NIST SP 800-63B-4, section 2: `aal1` 30 days in all; `aal2` 24 hours, 1 hour
 * idle; `aal3` 12 hours, 15 minutes idle.
 */
export type LifetimePreset = 'aal1' | 'aal2' | 'aal3';

/**
 * How many sessions one user may have at a time.
 *
 * @example
 * ```ts
 * // At most three devices. A login on a fourth fails with TooManySessionsException.
 * const maxSessions: MaxSessionsOptions = { limit: 3, overflow: 'reject' };
 * ```
 */
export interface MaxSessionsOptions {
  /** Most sessions of one user: a whole number from 1. */
  limit: number;
  /**
   * What happens to one more: it ends the user's least recently used session (`'evict-oldest'`, the default), or the
   * login fails with 409, code `too_many_sessions` (`'reject'`). The session that a login replaces does not count. Of a
   * user with more than 500 sessions, the least recently used is chosen among the 500 that expire first.
   */
  overflow?: 'evict-oldest' | 'reject';
}

/**
 * How open connections (WebSockets, streams) follow their session.
 *
 * @example
 * ```ts
 * const connections: ConnectionOptions = { recheck: '10s' };
 * ```
 */
export interface ConnectionOptions {
  /**
   * The longest that an open connection goes without asking the store whether its session lives. That catches what was
   * not heard of at once: a session that expired, or an end during an outage. It costs one `GET` for each session that
   * has a connection open. Default: `'30s'`, at most 24.8 days.
   */
  recheck?: Duration;
}

/**
 * The sessions of a stack that is being moved from: express-session with connect-redis (6 and later) and Passport, in the
 * Redis that `redis` names. See docs/migration.md.
 *
 * @example
 * ```ts
 * // What the application had: session({ name: 'app.sid', secret: OLD_SECRET, store: new RedisStore({ prefix: 'app:' }) })
 * const adopt: AdoptOptions = { cookie: 'app.sid', prefix: 'app:', secret: process.env.OLD_SECRET };
 * ```
 */
export interface AdoptOptions {
  /** The name of the old cookie: express-session's `name`. Default: `'connect.sid'`. */
  cookie?: string;
  /** The prefix of the old keys: connect-redis's `prefix`. Default: `'sess:'`. */
  prefix?: string;
  /** express-session's `secret`. Of several, all verify. Default: those of the option `secret`. */
  secret?: string | string[] | undefined;
}

/** A route, as Nest's `MiddlewareConsumer.exclude()` takes it. */
export type RoutePattern = string | { path: string; method: RequestMethod };

/**
 * Options of {@link SessionAuthModule.forRoot}. Only `secret` is required.
 *
 * "Production" is every value of `NODE_ENV` but `development` and `test`; an unset one is not production.
 *
 * @example
 * ```ts
 * const options: SessionAuthOptions = {
 *   secret: process.env.SESSION_SECRET,
 *   redis: { url: process.env.REDIS_URL },
 *   lifetime: 'aal2',
 *   maxSessions: { limit: 5 },
 *   exclude: ['health', { path: 'assets/*path', method: RequestMethod.GET }],
 * };
 * ```
 */
export interface SessionAuthOptions {
  /**
   * Signs the cookie. Of several, the first one signs and all verify. A cookie that an older one has signed is signed
   * anew on its next use. Each has at least 32 bytes and 10 different characters: less is a boot error in production, a
   * warning elsewhere. A missing secret is a boot error and not a type error, so that `process.env.SESSION_SECRET` compiles.
   */
  secret: string | string[] | undefined;
  /**
   * Where sessions are stored. Default, also when `url` is undefined: in this process's memory, which production
   * refuses.
   */
  redis?: RedisOptions;
  /**
   * An express-session store instead of `redis`, with the weaker promises of that contract. Production refuses
   * express-session's `MemoryStore`.
   */
  store?: Store;
  /** Prefix of every key. Default: `'sess:'`. Braces are refused: they would move the Redis Cluster hash tag. */
  prefix?: string;
  /** The session cookie's attributes. Each has a default of its own. */
  cookie?: CookieOptions;
  /** How long a session lives. Default: an hour without use, 24 hours in all. */
  lifetime?: LifetimeOptions | LifetimePreset;
  /** How many sessions a user may have at a time. Default: no limit. */
  maxSessions?: MaxSessionsOptions;
  /** How open connections follow their session. */
  connections?: ConnectionOptions;
  /**
   * Other origins whose pages may do what `crossSite` refuses others: as browsers write them
   * (`'https://app.example.com'`), or a RegExp that matches all of one. Default: none.
   */
  trustedOrigins?: (string | RegExp)[];
  /**
   * Whether requests from other sites are refused (403, code `cross_site_request`) that may change something and show a
   * session cookie or log in, and handshakes of connections (OWASP ASVS 3.5.1 to 3.5.3). `'allow'` is for applications
   * with a defence of their own. Default: `'refuse'`.
   */
  crossSite?: 'refuse' | 'allow';
  /**
   * Carries the sessions of express-session and connect-redis over: whoever shows the cookie of one, and no session of
   * ours, goes on with its user and its data, on a session of ours. Requires `redis`. Default: none.
   */
  adopt?: AdoptOptions;
  /**
   * What guarded routes respond while the store cannot be reached: 503 (`'fail'`, the default) or 401 (`'anonymous'`).
   * Other routes go on without `req.session` and `req.user`. Browsers keep their cookies.
   */
  onStoreError?: 'fail' | 'anonymous';
  /**
   * Longest time that all commands of one request together may take. Each command gets at least 50 ms or, far from the
   * store, twice the time of its quickest reply (but at most half of `redisTimeout`). The same holds for a call of
   * `SessionRegistry`; walks over many sessions get it for each step. Commands do not queue while the connection is
   * down. Default: 500 ms, at most 24.8 days (2^31 - 1 ms).
   */
  redisTimeout?: Duration;
  /**
   * A session whose data grows past this many bytes of JSON is reported by an event `large-session`: each request has
   * to load it. `Infinity` reports none. Default: 65536 (64 kB).
   */
  warnAtBytes?: number;
  /**
   * Has each login leave a marker in the browser, and the event `logged-in` tell by it whether this user has logged in on
   * this browser before (`newDevice`): for a mail "new sign-in". The marker is a cookie, `__Host-Http-device` or, where
   * the session cookie is not always Secure, `device`: signed, HttpOnly, of 400 days. It does not show whose it is, and
   * opens nothing. Default: `false`.
   */
  knownDevices?: boolean;
  /** What is remembered of the device at a login; `false` for nothing. Default: its ip and user agent. */
  device?: false | ((request: SessionRequest) => Device);
  /**
   * The user serializers. `[]` says on purpose that there are none: sessions without logins. Default: all that are among
   * the application's providers, of which there must be one.
   */
  serializers?: Type<UserSerializer>[];
  /** Routes without a session. */
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
  readonly connections: Readonly<Record<keyof ConnectionOptions, number>>;
  /** The patterns match whole origins alone. */
  readonly trustedOrigins: readonly (string | RegExp)[];
  readonly crossSite: 'refuse' | 'allow';
  /** `secrets` are those that have signed the old cookies. */
  readonly adopt: Readonly<{ cookie: string; prefix: string; secrets: readonly string[] }> | undefined;
  readonly onStoreError: 'fail' | 'anonymous';
  readonly redisTimeout: number;
  readonly warnAtBytes: number;
  readonly knownDevices: boolean;
  readonly device: false | ((request: SessionRequest) => Device);
  readonly serializers: readonly Type<UserSerializer>[] | undefined;
  readonly exclude: readonly RoutePattern[];
  /** What is logged as a warning at boot, since it is no error outside production. */
  readonly warnings: readonly string[];
}

/**
 * Injection token of the options with every default filled in: {@link ResolvedSessionAuthOptions}.
 *
 * @example
 * ```ts
 * @Injectable()
 * class SessionPolicyPage {
 *   constructor(@Inject(SESSION_AUTH_OPTIONS) private readonly options: ResolvedSessionAuthOptions) {}
 *
 *   text() {
 *     return `Sessions end after ${this.options.lifetime.idle / 60_000} minutes without use.`;
 *   }
 * }
 * ```
 */
export const SESSION_AUTH_OPTIONS = Symbol.for('nestjs-session-auth:options');
