import { CONNECTIONS, logInAll, putAll, reads, times } from '../load/requests.js';
import { type Contestant, race } from '../measure/race.js';
import type { Scenario } from './scenario.js';

/** The guarded page, with data in the session that the page does not use. */
export const size: Scenario = async (stage, { growthPace, sizes }) => {
  const contestants: Contestant[] = [];
  for (const actor of await stage.actors('keepers')) {
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

/** A shopping cart of so many bytes of JSON, more or less: many small values, as sessions have them. */
function cartOf(bytes: number): object[] {
  const item = (index: number) => ({
    sku: `SKU-${10_000 + index}`,
    title: 'A thing to buy',
    quantity: 1 + (index % 5),
    price: 19.95,
  });
  return times(Math.max(1, Math.round(bytes / (JSON.stringify(item(0)).length + 1))), item);
}
