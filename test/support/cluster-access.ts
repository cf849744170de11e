import { createCluster } from 'redis';
import { type NodeView, viewOf } from './cluster-view.js';
import type { RedisAccess } from './redis-access.js';

/** A running Redis Cluster, whoever has started it. */
export class ClusterAccess<Node extends RedisAccess = RedisAccess> {
  readonly #clients = new Set<{ destroy(): void }>();

  constructor(protected readonly nodes: readonly Node[]) {}

  /** For `createCluster()`. */
  get rootNodes(): { url: string }[] {
    return this.nodes.map(({ url }) => ({ url }));
  }

  async masters(): Promise<Node[]> {
    const views = await viewOf(this.anyNode);
    return views.filter(({ slots }) => slots.length > 0).map((view) => this.nodeOf(view));
  }

  /** The node that serves the slot of a key. */
  async masterOf(key: string): Promise<Node> {
    const node = this.anyNode;
    const slot = Number((await node.ask('CLUSTER', 'KEYSLOT', key)).slice(1));
    const owns = ({ slots }: NodeView) => slots.some(({ from, to }) => from <= slot && slot <= to);
    return this.nodeOf((await viewOf(node)).find(owns));
  }

  async replicaOf(master: Node): Promise<Node> {
    const views = await viewOf(master);
    const own = views.find(({ isAsked }) => isAsked);
    return this.nodeOf(views.find((view) => view.master === own?.id));
  }

  /** Calls per command, of all masters together. */
  async commandStats(): Promise<Record<string, number>> {
    const sum: Record<string, number> = {};
    for (const stats of await Promise.all((await this.masters()).map((master) => master.commandStats()))) {
      for (const [command, calls] of Object.entries(stats)) sum[command] = (sum[command] ?? 0) + calls;
    }
    return sum;
  }

  /** Removes all keys. */
  async flush(): Promise<void> {
    await Promise.all((await this.masters()).map((master) => master.ask('FLUSHALL')));
  }

  /** A connected client of the whole cluster, closed by `stop()`. */
  async client() {
    const client = createCluster({ rootNodes: this.rootNodes });
    // A test that breaks its cluster means it.
    client.on('error', () => undefined);
    this.#clients.add(client);
    await client.connect();
    return client;
  }

  /** Closes the clients. */
  disconnect(): void {
    for (const client of this.#clients) client.destroy();
    this.#clients.clear();
    for (const node of this.nodes) node.disconnect();
  }

  protected get anyNode(): Node {
    const node = this.nodes.find(({ isRunning }) => isRunning);
    if (!node) throw new Error('No node of this cluster is running');
    return node;
  }

  protected nodeOf(view: NodeView | undefined): Node {
    const node = this.nodes.find(({ port }) => port === view?.port);
    if (!node) throw new Error('This cluster has no such node');
    return node;
  }
}
