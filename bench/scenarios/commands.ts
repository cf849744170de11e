import { setTimeout as sleep } from 'node:timers/promises';
import type { VariantName } from '../app/variant.js';
import type { Load } from '../load/load.js';
import { run } from '../load/load.js';
import { anonymousReads, logInAll, logins, logouts, reads, times } from '../load/requests.js';
import { databaseOf } from '../stage/redis-stage.js';
import type { Actor, Stage } from '../stage/stage.js';

/** The Redis commands of one operation, by name. */
export interface Commands {
  variant: VariantName;
  operation: 'read' | 'anonymous' | 'login' | 'logout';
  /** Sent by the application. A script is one of them. */
  sent: Record<string, number>;
  /** Run inside scripts. */
  inside: Record<string, number>;
}

/** Runs of each operation. */
const REPEATS = 10;
/** Milliseconds for the work that an application does after its response. */
const AFTERMATH = 100;

/** The Redis commands of each operation, as MONITOR shows them: it tells a script's own commands from the others. */
export async function observeCommands(stage: Stage): Promise<Commands[]> {
  const observed: Commands[] = [];
  const size = { amount: REPEATS, connections: 1 };
  const users = times(REPEATS, (index) => index);
  for (const variant of stage.variants) {
    const actor = await stage.actor(variant);
    await actor.redis.flush(variant);
    const cookies = await logInAll(actor.app, users);
    const loads = [
      ['read', reads(cookies, size)],
      ['anonymous', anonymousReads(size)],
      ['login', logins(users, size)],
      ['logout', logouts(cookies, 1)],
    ] as const;
    for (const [operation, load] of loads) observed.push({ variant, operation, ...(await observe(actor, load)) });
  }
  return observed;
}

async function observe({ app, redis }: Actor, load: Load): Promise<Pick<Commands, 'sent' | 'inside'>> {
  const sent: Commands['sent'] = {};
  const inside: Commands['inside'] = {};
  const client = await redis.client(app.variant);
  await client.monitor((line: unknown) => {
    const [, database, origin, command = ''] = /\[(\d+) (\S+)\] "([^"]+)"/.exec(String(line)) ?? [];
    if (Number(database) !== databaseOf(app.variant)) return;
    const counts = origin === 'lua' ? inside : sent;
    const name = command.toLowerCase();
    counts[name] = (counts[name] ?? 0) + 1 / REPEATS;
  });
  await run(app.url, load);
  await sleep(AFTERMATH);
  client.destroy();
  return { sent, inside };
}
