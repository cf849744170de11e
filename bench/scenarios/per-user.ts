import { CONNECTIONS, logInAll, logins, logouts, reads, times } from '../load/requests.js';
import { type Contestant, race } from '../measure/race.js';
import type { Scenario } from './scenario.js';

/** The number of this scenario's first user. */
const FIRST_USER = 100_000;

/**
 * Reads, logins and logouts with the same number of sessions in Redis, but fewer and fewer users who own them, down to
 * one. Each round of logins adds some percent to these users' sessions.
 */
export const perUser: Scenario = async (stage, { growthPace, perUser: counts }) => {
  const readers: Contestant[] = [];
  const loggersIn: Contestant[] = [];
  const leavers: Contestant[] = [];
  const population = Math.max(...counts);
  for (const variant of ['hand-wired', 'ours'] as const) {
    const actor = await stage.actor(variant);
    await actor.redis.flush(variant);
    for (const [place, count] of counts.entries()) {
      const users = times(population / count, (index) => FIRST_USER * (place + 1) + index);
      const cookies = await logInAll(
        actor.app,
        users.flatMap((user) => Array.from({ length: count }, () => user)),
      );
      const step = `${count} each`;
      const some = cookies.slice(0, CONNECTIONS);
      readers.push({ actor, step, load: (amount) => reads(some, { amount, connections: CONNECTIONS }) });
      loggersIn.push({ actor, step, load: (amount) => logins(users, { amount, connections: CONNECTIONS }) });
      const anyOf = (index: number) => users[index % users.length] ?? 0;
      leavers.push({
        actor,
        step,
        load: async (amount) => logouts(await logInAll(actor.app, times(amount, anyOf)), CONNECTIONS),
      });
    }
  }
  return {
    races: {
      'per-user-read': await race(readers, growthPace),
      'per-user-login': await race(loggersIn, growthPace),
      'per-user-logout': await race(leavers, growthPace),
    },
  };
};
