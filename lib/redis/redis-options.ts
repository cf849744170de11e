import type { RedisClientOptions, RedisClusterOptions, RedisSentinelOptions } from 'redis';

/**
 * The commands that the module sends. The clients of `createClient()`, `createCluster()` and `createSentinel()` of
 * `redis` 5 and 6 have them.
 *
 * @example
 * ```ts
 * const client: RedisCommands = await createClient({ url: process.env.REDIS_URL })
 *   .on('error', (error) => console.error(error))
 *   .connect();
 *
 * @Module({ imports: [SessionAuthModule.forRoot({ secret: process.env.SESSION_SECRET, redis: { client } })] })
 * class AppModule {}
 * ```
 */
export interface RedisCommands {
  get(key: string): Promise<unknown>;
  set(key: string, value: string, options: { NX?: true; PX: number }): Promise<unknown>;
  del(keys: string | string[]): Promise<unknown>;
  eval(script: string, options: { keys: string[]; arguments: string[] }): Promise<unknown>;
  evalSha(sha1: string, options: { keys: string[]; arguments: string[] }): Promise<unknown>;
}

/**
 * A `Redis` or a `Cluster` of `ioredis` 5 or 6: what the module asks of it, beside its commands. These options are refused
 * at boot: `keyPrefix` (use `prefix`), `stringNumbers`, `readOnly`, `monitor`, the `role` `'slave'`, and `scaleReads` other
 * than `'master'`.
 *
 * @example
 * ```ts
 * const client: IoredisClient = new Redis(process.env.REDIS_URL ?? 'redis://localhost:6379', {
 *   socketTimeout: 1_000, // A connection that is dead, although nothing has closed it, is given up for another.
 *   retryStrategy: () => 250, // Redis is in use again that soon after it is back.
 * }).on('error', (error) => console.error(error));
 *
 * @Module({ imports: [SessionAuthModule.forRoot({ secret: process.env.SESSION_SECRET, redis: { client } })] })
 * class AppModule {}
 * ```
 */
export interface IoredisClient {
  readonly status: string;
  readonly isCluster: boolean;
  readonly options: object;
  connect(): Promise<unknown>;
  on(event: string, listener: () => void): unknown;
}

/**
 * Where sessions are stored.
 *
 * - `{ url, ... }`: one server; all other options of `createClient()` may stand beside `url`
 * - `{ cluster }`: a Redis Cluster, by the options of `createCluster()`
 * - `{ sentinel }`: a master found by Sentinel, by the options of `createSentinel()`
 * - `{ client }`: a client of your own, which you close, and listen to for `error` events: one of `redis`, which you
 *   connect, too, or one of `ioredis`
 *
 * The first three need the package `redis`.
 *
 * @example
 * ```ts
 * const server: RedisOptions = { url: 'rediss://redis.example.com:6380', password: process.env.REDIS_PASSWORD };
 * const cluster: RedisOptions = {
 *   cluster: { rootNodes: [{ url: 'redis://node-1:6379' }, { url: 'redis://node-2:6379' }] },
 * };
 * const sentinel: RedisOptions = {
 *   sentinel: { name: 'mymaster', sentinelRootNodes: [{ host: 'sentinel-1', port: 26379 }] },
 * };
 * ```
 */
export type RedisOptions =
  | (Omit<RedisClientOptions, 'url'> & { url: string | undefined; cluster?: never; sentinel?: never; client?: never })
  | { cluster: RedisClusterOptions; url?: never; sentinel?: never; client?: never }
  | { sentinel: RedisSentinelOptions; url?: never; cluster?: never; client?: never }
  | { client: RedisCommands | IoredisClient; url?: never; cluster?: never; sentinel?: never };
