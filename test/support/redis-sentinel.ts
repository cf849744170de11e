import { createSentinel } from 'redis';
import { RedisServer } from './redis-server.js';
import { follows, isMaster, replicated, revive, settles, startTogether, stopTogether } from './redis-topology.js';

const REPLICAS = 2;
const SENTINELS = 3;
const NAME = 'sessions';

/** A master with two replicas, and three Sentinels that watch it, each a process of its own on a free port. */
export class RedisSentinel {
  readonly #clients = new Set<{ destroy(): unknown }>();

  private constructor(
    private readonly servers: readonly RedisServer[],
    private readonly sentinels: readonly RedisServer[],
  ) {}

  static async start({ binary }: { binary?: string } = {}): Promise<RedisSentinel> {
    const data = (...args: string[]) =>
      RedisServer.start({ binary, args: ['--repl-diskless-sync-delay', '0', ...args] });
    const master = await data();
    const { port } = master;
    const replicas = Array.from({ length: REPLICAS }, () => data('--replicaof', '127.0.0.1', `${port}`));
    const sentinels = Array.from({ length: SENTINELS }, () =>
      RedisServer.start({ binary, config: sentinelConfig(port), args: ['--sentinel'] }),
    );
    const [, ...started] = await startTogether([Promise.resolve(master), ...replicas, ...sentinels]);
    const topology = new RedisSentinel([master, ...started.slice(0, REPLICAS)], started.slice(REPLICAS));
    try {
      await topology.#hurry();
      await topology.#settled();
      return topology;
    } catch (error) {
      await topology.stop();
      throw error;
    }
  }

  /** For `createSentinel()`. */
  get name(): string {
    return NAME;
  }

  /** For `createSentinel()`. */
  get sentinelRootNodes(): { host: string; port: number }[] {
    return this.sentinels.map(({ port }) => ({ host: '127.0.0.1', port }));
  }

  /** The first begins as the master. */
  node(i: number): RedisServer {
    const node = this.servers[i];
    if (!node) throw new RangeError(`There is no server ${i}`);
    return node;
  }

  sentinel(i: number): RedisServer {
    const sentinel = this.sentinels[i];
    if (!sentinel) throw new RangeError(`There is no Sentinel ${i}`);
    return sentinel;
  }

  /** Whom the Sentinels take for the master. */
  async master(): Promise<RedisServer> {
    const sentinel = this.sentinels.find(({ isRunning }) => isRunning);
    if (!sentinel) throw new Error('No Sentinel is running');
    const { port } = await masterSeenBy(sentinel);
    const master = this.servers.find((server) => server.port === port);
    if (!master) throw new Error('The Sentinels know a master that is none of ours');
    return master;
  }

  /** Hands over to a replica in good order (`SENTINEL FAILOVER`); resolves with the new master. */
  async failover(): Promise<RedisServer> {
    const before = await this.master();
    await replicated(before, this.#othersThan(before));
    // Refused while the Sentinels have not made up their minds about the replicas yet.
    await settles('a failover to begin', () => this.sentinels[0]?.ask('SENTINEL', 'FAILOVER', NAME));
    await settles('another master', async () => (await this.master()) !== before);
    await this.#settled();
    return this.master();
  }

  /** Kills the master once its replicas have all it has; resolves with the one promoted when all Sentinels know. */
  crash(): Promise<RedisServer> {
    return this.#lose((master) => master.kill());
  }

  /** As a crash, only that the connections stay open and carry nothing any more. */
  hang(): Promise<RedisServer> {
    return this.#lose((master) => master.pause());
  }

  /** Kills every server and every Sentinel. */
  async outage(): Promise<void> {
    await Promise.all([...this.servers, ...this.sentinels].map((server) => server.kill()));
  }

  /** Brings back what was paused or killed, and waits until every server has its place again. */
  async heal(): Promise<void> {
    await revive([...this.servers, ...this.sentinels]);
    await this.#hurry();
    await this.#settled();
  }

  /** A connected client that follows the master, closed by `stop()`. */
  async client() {
    const client = createSentinel({ name: this.name, sentinelRootNodes: this.sentinelRootNodes });
    // A test that breaks its topology means it.
    client.on('error', () => undefined);
    this.#clients.add(client);
    await client.connect();
    return client;
  }

  async stop(): Promise<void> {
    await Promise.all(Array.from(this.#clients, (client) => client.destroy()));
    this.#clients.clear();
    await stopTogether([...this.servers, ...this.sentinels]);
  }

  #othersThan(master: RedisServer): RedisServer[] {
    return this.servers.filter((server) => server !== master && server.isRunning);
  }

  async #lose(lose: (master: RedisServer) => unknown): Promise<RedisServer> {
    const before = await this.master();
    await replicated(before, this.#othersThan(before));
    await lose(before);
    await settles('the Sentinels to agree on another master', async () => {
      const seen = await Promise.all(this.sentinels.filter(({ isRunning }) => isRunning).map(masterSeenBy));
      const master = await this.master();
      return master !== before && (await isMaster(master)) && seen.every(({ port }) => port === master.port);
    });
    return this.master();
  }

  /** Makes the Sentinels look around, and tell each other, twice a second and not every 2 to 10 seconds. */
  async #hurry(): Promise<void> {
    // No shorter: once a failover has begun, INFO is asked for once a second, whatever is set here, and a Sentinel takes
    // a replica for lost after three info-periods without, and reverts a promotion after four publish-periods.
    const periods = { 'info-period': 500, 'ask-period': 100, 'publish-period': 500 };
    const words = Object.entries(periods).flat().map(String);
    await Promise.all(this.sentinels.map((sentinel) => sentinel.ask('SENTINEL', 'DEBUG', ...words)));
  }

  /** Until all Sentinels know each other, and the same master with all its replicas at work. */
  async #settled(): Promise<void> {
    await settles('the Sentinels to agree', async () => {
      const master = await this.master();
      const seen = await Promise.all(this.sentinels.map(masterSeenBy));
      const agreed = seen.every((view) => view.port === master.port && view.isComplete);
      const following = await Promise.all(this.#othersThan(master).map((replica) => follows(replica, master)));
      return agreed && (await isMaster(master)) && following.every(Boolean);
    });
  }
}

/** `master0:name=sessions,status=ok,address=127.0.0.1:6379,slaves=2,sentinels=3` */
async function masterSeenBy(sentinel: RedisServer): Promise<{ port: number; isComplete: boolean }> {
  const view = (await sentinel.info('sentinel'))['master0'] ?? '';
  return {
    port: Number(/address=[^,]*:(\d+)/.exec(view)?.[1]),
    isComplete: view.includes('status=ok') && view.endsWith(`slaves=${REPLICAS},sentinels=${SENTINELS}`),
  };
}

function sentinelConfig(port: number): string {
  // No shorter: on a busy machine, a new master would be taken for lost before it is known, and be replaced in turn.
  const options = { 'down-after-milliseconds': 1_000, 'failover-timeout': 2_000, 'parallel-syncs': REPLICAS };
  return [
    `sentinel monitor ${NAME} 127.0.0.1 ${port} 2`,
    ...Object.entries(options).map(([name, value]) => `sentinel ${name} ${NAME} ${value}`),
    '',
  ].join('\n');
}
