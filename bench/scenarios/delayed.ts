import { STATEFUL } from '../app/variant.js';
import { CONNECTIONS, logInAll, reads, times } from '../load/requests.js';
import { type Pace, race } from '../measure/race.js';
import type { Actor } from '../stage/stage.js';
import type { Scenario } from './scenario.js';

/** Milliseconds each way between an application and Redis, as between two availability zones. */
const DELAY = 1;
/** Connections, so few that none waits for the processor: the latency is what one user sees. */
const LIGHT = 2;

/** The guarded page with Redis at a distance: shows in milliseconds how often a response waits for it. */
export const delayed: Scenario = async (stage, { pace }) => {
  const redis = await stage.redis();
  const line = await stage.slowLine(redis, DELAY);
  const actors: { actor: Actor; cookies: string[] }[] = [];
  for (const variant of STATEFUL) {
    const actor = await stage.anotherActor(variant, redis, { port: line.port });
    await redis.flush(variant);
    const cookies = await logInAll(
      actor.app,
      times(CONNECTIONS, (index) => index),
    );
    actors.push({ actor, cookies });
  }
  const raceOf = (connections: number, atPace: Pace) =>
    race(
      actors.map(({ actor, cookies }) => ({ actor, load: (amount) => reads(cookies, { amount, connections }) })),
      atPace,
    );
  const roundTrip = await line.roundTrip();
  const busy = await raceOf(CONNECTIONS, pace);
  // The applications are warm by now, and two connections are slow.
  const light = await raceOf(LIGHT, { ...pace, warmUp: 1 });
  return { roundTrip, races: { delayed: light, 'delayed-busy': busy } };
};
