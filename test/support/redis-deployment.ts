import type { RedisOptions } from '../../lib/index.js';
import { ClusterAccess } from './cluster-access.js';
import type { RedisAccess } from './redis-access.js';
import { RedisLine } from './redis-line.js';
import { RedisMonitor } from './redis-monitor.js';
import { RedisServer } from './redis-server.js';
import { SharedCluster } from './shared-cluster.js';

/** How a suite has its Redis, as its titles say it: as one server, or as a cluster. */
export const DEPLOYMENTS = ['redis', 'cluster'] as const;
export type DeploymentKind = (typeof DEPLOYMENTS)[number];

type ServerClient = Awaited<ReturnType<RedisServer['client']>>;

/**
 * Commands on a key, which a cluster's client sends to the key's master. Of `KEYS`, `FLUSHALL` or `CONFIG` it would ask
 * any one server: those are the deployment's own methods.
 */
export type RedisClient = Pick<
  ServerClient,
  | 'del'
  | 'eval'
  | 'evalSha'
  | 'exists'
  | 'get'
  | 'getDel'
  | 'hSet'
  | 'lPush'
  | 'pExpire'
  | 'pTTL'
  | 'publish'
  | 'sAdd'
  | 'set'
  | 'ttl'
  | 'type'
  | 'xAdd'
  | 'zAdd'
  | 'zRange'
  | 'zRangeWithScores'
>;

/** Redis for tests that are the same on one server and on a cluster: real servers, on free ports,
 * until `stop()`. A cluster is the process's own, from test file to test file, and begins as a new one does. */
export class RedisDeployment {
  private constructor(
    private readonly servers: RedisServer | SharedCluster,
    /** Sees what is stored, past the application. */
    readonly client: RedisClient,
  ) {}

  static async start(kind: DeploymentKind): Promise<RedisDeployment> {
    const servers = await (kind === 'cluster' ? SharedCluster.take() : RedisServer.start());
    return new RedisDeployment(servers, await servers.client());
  }

  /** As a suite's title has it: none, where its sessions are in memory. */
  static async startIn(where: string): Promise<RedisDeployment | undefined> {
    const kind = DEPLOYMENTS.find((one) => one === where);
    if (kind === undefined && where !== 'memory') throw new RangeError(`Sessions cannot be in ${where}`);
    return kind && RedisDeployment.start(kind);
  }

  /** An application's `redis`. */
  get options(): RedisOptions {
    return this.servers instanceof ClusterAccess
      ? { cluster: { rootNodes: this.servers.rootNodes } }
      : { url: this.servers.url };
  }

  /** The one server, for what is about one. */
  get server(): RedisServer {
    if (this.servers instanceof ClusterAccess) throw new Error('This is a cluster');
    return this.servers;
  }

  /** Every server that holds keys of its own. */
  async masters(): Promise<RedisAccess[]> {
    return this.servers instanceof ClusterAccess ? this.servers.masters() : [this.servers];
  }

  /** One more connected client. */
  connect(): Promise<RedisClient> {
    return this.servers.client();
  }

  async keys(): Promise<string[]> {
    const replies = await this.#askAll('KEYS', '*');
    return replies.flatMap((reply) => Array.from(reply.matchAll(/\$\d+\r\n(.*)\r\n/g), ([, key = '']) => key)).sort();
  }

  /** Removes all keys. */
  async flush(): Promise<void> {
    await this.#askAll('FLUSHALL');
  }

  /** Reads are answered, and writes refused with an error, until told otherwise. */
  async refuseWrites(refused = true): Promise<void> {
    // More replicas than any server here has got.
    await this.#askAll('CONFIG', 'SET', 'min-replicas-to-write', refused ? '9' : '0');
  }

  /** How many clients listen to a channel, by any server. */
  async subscribers(channel: string): Promise<number> {
    const replies = await this.#askAll('PUBSUB', 'NUMSUB', channel);
    return replies.reduce((sum, reply) => sum + Number(/:(\d+)/.exec(reply)?.[1]), 0);
  }

  /** Cuts the lines of all who listen to channels. */
  async cutSubscribers(): Promise<void> {
    await this.#askAll('CLIENT', 'KILL', 'TYPE', 'PUBSUB');
  }

  /** Calls per command, of all servers together. */
  commandStats(): Promise<Record<string, number>> {
    return this.servers.commandStats();
  }

  async monitor(): Promise<RedisMonitor> {
    return RedisMonitor.start(...(await this.masters()));
  }

  async line(): Promise<RedisLine> {
    return this.servers instanceof ClusterAccess ? RedisLine.toAll(await this.masters()) : RedisLine.to(this.servers);
  }

  stop(): Promise<void> {
    return this.servers.stop();
  }

  async #askAll(...words: string[]): Promise<string[]> {
    return Promise.all((await this.masters()).map((master) => master.ask(...words)));
  }
}
