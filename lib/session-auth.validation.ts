import ms from 'ms';
import { pathToRegexp } from 'path-to-regexp';
import { InvalidOptionError } from './session-auth.errors.js';
import type {
  CookieOptions,
  Duration,
  LifetimeOptions,
  LifetimePreset,
  MaxSessionsOptions,
  ResolvedSessionAuthOptions,
  RoutePattern,
  SessionAuthOptions,
} from './session-auth.options.js';
import type { RedisCommands, RedisOptions } from './redis/redis.options.js';
import type { Device, SessionRequest } from './session/session.types.js';

const KNOWN_OPTIONS: Record<keyof SessionAuthOptions, true> = {
  secret: true,
  redis: true,
  store: true,
  prefix: true,
  cookie: true,
  lifetime: true,
  maxSessions: true,
  onStoreError: true,
  redisTimeout: true,
  warnAtBytes: true,
  device: true,
  serializers: true,
  exclude: true,
};

const KNOWN_COOKIE_OPTIONS: Record<keyof CookieOptions, true> = {
  name: true,
  path: true,
  domain: true,
  sameSite: true,
  secure: true,
  partitioned: true,
};

const KNOWN_LIFETIME_OPTIONS: Record<keyof LifetimeOptions, true> = {
  idle: true,
  absolute: true,
  touchEvery: true,
  rotateEvery: true,
  rotationGrace: true,
};

const KNOWN_MAX_SESSIONS_OPTIONS: Record<keyof MaxSessionsOptions, true> = { limit: true, overflow: true };

const COMMANDS: Record<keyof RedisCommands, true> = { get: true, set: true, del: true, eval: true, evalSha: true };

/** NIST SP 800-63B-4, sections 2.1.3, 2.2.3 and 2.3.3. Where a day more or less is no matter, use is still noted hourly. */
const LIFETIME_PRESETS: Record<LifetimePreset, LifetimeOptions> = {
  aal1: { idle: '30d', absolute: '30d', touchEvery: '1h' },
  aal2: { idle: '1h', absolute: '24h' },
  aal3: { idle: '15m', absolute: '12h' },
};

/** Least length of a secret, in bytes: the block of HMAC-SHA-256's security (RFC 2104, section 3). */
const SECRET_BYTES = 32;

/** RFC 6265, section 4.1.1: a cookie's name is an RFC 2616 token. */
const COOKIE_NAME = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
/** What its path may hold: printable ASCII, but no ";" (which ends the attribute), nor, as the `cookie` package has it, "<". */
const COOKIE_PATH = /^\/[\x20-:=-~]*$/;
const COOKIE_DOMAIN = /^\.?[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*$/i;

/**
 * Checks the options and fills in the defaults.
 *
 * @throws InvalidOptionError that names the option, what is wrong with it and the remedy
 */
export function resolveOptions(
  options: SessionAuthOptions | null | undefined,
  env: string | undefined,
): ResolvedSessionAuthOptions {
  if (!isObject(options)) {
    throw new InvalidOptionError('secret', 'there are no options at all', 'Return them from the factory.');
  }
  const production = env === 'production';
  const warnings: string[] = [];
  refuseUnknown(options, KNOWN_OPTIONS, '');
  return {
    secrets: resolveSecrets(options.secret, production, warnings),
    ...resolveStore(options, production),
    prefix: resolvePrefix(options.prefix ?? 'sess:'),
    cookie: resolveCookie(options.cookie ?? {}, production),
    lifetime: resolveLifetime(options.lifetime ?? {}, options.store !== undefined),
    maxSessions: resolveMaxSessions(options),
    onStoreError: oneOf('onStoreError', options.onStoreError ?? 'fail', ['fail', 'anonymous']),
    redisTimeout: resolveRedisTimeout(options.redisTimeout ?? 500),
    warnAtBytes: resolveWarnAtBytes(options.warnAtBytes ?? 65_536),
    device: resolveDevice(options.device),
    serializers: options.serializers,
    exclude: resolveExclude(options.exclude ?? []),
    warnings,
  };
}

/**
 * A duration in milliseconds.
 *
 * @throws InvalidOptionError for anything but a whole or broken number above zero
 */
export function milliseconds(option: string, duration: Duration): number {
  const value = typeof duration === 'string' && duration !== '' ? ms(duration as ms.StringValue) : duration;
  if (typeof value !== 'number' || !(value > 0 && value <= LONGEST_DURATION)) {
    throw new InvalidOptionError(
      option,
      `${typeof duration === 'string' ? JSON.stringify(duration) : duration} is no duration above zero (and below a century)`,
      `Give milliseconds or a string such as "15m".`,
    );
  }
  return value;
}

/** Beyond it, dates cannot be written in a cookie any more. */
const LONGEST_DURATION = 100 * 365 * 24 * 3600 * 1000;

/** Of `setTimeout`, in milliseconds: a longer one ends at once. */
const LONGEST_TIMER = 2 ** 31 - 1;

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null;
}

