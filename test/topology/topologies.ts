import { readFileSync } from 'node:fs';
import type { RedisCommands, RedisOptions } from '../../lib/index.js';
import { redisServerBinaries } from '../../scripts/redis-server-binary.mjs';
import { ioredis, type TestIoredis } from '../support/ioredis-clients.js';
import { createUser } from '../support/redis-acl.js';
import { RedisCluster } from '../support/redis-cluster.js';
import { RedisSentinel } from '../support/redis-sentinel.js';
import { RedisServer } from '../support/redis-server.js';
import { RedisTls } from '../support/redis-tls.js';

/** Some way in which Redis is run, started. */
export interface Topology {
  /** The application's `redis` option. */
  redis: RedisOptions;
  /** To see and to change what is stored, past the application. */
  client: RedisCommands;
  /** Where a master can be replaced. */
  masters?: Masters;
  stop(): Promise<void>;
}

/** Each takes the key whose master is meant, and resolves when there is another. */
export interface Masters {
  /** In good order. */
  failover(key: string): Promise<unknown>;
  /** By an election, because it was killed. */
  crash(key: string): Promise<unknown>;
  /** By an election, because it hangs and keeps its connections. */
  hang(key: string): Promise<unknown>;
  /** Nothing of it can be reached any more, until it is healed. */
  outage(): Promise<void>;
  /** Everything is up again. */
  heal(): Promise<void>;
}

/** A prefix that would match other keys, too, were it taken for a pattern. */
export const GLOB_PREFIX = 'a*b[c]?:';

/** The rights that docs/redis.md tells to give; for another prefix, too, and for what walks over all keys. */
export function documentedRights(): string {
  const operations = readFileSync(new URL('../../docs/redis.md', import.meta.url), 'utf8');
  const [, rights] = /^ACL SETUSER app on >password (.+)$/m.exec(operations) ?? [];
  if (rights === undefined) throw new Error('docs/redis.md has no ACL line');
  return `${rights} ~a\\*b\\[c\\]\\?:{* +scan`;
}

interface Row {
  name: string;
  start(): Promise<Topology>;
  /** Why it cannot be had on this machine. */
  missing?: string;
  /** Its masters can be replaced: `masters` will be there. */
  replaces?: true;
}

export const TOPOLOGIES: Row[] = redisServerBinaries().flatMap((binary) => {
  const rows: Row[] = [
    { name: 'one server', start: () => single(binary) },
    { name: 'a server with TLS', start: () => tls(binary), missing: RedisTls.missing(binary) },
    { name: 'a server with a user of few rights', start: () => acl(binary) },
    { name: 'a cluster', start: () => cluster(binary), replaces: true },
    { name: 'a master behind Sentinel', start: () => sentinel(binary), replaces: true },
  ];
  return rows.map((row) => ({ ...row, name: `${row.name} (${binary})` }));
});

/** A cluster by ioredis. One binary stands for all: what each server can do, the rows above show. */
export const IOREDIS_TOPOLOGIES: Row[] = redisServerBinaries()
  .slice(0, 1)
  .map((binary) => ({ name: `a cluster by ioredis (${binary})`, start: () => ioredisCluster(binary), replaces: true }));

async function ioredisCluster(binary: string): Promise<Topology> {
  const { redis, stop, ...topology } = await cluster(binary);
  const clients: TestIoredis[] = [];
  return {
    ...topology,
    /** A client for each application, which it gives. */
    get redis() {
      const client = ioredis(redis);
      clients.push(client);
      return { client };
    },
    stop: async () => {
      for (const client of clients) client.disconnect();
      await stop();
    },
  };
}

async function single(binary: string): Promise<Topology> {
  const server = await RedisServer.start({ binary });
  return { redis: { url: server.url }, client: await server.client(), stop: () => server.stop() };
}

async function tls(binary: string): Promise<Topology> {
  const redis = await RedisTls.start({ binary });
  return { redis: redis.options, client: await redis.server.client(), stop: () => redis.stop() };
}

async function acl(binary: string): Promise<Topology> {
  const server = await RedisServer.start({ binary });
  const url = await createUser(server, documentedRights());
  return { redis: { url }, client: await server.client(), stop: () => server.stop() };
}

async function cluster(binary: string): Promise<Topology> {
  const redis = await RedisCluster.start({ binary });
  return {
    redis: { cluster: { rootNodes: redis.rootNodes } },
    client: await redis.client(),
    masters: {
      failover: async (key) => redis.failover(await redis.masterOf(key)),
      crash: async (key) => redis.crash(await redis.masterOf(key)),
      hang: async (key) => redis.hang(await redis.masterOf(key)),
      outage: () => redis.outage(),
      heal: () => redis.heal(),
    },
    stop: () => redis.stop(),
  };
}

async function sentinel(binary: string): Promise<Topology> {
  const redis = await RedisSentinel.start({ binary });
  const { name, sentinelRootNodes } = redis;
  return {
    redis: { sentinel: { name, sentinelRootNodes } },
    client: await redis.client(),
    masters: {
      failover: () => redis.failover(),
      crash: () => redis.crash(),
      hang: () => redis.hang(),
      outage: () => redis.outage(),
      heal: () => redis.heal(),
    },
    stop: () => redis.stop(),
  };
}
