import type { Store } from 'express-session';
import type { IoredisClient, RedisCommands, RedisOptions } from '../redis/redis-options.js';
import type { ResolvedSessionAuthOptions, SessionAuthOptions } from '../session-auth.options.js';
import { demand, isObject, requireMethods, WHAT_IS_PRODUCTION } from './checks.js';
import { checkIoredis, isIoredis } from './ioredis.js';

const COMMANDS: Record<keyof RedisCommands, true> = { get: true, set: true, del: true, eval: true, evalSha: true };

const GIVE_REDIS = 'Give { url }, { cluster }, { sentinel } or { client }.';

/** Where sessions are stored. Both are `undefined` for this process's memory. */
export function resolveStore(
  { redis, store }: SessionAuthOptions,
  production: boolean,
): Pick<ResolvedSessionAuthOptions, 'redis' | 'store'> {
  demand(redis === undefined || store === undefined, 'store', 'it is given beside "redis"', 'Give one of the two.');
  if (store !== undefined) {
    requireMethods('store', store, ['get', 'set', 'destroy'], 'Give an express-session Store.');
    demand(
      !production || !isMemoryStore(store),
      'store',
      "it is express-session's MemoryStore, whose sessions end with the process, are not shared, and are never removed",
      `Give "redis" in its place, or another store. ${WHAT_IS_PRODUCTION}`,
    );
    return { redis: undefined, store };
  }
  const used = redis !== undefined && usesRedis(redis) ? redis : undefined;
  demand(
    used !== undefined || !production,
    'redis',
    'it is missing, and sessions in memory end with the process and are not shared',
    `${GIVE_REDIS} ${WHAT_IS_PRODUCTION}`,
  );
  return { redis: used, store: undefined };
}

/**
 * Whether a store is express-session's `MemoryStore`, or a subclass. By its form, since it may be of another copy of
 * the package, whose class is not ours, or of a bundle, in which it has another name.
 */
function isMemoryStore(store: Store & { sessions?: unknown }): boolean {
  const { sessions } = store;
  return Object.hasOwn(store, 'sessions') && isObject(sessions) && Object.getPrototypeOf(sessions) === null;
}

/** False when the url is undefined or empty, as `process.env.REDIS_URL` may be on a developer's machine. */
function usesRedis(redis: RedisOptions): boolean {
  demand(isObject(redis), 'redis', 'it is no object', GIVE_REDIS);
  const { get } = redis as { get?: unknown };
  demand(typeof get !== 'function', 'redis', 'it is a client', 'Give { client }, with this client in it.');
  const given = (['url', 'cluster', 'sentinel', 'client'] as const).filter((key) => redis[key] !== undefined);
  if (given.length === 0 && 'url' in redis) {
    return false;
  }
  demand(
    given.length === 1,
    'redis',
    `it has ${given.join(' and ') || 'no server'}`,
    'Give exactly one of url, cluster, sentinel and client.',
  );
  refuseReadCache(redis);
  if (redis.url === '') {
    return false;
  }
  checkServers(redis);
  return true;
}

/**
 * Refuses client-side caching: over a connection that the network has forgotten no invalidation arrives, and a revoked
 * session would still be served. A given client has its cache at one of the last three places.
 */
function refuseReadCache({ cluster, sentinel, client, ...server }: RedisOptions): void {
  const made = client as { options?: object; _options?: { defaults?: object } } | null | undefined;
  const places: ({ clientSideCache?: unknown } | null | undefined)[] = [
    server,
    cluster,
    cluster?.defaults,
    sentinel,
    sentinel?.nodeClientOptions,
    made,
    made?.options,
    made?._options?.defaults,
  ];
  demand(
    places.every((place) => place?.clientSideCache === undefined),
    'redis',
    'it has "clientSideCache", by which sessions that have been revoked could still be served',
    'Leave it out.',
  );
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
    checkClient(client);
  }
}

function checkClient(client: RedisCommands | IoredisClient): void {
  if (isIoredis(client)) {
    checkIoredis(client);
    return;
  }
  const remedy =
    'Give a client of createClient(), createCluster() or createSentinel() of redis, or a Redis or Cluster of ioredis.';
  requireMethods('redis.client', client, Object.keys(COMMANDS), remedy);
}

function checkServerList(option: string, options: unknown, key: string, remedy: string): void {
  const servers = (options as Record<string, unknown> | null)?.[key];
  const isList = Array.isArray(servers) && servers.length > 0 && servers.every(isObject);
  demand(isList, `${option}.${key}`, 'it is no list of servers, or an empty one', remedy);
}

/** The messages leave the address out: it may contain a password. */
function checkAddress(option: string, address: unknown): void {
  demand(
    typeof address === 'string' && /^rediss?:\/\//.test(address) && URL.canParse(address),
    option,
    'it is no redis:// or rediss:// address',
    'As in redis://localhost:6379.',
  );
  const { username, password, pathname } = new URL(address);
  demand(
    isPercentEncoded(username) && isPercentEncoded(password),
    option,
    'its user or password is wrongly percent-encoded',
    'Write each as encodeURIComponent() does.',
  );
  demand(/^(\/\d*)?$/.test(pathname), option, 'its database is no number', 'As in redis://localhost:6379/1.');
}

function isPercentEncoded(text: string): boolean {
  try {
    decodeURIComponent(text);
    return true;
  } catch {
    return false;
  }
}
