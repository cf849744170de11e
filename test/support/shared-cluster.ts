import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ClusterAccess } from './cluster-access.js';
import { RedisAccess } from './redis-access.js';
import { RedisCluster } from './redis-cluster.js';
import { Watchdog } from './watchdog.js';

/** Test files share nothing in memory; what one has started for all that follow in its process is written down here. */
const directory = join(tmpdir(), `redis-cluster-of-${process.pid}`);
const nodesFile = join(directory, 'nodes.json');

type Address = Pick<RedisAccess, 'port' | 'socket'>;

/**
 * The one cluster of a test process: it takes seconds for six servers to become one, so the first test file that asks
 * starts it, and it runs until the process ends. Whoever takes it finds it empty and as configured at first.
 */
export class SharedCluster extends ClusterAccess {
  static #taken = false;

  static async take(): Promise<SharedCluster> {
    if (SharedCluster.#taken) throw new Error('A test file has one cluster at a time: stop() the other one first');
    SharedCluster.#taken = true;
    try {
      return await ((await SharedCluster.#running()) ?? (await SharedCluster.#start())).#cleaned();
    } catch (error) {
      SharedCluster.#taken = false;
      throw error;
    }
  }

  /** Gives it back. */
  stop(): Promise<void> {
    this.disconnect();
    SharedCluster.#taken = false;
    return Promise.resolve();
  }

  static async #running(): Promise<SharedCluster | undefined> {
    try {
      const addresses = JSON.parse(readFileSync(nodesFile, 'utf8')) as Address[];
      const cluster = new SharedCluster(addresses.map(({ port, socket }) => new RedisAccess(port, socket)));
      return (await cluster.masters()).length > 0 ? cluster : undefined;
    } catch {
      return undefined;
    }
  }

  static async #start(): Promise<SharedCluster> {
    const nodes = await (await RedisCluster.start()).abandon();
    rmSync(directory, { recursive: true, force: true });
    mkdirSync(directory, { mode: 0o700 });
    new Watchdog(directory);
    writeFileSync(nodesFile, JSON.stringify(nodes.map(({ port, socket }): Address => ({ port, socket }))));
    return new SharedCluster(nodes);
  }

  async #cleaned(): Promise<this> {
    for (const node of await this.masters()) {
      await node.ask('CONFIG', 'SET', 'min-replicas-to-write', '0');
      for (const words of [['FLUSHALL'], ['SCRIPT', 'FLUSH'], ['CONFIG', 'RESETSTAT']]) await node.ask(...words);
    }
    return this;
  }
}