function refuseUnknown(options: object, known: Record<string, true>, path: string): void {
  for (const key of Object.keys(options)) {
    if (!Object.hasOwn(known, key)) {
      throw new InvalidOptionError(path + key, 'there is no such option', `Known: ${Object.keys(known).join(', ')}.`);
    }
  }
}

function requireMethods(option: string, value: unknown, methods: readonly string[], remedy: string): void {
  const missing = methods.find((method) => typeof (value as Record<string, unknown> | null)?.[method] !== 'function');
  if (missing !== undefined) {
    throw new InvalidOptionError(option, `it has no method "${missing}"`, remedy);
  }
}

function oneOf<const T extends string>(option: string, value: T, allowed: readonly T[]): T {
  if (!allowed.includes(value)) {
    throw new InvalidOptionError(option, `${JSON.stringify(value)} is not known`, `Choose ${allowed.join(' or ')}.`);
  }
  return value;
}

function resolveSecrets(
  secret: SessionAuthOptions['secret'],
  production: boolean,
  warnings: string[],
): readonly [string, ...string[]] {
  const [first, ...older] = Array.isArray(secret) ? secret : [secret];
  const remedy = 'Give the output of "openssl rand -base64 32", by an environment variable.';
  if (![first, ...older].every((one) => typeof one === 'string' && one !== '') || first === undefined) {
    throw new InvalidOptionError('secret', 'it is missing or empty', remedy);
  }
  if ([first, ...older].some((one) => Buffer.byteLength(one as string) < SECRET_BYTES)) {
    const problem = `it is shorter than ${SECRET_BYTES} bytes`;
    if (production) {
      throw new InvalidOptionError('secret', problem, remedy);
    }
    warnings.push(`Option "secret": ${problem}, which production refuses. ${remedy}`);
  }
  return [first, ...(older as string[])];
}

const GIVE_REDIS = 'Give { url }, { cluster }, { sentinel } or { client }.';

function resolveStore(
  { redis, store }: SessionAuthOptions,
  production: boolean,
): Pick<ResolvedSessionAuthOptions, 'redis' | 'store'> {
  if (redis !== undefined && store !== undefined) {
    throw new InvalidOptionError('store', 'it is given beside "redis"', 'Give one of the two.');
  }
  if (store !== undefined) {
    requireMethods('store', store, ['get', 'set', 'destroy'], 'Give an express-session Store.');
    return { redis: undefined, store };
  }
  const used = redis !== undefined && usesRedis(redis) ? redis : undefined;
  if (used === undefined && production) {
    throw new InvalidOptionError(
      'redis',
      'it is missing, and sessions in memory end with the process and are not shared',
      GIVE_REDIS,
    );
  }
  return { redis: used, store: undefined };
}

function usesRedis(redis: RedisOptions): boolean {
  if (!isObject(redis)) {
    throw new InvalidOptionError('redis', 'it is no object', GIVE_REDIS);
  }
  const given = (['url', 'cluster', 'sentinel', 'client'] as const).filter((key) => redis[key] !== undefined);
  if (given.length === 0 && 'url' in redis) {
    return false;
  }
  if (given.length !== 1) {
    throw new InvalidOptionError(
      'redis',
      `it holds ${given.join(' and ') || 'no server'}`,
      'Give exactly one of url, cluster, sentinel and client.',
    );
  }
  refuseReadCache(redis);
  if (redis.url === '') {
    return false;
  }
  checkServers(redis);
  return true;
}

