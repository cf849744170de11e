import { copySession } from '../load/copies.js';
import { CONNECTIONS, logInAll, logins, logouts, reads, times } from '../load/requests.js';
import type { Load } from '../load/load.js';
import { type Contestant, race } from '../measure/race.js';
import type { Scenario } from './scenario.js';

/** Sessions that a round reads. */
const READ = 2_000;

/** Users who log in by turns. */
const USERS = times(500, (index) => index);

/**
 * The guarded page, logins and logouts with more and more sessions in Redis. Each number of sessions has a database that
 * is swapped into the place of the application's own for a round, so that one process is measured with all of them in turn.
 */
export const total: Scenario = async (stage, { growthPace, totals }) => {
  const redis = await stage.redis();
  const readers: Contestant[] = [];
  const loggersIn: Contestant[] = [];
  const leavers: Contestant[] = [];
  for (const [row, variant] of (['hand-wired', 'ours'] as const).entries()) {
    const actor = await stage.actor(variant);
    for (const [column, sessions] of totals.entries()) {
      const place = row * totals.length + column;
      await redis.show(variant, place);
      const cookies = await copySession(actor, sessions, READ);
      const step = sessions.toLocaleString('en');
      const there = (load: (amount: number) => Load | Promise<Load>): Contestant => ({
        actor,
        step,
        load: async (amount) => {
          await redis.show(variant, place);
          return load(amount);
        },
      });
      readers.push(there((amount) => reads(cookies, { amount, connections: CONNECTIONS })));
      loggersIn.push(there((amount) => logins(USERS, { amount, connections: CONNECTIONS })));
      leavers.push(
        there(async (amount) =>
          logouts(
            await logInAll(
              actor.app,
              times(amount, (index) => index),
            ),
            CONNECTIONS,
          ),
        ),
      );
    }
  }
  const races = {
    total: await race(readers, growthPace),
    'total-login': await race(loggersIn, growthPace),
    'total-logout': await race(leavers, growthPace),
  };
  await redis.hideAll();
  return { races };
};
