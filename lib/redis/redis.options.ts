import type { RedisClientOptions, RedisClusterOptions, RedisSentinelOptions } from 'redis';

/**
 * What the module asks of a Redis client. `createClient()`, `createCluster()` and `createSentinel()` of `redis` 5 and 6
 * all give it.
 */
export interface RedisCommands {
  get(key: string): Promise<unknown>;
  set(key: string, value: string, options: { NX?: true; PX: number }): Promise<unknown>;
  del(keys: string | string[]): Promise<unknown>;
  eval(script: string, options: { keys: string[]; arguments: string[] }): Promise<unknown>;
  evalSha(sha1: string, options: { keys: string[]; arguments: string[] }): Promise<unknown>;
}

/**
 * Where the sessions live.
 *
 * - `{ url, ... }`: one server; everything `createClient()` takes may stand beside `url`
 * - `{ cluster }`: a Redis Cluster, by the options of `createCluster()`
 * - `{ sentinel }`: a master found by Sentinel, by the options of `createSentinel()`
 * - `{ client }`: a client of your own, which you connect, watch for `error` events and close
 */
export type RedisOptions =
  | (Omit<RedisClientOptions, 'url'> & { url: string | undefined; cluster?: never; sentinel?: never; client?: never })
  | { cluster: RedisClusterOptions; url?: never; sentinel?: never; client?: never }
  | { sentinel: RedisSentinelOptions; url?: never; cluster?: never; client?: never }
  | { client: RedisCommands; url?: never; cluster?: never; sentinel?: never };