/**
 * Over a connection that the network has forgotten no invalidation comes, and a revoked session would be served on. A given
 * client tells of its cache itself; a cluster's that caches by `defaults`, by the options it keeps.
 */
function refuseReadCache({ cluster, sentinel, client, ...server }: RedisOptions): void {
  const made = client as { options?: object; _options?: { defaults?: object } } | null | undefined;
  const places: (object | null | undefined)[] = [
    server,
    cluster,
    cluster?.defaults,
    sentinel,
    sentinel?.nodeClientOptions,
    made,
    made?.options,
    made?._options?.defaults,
  ];
  if (places.some((place: { clientSideCache?: unknown } | null | undefined) => place?.clientSideCache !== undefined)) {
    throw new InvalidOptionError(
      'redis',
      'it has "clientSideCache", by which sessions that have been revoked could still be served',
      'Leave it out.',
    );
  }
}

function checkServers({ url, cluster, sentinel, client }: RedisOptions): void {
  if (url !== undefined) {
    checkAddress('redis.url', url);
  }
  if (cluster !== undefined) {
    checkServerList('redis.cluster', cluster, 'rootNodes', 'As in [{ url: "redis://localhost:6379" }].');
    for (const [index, node] of cluster.rootNodes.entries()) {
      if (node.url !== undefined) {
        checkAddress(`redis.cluster.rootNodes[${index}].url`, node.url);
      }
    }
  }
  if (sentinel !== undefined) {
    const remedy = 'As in [{ host: "localhost", port: 26379 }].';
    checkServerList('redis.sentinel', sentinel, 'sentinelRootNodes', remedy);
  }
  if (client !== undefined) {
    const remedy = 'Give a client of createClient(), createCluster() or createSentinel().';
    requireMethods('redis.client', client, Object.keys(COMMANDS), remedy);
  }
}

function checkServerList(option: string, options: unknown, key: string, remedy: string): void {
  const servers = (options as Record<string, unknown> | null)?.[key];
  if (!Array.isArray(servers) || servers.length === 0 || !servers.every(isObject)) {
    throw new InvalidOptionError(`${option}.${key}`, 'it is no list of servers, or an empty one', remedy);
  }
}

/** The messages leave the address out: it may hold a password. */
function checkAddress(option: string, address: unknown): void {
  if (typeof address !== 'string' || !/^rediss?:\/\//.test(address) || !URL.canParse(address)) {
    throw new InvalidOptionError(option, 'it is no redis:// or rediss:// address', 'As in redis://localhost:6379.');
  }
  const { username, password, pathname } = new URL(address);
  if (!isPercentEncoded(username) || !isPercentEncoded(password)) {
    throw new InvalidOptionError(
      option,
      'its user or password is wrongly percent-encoded',
      'Write each as encodeURIComponent() does.',
    );
  }
  if (!/^(\/\d*)?$/.test(pathname)) {
    throw new InvalidOptionError(option, 'its database is no number', 'As in redis://localhost:6379/1.');
  }
}

function isPercentEncoded(text: string): boolean {
  try {
    decodeURIComponent(text);
    return true;
  } catch {
    return false;
  }
}

function resolvePrefix(prefix: string): string {
  if (typeof prefix !== 'string') {
    throw new InvalidOptionError('prefix', 'it is no string', 'As in "sess:".');
  }
  if (/[{}]/.test(prefix)) {
    throw new InvalidOptionError(
      'prefix',
      'it holds a brace, which would move the cluster hash tag',
      'Use other characters.',
    );
  }
  return prefix;
}

