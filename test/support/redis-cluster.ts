import { ClusterAccess } from './cluster-access.js';
import { type NodeView, pictureOf, viewOf } from './cluster-view.js';
import { freePort } from '../../scripts/free-port.mjs';
import type { RedisAccess } from './redis-access.js';
import { RedisServer } from './redis-server.js';
import { follows, isMaster, replicated, revive, settles, startTogether, stopTogether } from './redis-topology.js';

const MASTERS = 3;
const SLOTS = 16_384;

/** A Redis Cluster of one test file: three masters, each with a replica, every node a redis-server on a free port. */
export class RedisCluster extends ClusterAccess<RedisServer> {
  static async start({ binary }: { binary?: string } = {}): Promise<RedisCluster> {
    const start = () => RedisServer.start({ binary, args: nodeArgs });
    const cluster = new RedisCluster(await startTogether(Array.from({ length: 2 * MASTERS }, start)));
    try {
      await cluster.#form();
      return cluster;
    } catch (error) {
      await cluster.stop();
      throw error;
    }
  }

  /** The first three begin as masters, the fourth as the replica of the first, and so on. */
  node(i: number): RedisServer {
    const node = this.nodes[i];
    if (!node) throw new RangeError(`This cluster has no node ${i}`);
    return node;
  }

  /** Hands a master's slots over to its replica in good order (`CLUSTER FAILOVER`); resolves with the new master. */
  async failover(master: RedisServer): Promise<RedisServer> {
    const replica = await this.replicaOf(master);
    await replica.ask('CLUSTER', 'FAILOVER');
    await settles('the replica to take over', () => isMaster(replica));
    await this.#settled();
    return replica;
  }

  /** Kills a master once its replica has all it has; resolves with the replica when that has been promoted. */
  crash(master: RedisServer): Promise<RedisServer> {
    return this.#lose(master, () => master.kill());
  }

  /** As a crash, only that the connections stay open and carry nothing any more. */
  hang(master: RedisServer): Promise<RedisServer> {
    return this.#lose(master, () => master.pause());
  }

  /** Kills every node. */
  async outage(): Promise<void> {
    await Promise.all(this.nodes.map((node) => node.kill()));
  }

  /** Brings back what was paused or killed, and waits until every node has its place again. */
  async heal(): Promise<void> {
    await revive(this.nodes);
    await this.#settled();
  }

  async stop(): Promise<void> {
    this.disconnect();
    await stopTogether(this.nodes);
  }

  /** Has it run until this process ends, which no longer waits for it. Nodes that are slow are then not replaced. */
  async abandon(): Promise<RedisAccess[]> {
    await Promise.all(this.nodes.map((node) => node.ask('CONFIG', 'SET', 'cluster-node-timeout', '60000')));
    this.disconnect();
    for (const node of this.nodes) node.abandon();
    return [...this.nodes];
  }

  async #lose(master: RedisServer, lose: () => unknown): Promise<RedisServer> {
    const replica = await this.replicaOf(master);
    await replicated(master, [replica]);
    await lose();
    await settles('the others to see the replica promoted', async () => {
      const views = await Promise.all(this.nodes.filter(({ isRunning }) => isRunning).map(viewOf));
      return views.every((view) => view.some(({ port, slots }) => port === replica.port && slots.length > 0));
    });
    return replica;
  }

  async #form(): Promise<void> {
    const [masters, replicas] = [this.nodes.slice(0, MASTERS), this.nodes.slice(MASTERS)];
    const own = await Promise.all(this.nodes.map(async (node) => (await viewOf(node))[0]!));
    await Promise.all(masters.map((master, i) => giveSlots(master, i)));
    // Each meets each: what they would tell each other by and by they know at once.
    const meetings = this.nodes.flatMap((node, i) => own.filter((_, j) => j !== i).map((other) => meet(node, other)));
    await Promise.all(meetings);
    await Promise.all(
      replicas.map((replica, i) =>
        settles('a replica to know its master', () => replica.ask('CLUSTER', 'REPLICATE', own[i]!.id)),
      ),
    );
    await this.#settled();
  }

  /** Until all nodes agree, and a client finds the same cluster whichever of them it asks. */
  async #settled(): Promise<void> {
    await settles('the nodes to agree', async () => {
      const pictures = new Set(await Promise.all(this.nodes.map(pictureOf)));
      if (pictures.size > 1 || pictures.has(undefined)) return false;
      const masters = await this.masters();
      const pairs = await Promise.all(masters.map(async (master) => follows(await this.replicaOf(master), master)));
      return masters.length === MASTERS && pairs.every(Boolean);
    });
  }
}

async function nodeArgs(): Promise<string[]> {
  const settings = {
    'cluster-enabled': 'yes',
    // The default is the port + 10000, which may be beyond 65535 or taken.
    'cluster-port': await freePort(),
    'cluster-config-file': 'nodes.conf',
    'cluster-node-timeout': 1_000,
    // A shard without a master is no reason to refuse the keys of the others.
    'cluster-require-full-coverage': 'no',
    // A replica stays with its master, and may be promoted however long it was cut off.
    'cluster-allow-replica-migration': 'no',
    'cluster-replica-validity-factor': 0,
    'repl-diskless-sync-delay': 0,
  };
  return Object.entries(settings).flatMap(([name, value]) => [`--${name}`, `${value}`]);
}

/** An equal part of the slots, and an epoch of its own, which spares the masters a vote on it. */
async function giveSlots(master: RedisServer, i: number): Promise<void> {
  const start = (of: number) => Math.floor((of * SLOTS) / MASTERS);
  await master.ask('CLUSTER', 'ADDSLOTSRANGE', `${start(i)}`, `${start(i + 1) - 1}`);
  await master.ask('CLUSTER', 'SET-CONFIG-EPOCH', `${i + 1}`);
}

async function meet(node: RedisServer, { port, busPort }: NodeView): Promise<void> {
  await node.ask('CLUSTER', 'MEET', '127.0.0.1', `${port}`, `${busPort}`);
}
