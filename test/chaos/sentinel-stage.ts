import { setTimeout as sleep } from 'node:timers/promises';
import { RedisSentinel } from '../support/redis-sentinel.js';
import { RoleWatch } from './role-watch.js';
import type { Stage, Trouble } from './stages.js';

/** A master behind Sentinel that is replaced again and again, and Sentinels that go and come. */
export async function sentinelStage(): Promise<Stage> {
  const redis = await RedisSentinel.start();
  const { name, sentinelRootNodes } = redis;
  const servers = [0, 1, 2].map((i) => redis.node(i));
  const watch = new RoleWatch(servers);
  const trouble = (name: string, strike: (pause: number) => Promise<unknown>, heal?: () => Promise<void>): Trouble => ({
    name,
    strike: async (random) => {
      await strike(random.between(50, 300));
      return heal;
    },
  });
  const heal = () => redis.heal();

  return {
    redis: { sentinel: { name, sentinelRootNodes } },
    troubles: [
      // Unlike a cluster's, this handover loses: the old master goes on serving until it is told.
      trouble('the master is replaced by order', () => redis.failover()),
      trouble('the master is killed', () => redis.crash(), heal),
      trouble('the master hangs', () => redis.hang(), heal),
      trouble('the master hangs for a moment', async (pause) => {
        const master = await redis.master();
        master.pause();
        await sleep(pause);
        master.resume();
      }),
      trouble("the master's clients are cut off", async () =>
        (await redis.master()).ask('CLIENT', 'KILL', 'TYPE', 'normal'),
      ),
      trouble('a Sentinel is killed', (pause) => redis.sentinel(pause % 3).kill(), heal),
    ],
    losses: (by) => watch.losses(by),
    servers: [...servers, ...[0, 1, 2].map((i) => redis.sentinel(i))],
    async stop() {
      watch.stop();
      await redis.stop();
    },
  };
}
