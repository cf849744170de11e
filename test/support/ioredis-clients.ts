import { Cluster, type ClusterOptions, Redis, type RedisOptions as IoredisOptions } from 'ioredis';
import { Cluster as Cluster5, Redis as Redis5 } from 'ioredis5';
import type { IoredisClient, RedisOptions } from '../../lib/index.js';

/** The majors of ioredis that are supported. */
export type IoredisVersion = 5 | 6;

/** Each of these is a client that an application may give. */
const CLASSES: Record<IoredisVersion, Record<'Redis' | 'Cluster', new (...args: never) => IoredisClient>> = {
  5: { Redis: Redis5, Cluster: Cluster5 },
  6: { Redis, Cluster },
};

/** The same. What a test does with them is alike in both; only their types are not. */
export const IOREDIS = CLASSES as unknown as Record<IoredisVersion, { Redis: typeof Redis; Cluster: typeof Cluster }>;

/** A client of ioredis, as documented: it gives up a dead connection, and is soon back. */
const DOCUMENTED = { socketTimeout: 1_000, retryStrategy: () => 250 };

/** A client of ioredis and its end. */
export type TestIoredis = IoredisClient & { disconnect(): void };

/** A client of ioredis for the servers that these options of an application name. */
export function ioredis(
  { url, cluster }: RedisOptions,
  version: IoredisVersion = 6,
  options: IoredisOptions & ClusterOptions = {},
): TestIoredis {
  const { Redis, Cluster } = IOREDIS[version];
  const client = cluster
    ? new Cluster(
        cluster.rootNodes.map((node) => node.url!),
        { redisOptions: DOCUMENTED, ...options },
      )
    : new Redis(url!, { ...DOCUMENTED, ...options });
  // A test that breaks its servers means it.
  return client.on('error', () => undefined);
}
