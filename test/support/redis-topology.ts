import { eventually } from './eventually.js';
import type { RedisServer } from './redis-server.js';

/** What servers that belong together may need to agree on who is who: an election is a matter of seconds. */
export const SETTLED_WITHIN = 15_000;

/** Waits until the servers' view of each other is what it has to be. */
export function settles(what: string, probe: () => unknown): Promise<unknown> {
  return eventually(what, probe, { timeout: SETTLED_WITHIN, interval: 20 });
}

/** Starts servers at the same time. When one of them fails, none is left behind. */
export async function startTogether(starts: Promise<RedisServer>[]): Promise<RedisServer[]> {
  const results = await Promise.allSettled(starts);
  const servers = results.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []));
  const failed = results.find((result) => result.status === 'rejected');
  if (failed === undefined) return servers;
  await stopTogether(servers);
  throw failed.reason;
}

export async function stopTogether(servers: readonly RedisServer[]): Promise<void> {
  await Promise.all(servers.map((server) => server.stop()));
}

/** Resumes what is paused, and starts again, on its port, what was killed. */
export async function revive(servers: readonly RedisServer[]): Promise<void> {
  await Promise.all(
    servers.map(async (server) => {
      if (server.isPaused) server.resume();
      else if (!server.isRunning) await server.restart();
    }),
  );
}

/** Waits until these replicas have what their master has now: nothing of that is lost with the master. */
export async function replicated(master: RedisServer, replicas: readonly RedisServer[]): Promise<void> {
  const written = Number((await master.info('replication'))['master_repl_offset']);
  await settles('the replicas to have all that was written', async () => {
    const views = await Promise.all(replicas.map((replica) => replica.info('replication')));
    return views.every(({ slave_repl_offset: offset }) => Number(offset) >= written);
  });
}

/** Whether it follows this master and has caught up with it. */
export async function follows(replica: RedisServer, master: RedisServer): Promise<boolean> {
  const { role, master_port: port, master_link_status: link } = await replica.info('replication');
  return role === 'slave' && Number(port) === master.port && link === 'up';
}

export async function isMaster(server: RedisServer): Promise<boolean> {
  return (await server.info('replication'))['role'] === 'master';
}
