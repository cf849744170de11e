import { CONNECTIONS, logInAll, reads, times } from '../load/requests.js';
import { type Contestant, race } from '../measure/race.js';
import type { Scenario } from './scenario.js';

/** What `SessionMetrics` costs where no OpenTelemetry SDK has been started, and nobody hears of what it measures. */
export const metrics: Scenario = async (stage, { pace }) => {
  const redis = await stage.redis();
  const contestants: Contestant[] = [];
  for (const [step, flags] of [
    ['without metrics', []],
    ['unheard metrics', ['metrics']],
  ] as const) {
    const actor = await stage.anotherActor('ours', redis, { flags });
    const users = times(CONNECTIONS, (index) => index);
    const cookies = await logInAll(actor.app, users);
    contestants.push({ actor, step, load: (amount) => reads(cookies, { amount, connections: CONNECTIONS }) });
  }
  return { races: { metrics: await race(contestants, pace) } };
};
