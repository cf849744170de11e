import { RequestMethod } from '@nestjs/common';
import { pathToRegexp } from 'path-to-regexp';
import type { SessionRequest } from '../http/session-request.js';
import type { Device } from '../model/session-info.js';
import type {
  ConnectionOptions,
  Duration,
  ResolvedSessionAuthOptions,
  RoutePattern,
  SessionAuthOptions,
} from '../session-auth.options.js';
import { resolveAdopt } from './adopt.js';
import { demand, isObject, isProduction, oneOf, refuseUnknown, requireMethods, WHAT_IS_PRODUCTION } from './checks.js';
import { resolveCookie } from './cookie.js';
import { milliseconds } from './duration.js';
import { OLD_OPTIONS } from './express-session-options.js';
import { resolveLifetime } from './lifetime.js';
import { resolveStore } from './store.js';
import { resolveTrustedOrigins } from './trusted-origins.js';
import { warningsOf } from './warnings.js';

const KNOWN_OPTIONS: Record<keyof SessionAuthOptions, true> = {
  secret: true,
  redis: true,
  store: true,
  prefix: true,
  cookie: true,
  lifetime: true,
  maxSessions: true,
  connections: true,
  trustedOrigins: true,
  crossSite: true,
  adopt: true,
  onStoreError: true,
  redisTimeout: true,
  warnAtBytes: true,
  knownDevices: true,
  device: true,
  serializers: true,
  exclude: true,
};

/** Least length of a secret, in bytes: the length of a SHA-256 hash (RFC 2104, section 3). */
const SECRET_BYTES = 32;
/** Least number of different characters of a secret. A random one has more, also in hexadecimal digits. */
const SECRET_CHARACTERS = 10;

/** Longest time of `setTimeout`, in milliseconds: a longer timer fires at once. */
const LONGEST_TIMER = 2 ** 31 - 1;

/**
 * Checks the options and fills in the defaults.
 *
 * @param env the value of `NODE_ENV`
 * @throws InvalidOptionError that names the option, what is wrong with it, and the remedy
 */
export function resolveOptions(
  options: SessionAuthOptions | null | undefined,
  env: string | undefined,
): ResolvedSessionAuthOptions {
  demand(isObject(options), 'secret', 'there are no options at all', 'Return them from the factory.');
  const production = isProduction(env);
  const warnings: string[] = [];
  refuseUnknown(options, KNOWN_OPTIONS, '', OLD_OPTIONS);
  const resolved = {
    secrets: resolveSecrets(options.secret, production, warnings),
    ...resolveStore(options, production),
    prefix: resolvePrefix(options.prefix ?? 'sess:'),
    cookie: resolveCookie(options.cookie ?? {}, production),
    lifetime: resolveLifetime(options.lifetime ?? {}, options.store !== undefined),
    maxSessions: resolveMaxSessions(options),
    connections: resolveConnections(options.connections),
    trustedOrigins: resolveTrustedOrigins(options.trustedOrigins ?? []),
    crossSite: oneOf('crossSite', options.crossSite ?? 'refuse', ['refuse', 'allow']),
    onStoreError: oneOf('onStoreError', options.onStoreError ?? 'fail', ['fail', 'anonymous']),
    redisTimeout: timerDuration('redisTimeout', options.redisTimeout ?? 500, 'what a request may wait, such as "2s"'),
    warnAtBytes: resolveWarnAtBytes(options.warnAtBytes ?? 65_536),
    knownDevices: resolveKnownDevices(options.knownDevices ?? false),
    device: resolveDevice(options.device),
    serializers: resolveSerializers(options.serializers),
    exclude: resolveExclude(options.exclude ?? []),
  };
  const adopt = resolveAdopt(options.adopt, resolved);
  return { ...resolved, ...adopt, warnings: [...warnings, ...warningsOf(resolved)] };
}

function resolveSecrets(
  secret: SessionAuthOptions['secret'],
  production: boolean,
  warnings: string[],
): readonly [string, ...string[]] {
  const remedy = 'Give the output of "openssl rand -base64 32", by an environment variable.';
  const secrets = [secret].flat();
  demand(isListOfTexts(secrets), 'secret', 'it is missing or empty', remedy);
  for (const problem of new Set(secrets.flatMap(weaknessOf))) {
    demand(!production, 'secret', problem, `${remedy} ${WHAT_IS_PRODUCTION}`);
    warnings.push(`Option "secret": ${problem}, which production refuses. ${remedy}`);
  }
  return secrets;
}

/** Why a secret could be guessed, if it could be. */
function weaknessOf(secret: string): string[] {
  return [
    ...(Buffer.byteLength(secret) < SECRET_BYTES ? [`it is shorter than ${SECRET_BYTES} bytes`] : []),
    ...(new Set(secret).size < SECRET_CHARACTERS
      ? [`it has fewer than ${SECRET_CHARACTERS} different characters`]
      : []),
  ];
}

function isListOfTexts(values: readonly unknown[]): values is [string, ...string[]] {
  return values.length > 0 && values.every((one) => typeof one === 'string' && one !== '');
}