function resolveCookie(cookie: CookieOptions, production: boolean): ResolvedSessionAuthOptions['cookie'] {
  refuseUnknown(cookie, KNOWN_COOKIE_OPTIONS, 'cookie.');
  const resolved = {
    name: cookie.name ?? (production ? '__Host-sid' : 'sid'),
    path: cookie.path ?? '/',
    domain: cookie.domain,
    sameSite: oneOf('cookie.sameSite', cookie.sameSite ?? 'lax', ['lax', 'strict', 'none']),
    secure: cookie.secure ?? (production ? true : 'auto'),
    partitioned: cookie.partitioned ?? false,
  };
  if (!COOKIE_NAME.test(resolved.name)) {
    throw new InvalidOptionError(
      'cookie.name',
      'it holds characters a cookie name cannot',
      'Use letters, digits, "-" and "_".',
    );
  }
  if (!COOKIE_PATH.test(resolved.path)) {
    throw new InvalidOptionError(
      'cookie.path',
      'it does not start with "/", or holds characters a path cannot',
      'Give an absolute path, URL-encoded, such as "/app".',
    );
  }
  if (resolved.domain !== undefined && !COOKIE_DOMAIN.test(resolved.domain)) {
    throw new InvalidOptionError('cookie.domain', 'it is no host name', 'As in "example.com"; or leave it out.');
  }
  checkSecurity(resolved, production);
  return resolved;
}

/** RFC 6265bis, section 4.1.3 (name prefixes) and 5.7 (SameSite=None, Partitioned need Secure). */
function checkSecurity(cookie: ResolvedSessionAuthOptions['cookie'], production: boolean): void {
  if (![true, false, 'auto'].includes(cookie.secure)) {
    throw new InvalidOptionError(
      'cookie.secure',
      `${JSON.stringify(cookie.secure)} is not known`,
      'Choose true, false or "auto".',
    );
  }
  if (production && cookie.secure === false) {
    throw new InvalidOptionError(
      'cookie.secure',
      'an insecure cookie is refused in production',
      'Leave it out, or give true.',
    );
  }
  if (/^__(host|secure)-/i.test(cookie.name) && cookie.secure !== true) {
    throw new InvalidOptionError(
      'cookie.name',
      `browsers refuse "${cookie.name}" without Secure`,
      'Set cookie.secure to true, or give another name.',
    );
  }
  if (/^__host-/i.test(cookie.name) && (cookie.path !== '/' || cookie.domain !== undefined)) {
    throw new InvalidOptionError(
      'cookie.name',
      `browsers refuse "${cookie.name}" with a domain, or a path other than "/"`,
      'Name it "__Secure-sid".',
    );
  }
  if (cookie.sameSite === 'none' && cookie.secure === false) {
    throw new InvalidOptionError(
      'cookie.sameSite',
      'browsers refuse "none" without Secure',
      'Set cookie.secure to true.',
    );
  }
  if (cookie.partitioned && cookie.secure === false) {
    throw new InvalidOptionError(
      'cookie.partitioned',
      'browsers refuse it without Secure',
      'Set cookie.secure to true.',
    );
  }
}

function resolveLifetime(
  lifetime: LifetimeOptions | LifetimePreset,
  foreignStore: boolean,
): ResolvedSessionAuthOptions['lifetime'] {
  if (typeof lifetime === 'string') {
    const preset = oneOf('lifetime', lifetime, ['aal1', 'aal2', 'aal3']);
    return resolveLifetime(LIFETIME_PRESETS[preset], foreignStore);
  }
  refuseUnknown(lifetime, KNOWN_LIFETIME_OPTIONS, 'lifetime.');
  const idle = milliseconds('lifetime.idle', lifetime.idle ?? '1h');
  const touchEvery = milliseconds('lifetime.touchEvery', lifetime.touchEvery ?? idle / 10);
  if (touchEvery >= idle) {
    throw new InvalidOptionError(
      'lifetime.touchEvery',
      'it is not shorter than "lifetime.idle", so busy sessions would end',
      'Leave it out for a tenth of "idle".',
    );
  }
  const absolute = milliseconds('lifetime.absolute', lifetime.absolute ?? '24h');
  return { idle, absolute, touchEvery, ...resolveRotation(lifetime, foreignStore) };
}

