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
 * Where sessions are stored.
 *
 * - `{ url, ... }`: one server; all other options of `createClient()` may stand beside `url`
 * - `{ cluster }`: a Redis Cluster, by the options of `createCluster()`
 * - `{ sentinel }`: a master found by Sentinel, by the options of `createSentinel()`
 * - `{ client }`: a client of your own, which you connect, close, and listen to for `error` events
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
  | { client: RedisCommands; url?: never; cluster?: never; sentinel?: never };
