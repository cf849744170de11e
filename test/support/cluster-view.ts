import type { RedisAccess } from './redis-access.js';

/** What one node of a Redis Cluster knows of one node, from `CLUSTER NODES`. */
export interface NodeView {
  id: string;
  port: number;
  busPort: number;
  /** It is the node that was asked. */
  isAsked: boolean;
  /** It is neither suspected of having failed nor still being introduced. */
  isSound: boolean;
  /** The id of its master, or `-`. */
  master: string;
  slots: { from: number; to: number }[];
}

/** `<id> 127.0.0.1:7000@17000 myself,master - 0 0 1 connected 0-5460 5462`, a line for each node; no address of its own at first. */
const NODE = /^(\w+) [\d.]*:(\d+)@(\d+)\S* (\S+) (\S+) \d+ \d+ \d+ \S+(.*)$/gm;

/** The whole cluster as this node sees it. */
export async function viewOf(node: RedisAccess): Promise<NodeView[]> {
  const lines = (await node.ask('CLUSTER', 'NODES')).matchAll(NODE);
  return Array.from(lines, ([, id = '', port, busPort, flags = '', master = '', slots = '']) => ({
    id,
    port: Number(port),
    busPort: Number(busPort),
    isAsked: flags.includes('myself'),
    isSound: !/fail|handshake|noaddr/.test(flags),
    master,
    slots: Array.from(slots.matchAll(/ (\d+)(?:-(\d+))?(?= |$)/g), ([, from, to = from]) => ({
      from: Number(from),
      to: Number(to),
    })),
  }));
}

/** Who serves which slots and who follows whom, in a form to compare; `undefined` while the node is not sure of it. */
export async function pictureOf(node: RedisAccess): Promise<string | undefined> {
  const [views, info] = await Promise.all([viewOf(node), node.ask('CLUSTER', 'INFO')]);
  if (!info.includes('cluster_state:ok') || !views.every(({ isSound }) => isSound)) return undefined;
  return JSON.stringify(views.map(({ id, master, slots }) => [id, master, slots]).sort());
}
