import { CONNECTIONS, logInAll, logins, reads, times } from '../load/requests.js';
import { type Contestant, race } from '../measure/race.js';
import type { Scenario } from './scenario.js';

/** What this library costs by the client of Redis: the module's own, of `redis`, and one of ioredis that is given. */
export const clients: Scenario = async (stage, { pace }) => {
  const redis = await stage.redis();
  const actors = [
    { actor: await stage.anotherActor('ours', redis), step: 'redis' },
    { actor: await stage.anotherActor('ours', redis, { flags: ['ioredis'] }), step: 'ioredis' },
  ];
  const visits: Contestant[] = [];
  for (const one of actors) {
    const users = times(CONNECTIONS, (index) => index);
    const cookies = await logInAll(one.actor.app, users);
    visits.push({ ...one, load: (amount) => reads(cookies, { amount, connections: CONNECTIONS }) });
  }
  const arrivals = actors.map((one) => ({
    ...one,
    load: async (amount: number) => {
      await redis.flush(one.actor.app.variant);
      return logins(
        times(500, (index) => index),
        { amount, connections: CONNECTIONS },
      );
    },
  }));
  return { races: { 'clients-read': await race(visits, pace), 'clients-login': await race(arrivals, pace) } };
};
