import { cartOf, CONNECTIONS, logInAll, putAll, reads, times } from '../load/requests.js';
import { type Contestant, race } from '../measure/race.js';
import type { Scenario } from './scenario.js';

/** The guarded page, with other data in the session. */
export const size: Scenario = async (stage, { growthPace, sizes }) => {
  const contestants: Contestant[] = [];
  for (const actor of await stage.actors('stateful')) {
    await actor.redis.flush(actor.app.variant);
    for (const kilobytes of sizes) {
      const users = times(CONNECTIONS, (index) => index);
      const cookies = await logInAll(actor.app, users);
      await putAll(actor.app, cookies, cartOf(kilobytes * 1000));
      contestants.push({
        actor,
        step: `${kilobytes} kB`,
        load: (amount) => reads(cookies, { amount, connections: CONNECTIONS }),
      });
    }
  }
  return { races: { size: await race(contestants, growthPace) } };
};