function resolvePrefix(prefix: string): string {
  demand(typeof prefix === 'string', 'prefix', 'it is no string', 'As in "sess:".');
  const problem = 'it holds a brace, which would move the cluster hash tag';
  demand(!/[{}]/.test(prefix), 'prefix', problem, 'Use other characters.');
  return prefix;
}

function resolveMaxSessions({ maxSessions, store }: SessionAuthOptions): ResolvedSessionAuthOptions['maxSessions'] {
  if (maxSessions === undefined) {
    return undefined;
  }
  demand(isObject(maxSessions), 'maxSessions', 'it is no object', 'As in { limit: 3 }.');
  refuseUnknown(maxSessions, { limit: true, overflow: true }, 'maxSessions.');
  const { limit, overflow = 'evict-oldest' } = maxSessions;
  demand(isCount(limit), 'maxSessions.limit', `${String(limit)} is no whole number above zero`, 'As in 3.');
  demand(
    store === undefined,
    'maxSessions',
    'it is given beside "store", whose contract cannot count sessions',
    'Use "redis" in place of "store".',
  );
  return { limit, overflow: oneOf('maxSessions.overflow', overflow, ['evict-oldest', 'reject']) };
}

function isCount(value: unknown): boolean {
  return Number.isSafeInteger(value) && Number(value) > 0;
}

function resolveConnections(connections: ConnectionOptions = {}): ResolvedSessionAuthOptions['connections'] {
  demand(isObject(connections), 'connections', 'it is no object', 'As in { recheck: "30s" }.');
  refuseUnknown(connections, { recheck: true }, 'connections.');
  const remedy = 'how long a connection may outlive its session, such as "30s"';
  return { recheck: timerDuration('connections.recheck', connections.recheck ?? '30s', remedy) };
}

/** A duration that a timer can run for. */
function timerDuration(option: string, duration: Duration, remedy: string): number {
  const value = milliseconds(option, duration);
  demand(
    value <= LONGEST_TIMER,
    option,
    `${JSON.stringify(duration)} is longer than a timer can run (${LONGEST_TIMER} ms, 24.8 days)`,
    `Give ${remedy}.`,
  );
  return value;
}

function resolveWarnAtBytes(bytes: number): number {
  demand(
    bytes === Infinity || isCount(bytes),
    'warnAtBytes',
    `${String(bytes)} is no whole number above zero`,
    'Give a number of bytes, or Infinity for no warning.',
  );
  return bytes;
}

function resolveKnownDevices(knownDevices: boolean): boolean {
  demand(
    typeof knownDevices === 'boolean',
    'knownDevices',
    `${JSON.stringify(knownDevices)} is not known`,
    'Choose true or false.',
  );
  return knownDevices;
}

function resolveDevice(device: SessionAuthOptions['device']): ResolvedSessionAuthOptions['device'] {
  demand(
    device === undefined || device === false || typeof device === 'function',
    'device',
    'it is neither false nor a function',
    'Give (request) => ({ ip, userAgent, label }).',
  );
  return device ?? deviceOfRequest;
}

/** The default `device`: the user agent and the client's address, as Express determines it behind trusted proxies. */
export function deviceOfRequest(request: SessionRequest): Device {
  const ip = request.ip ?? request.socket.remoteAddress;
  const userAgent = request.headers['user-agent'];
  return { ...(ip !== undefined && { ip }), ...(userAgent !== undefined && { userAgent: userAgent.slice(0, 256) }) };
}

function resolveSerializers(serializers: SessionAuthOptions['serializers']): typeof serializers {
  // A class is undefined where two files import each other.
  const isList = Array.isArray(serializers) && serializers.every((type) => typeof type === 'function');
  demand(serializers === undefined || isList, 'serializers', 'it is no list of classes', 'As in [AppUserSerializer].');
  for (const type of serializers ?? []) {
    const methods = ['serializeUser', 'deserializeUser', 'userId', 'supports'];
    requireMethods('serializers', type.prototype, methods, `Let ${type.name} extend UserSerializer.`);
  }
  return serializers;
}

function resolveExclude(patterns: RoutePattern[]): readonly RoutePattern[] {
  demand(Array.isArray(patterns), 'exclude', 'it is no list', 'As in ["health", "assets/{*path}"].');
  for (const pattern of patterns) {
    const { path, method } = isObject(pattern) ? pattern : { path: pattern };
    const flaw = flawOf(path);
    demand(
      flaw === undefined,
      'exclude',
      `"${path}" is no route pattern (${flaw})`,
      'Name the wildcard, as in "assets/{*path}".',
    );
    const isMethod = method === undefined || (typeof method === 'number' && method in RequestMethod);
    demand(isMethod, 'exclude', `${JSON.stringify(method)} is no method`, 'As in RequestMethod.GET.');
  }
  return patterns;
}

/** Why `path-to-regexp` refuses a pattern; `undefined` when it does not. */
function flawOf(pattern: string): string | undefined {
  try {
    pathToRegexp(pattern);
    return undefined;
  } catch (error) {
    return (error as Error).message;
  }
}