function resolveRotation(
  { rotateEvery, rotationGrace = '30s' }: LifetimeOptions,
  foreignStore: boolean,
): Pick<ResolvedSessionAuthOptions['lifetime'], 'rotateEvery' | 'rotationGrace'> {
  if (foreignStore && rotateEvery !== undefined && rotateEvery !== false) {
    throw new InvalidOptionError(
      'lifetime.rotateEvery',
      'it is given beside "store", whose contract cannot change a secret in one step',
      'Leave it out, or use "redis" in place of "store".',
    );
  }
  const never = foreignStore || rotateEvery === false;
  return {
    rotateEvery: never ? Infinity : milliseconds('lifetime.rotateEvery', rotateEvery ?? '15m'),
    rotationGrace: milliseconds('lifetime.rotationGrace', rotationGrace),
  };
}

function resolveMaxSessions({ maxSessions, store }: SessionAuthOptions): ResolvedSessionAuthOptions['maxSessions'] {
  if (maxSessions === undefined) {
    return undefined;
  }
  if (!isObject(maxSessions)) {
    throw new InvalidOptionError('maxSessions', 'it is no object', 'As in { limit: 3 }.');
  }
  refuseUnknown(maxSessions, KNOWN_MAX_SESSIONS_OPTIONS, 'maxSessions.');
  const { limit, overflow = 'evict-oldest' } = maxSessions;
  if (!(Number.isSafeInteger(limit) && limit > 0)) {
    throw new InvalidOptionError('maxSessions.limit', `${String(limit)} is no whole number above zero`, 'As in 3.');
  }
  if (store !== undefined) {
    throw new InvalidOptionError(
      'maxSessions',
      'it is given beside "store", whose contract cannot count sessions',
      'Use "redis" in place of "store".',
    );
  }
  return { limit, overflow: oneOf('maxSessions.overflow', overflow, ['evict-oldest', 'reject']) };
}

function resolveRedisTimeout(timeout: Duration): number {
  const value = milliseconds('redisTimeout', timeout);
  if (value > LONGEST_TIMER) {
    throw new InvalidOptionError(
      'redisTimeout',
      `${JSON.stringify(timeout)} is longer than a timer can run (${LONGEST_TIMER} ms, 24.8 days)`,
      'Give what a request may wait, such as "2s".',
    );
  }
  return value;
}

function resolveWarnAtBytes(bytes: number): number {
  if (bytes !== Infinity && !(Number.isSafeInteger(bytes) && bytes > 0)) {
    throw new InvalidOptionError(
      'warnAtBytes',
      `${String(bytes)} is no whole number above zero`,
      'Give a number of bytes, or Infinity for no warning.',
    );
  }
  return bytes;
}

function resolveDevice(device: SessionAuthOptions['device']): ResolvedSessionAuthOptions['device'] {
  if (device !== undefined && device !== false && typeof device !== 'function') {
    throw new InvalidOptionError(
      'device',
      'it is neither false nor a function',
      'Give (request) => ({ ip, userAgent, label }).',
    );
  }
  return device ?? deviceOfRequest;
}

/** The default `device`: the address Express made out (behind a trusted proxy the client's), or the socket's. */
function deviceOfRequest(request: SessionRequest): Device {
  const ip = request.ip ?? request.socket.remoteAddress;
  const userAgent = request.headers['user-agent'];
  return { ...(ip !== undefined && { ip }), ...(userAgent !== undefined && { userAgent: userAgent.slice(0, 256) }) };
}

function resolveExclude(patterns: RoutePattern[]): readonly RoutePattern[] {
  if (!Array.isArray(patterns)) {
    throw new InvalidOptionError('exclude', 'it is no list', 'As in ["health", "assets/{*path}"].');
  }
  for (const pattern of patterns) {
    const path = isObject(pattern) ? pattern.path : pattern;
    try {
      pathToRegexp(path);
    } catch (error) {
      throw new InvalidOptionError(
        'exclude',
        `"${path}" is no route pattern (${(error as Error).message})`,
        'Name the wildcard, as in "assets/{*path}".',
      );
    }
  }
  return patterns;
}
