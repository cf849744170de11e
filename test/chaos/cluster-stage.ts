import { setTimeout as sleep } from 'node:timers/promises';
import { indexKey } from '../../lib/redis/keys.js';
import { tagOfUser } from '../../lib/model/session-id.js';
import { RedisCluster } from '../support/redis-cluster.js';
import type { RedisServer } from '../support/redis-server.js';
import { RoleWatch } from './role-watch.js';
import type { Stage, Trouble } from './stages.js';

const IN_ORDER = 'a master hands over';

/** A cluster whose masters are replaced, one at a time; it is one of those that serve these users. */
export async function clusterStage(users: readonly string[]): Promise<Stage> {
  const cluster = await RedisCluster.start();
  const masterOf = (user: string) => cluster.masterOf(indexKey('sess:', tagOfUser(user)));
  const masters = await Promise.all(users.map(async (user) => ({ user, master: await masterOf(user) })));
  const shards = await Promise.all(
    (await cluster.masters()).map(async (master) => ({
      watch: new RoleWatch([master, await cluster.replicaOf(master)]),
      users: new Set(masters.flatMap((one) => (one.master === master ? [one.user] : []))),
    })),
  );
  const trouble = (
    name: string,
    strike: (master: RedisServer, pause: number) => Promise<unknown>,
    heal?: () => Promise<void>,
  ): Trouble => ({
    name,
    strike: async (random) => {
      await strike(await masterOf(random.pick(users)), random.between(50, 400));
      return heal;
    },
  });
  const heal = () => cluster.heal();

  return {
    redis: { cluster: { rootNodes: cluster.rootNodes } },
    troubles: [
      trouble(IN_ORDER, (master) => cluster.failover(master)),
      trouble('a master is killed', (master) => cluster.crash(master), heal),
      trouble('a master hangs', (master) => cluster.hang(master), heal),
      trouble('a master hangs for a moment', async (master, pause) => {
        master.pause();
        await sleep(pause);
        master.resume();
      }),
      trouble("a master's clients are cut off", (master) => master.ask('CLIENT', 'KILL', 'TYPE', 'normal')),
    ],
    // A handover in good order loses nothing: the old master takes no writes until the new one has them all.
    losses: (by) =>
      shards.flatMap((shard) => shard.watch.losses(by, shard.users)).filter((loss) => loss.by !== IN_ORDER),
    servers: [0, 1, 2, 3, 4, 5].map((i) => cluster.node(i)),
    async stop() {
      for (const { watch } of shards) watch.stop();
      await cluster.stop();
    },
  };
}
