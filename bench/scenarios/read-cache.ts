import { DelayProxy } from '../../test/support/delay-proxy.js';
import { CONNECTIONS, logInAll, reads, times } from '../load/requests.js';
import { type Contestant, race } from '../measure/race.js';
import type { AppProcess } from '../stage/app-process.js';
import type { Stage } from '../stage/stage.js';
import type { Scenario } from './scenario.js';

/** How long a process with a cache went on serving sessions that another process had logged out, in milliseconds. */
export interface Staleness {
  /** The longest of several, over a connection that works. */
  connected: number;
  /** Over a connection that the network has dropped silently: the last time that a look found the session served. */
  forgotten: number;
}

const DELAY = 1;
const LOGOUTS = 50;
/** The longest look, in milliseconds. */
const MAX_LOOK = 10_000;

/**
 * What node-redis's client-side caching (RESP3 tracking) would save and what it would cost: the guarded page of this
 * library with a client that caches and with one that does not, near Redis and at a distance.
 */
export const readCache: Scenario = async (stage, { pace }) => {
  const redis = await stage.redis();
  const line = await stage.slowLine(redis, DELAY);
  const contestants = async (port: number, connections: number): Promise<Contestant[]> => {
    const found: Contestant[] = [];
    for (const cached of [false, true]) {
      const actor = await stage.anotherActor('ours', redis, { port, flags: cached ? ['read-cache'] : [] });
      const cookies = await logInAll(
        actor.app,
        times(CONNECTIONS, (index) => index),
      );
      const step = cached ? 'cached' : 'not cached';
      found.push({ actor, step, load: (amount) => reads(cookies, { amount, connections }) });
    }
    return found;
  };
  return {
    races: {
      'read-cache': await race(await contestants(redis.port, CONNECTIONS), pace),
      'read-cache-delayed': await race(await contestants(line.port, 2), { ...pace, warmUp: 1_000 }),
    },
    staleness: await staleness(stage),
  };
};

async function staleness(stage: Stage): Promise<Staleness> {
  const redis = await stage.redis();
  const line = await DelayProxy.start({ port: redis.port });
  try {
    const { app: cached } = await stage.anotherActor('ours', redis, { port: line.port, flags: ['read-cache'] });
    const { app: other } = await stage.anotherActor('ours', redis);
    const connected: number[] = [];
    for (let i = 0; i < LOGOUTS; i++) connected.push(await servedAfterLogout(cached, other));
    const forgotten = await servedAfterLogout(cached, other, () => line.forget());
    return { connected: Math.max(...connected), forgotten };
  } finally {
    await line.close();
  }
}

/** Logs a user out by another process, and measures how long this one goes on serving them. */
async function servedAfterLogout(cached: AppProcess, other: AppProcess, before?: () => void): Promise<number> {
  const [cookie = ''] = await logInAll(other, [0]);
  const isServed = async () => (await fetch(`${cached.url}/me`, { headers: { cookie } })).status === 200;
  for (let read = 0; read < 3; read++) {
    if (!(await isServed())) throw new Error('A session that was just opened is not served.');
  }
  before?.();
  await fetch(`${other.url}/logout`, { method: 'POST', headers: { cookie } });
  const begun = performance.now();
  let served = 0;
  while (served < MAX_LOOK && (await isServed())) {
    served = performance.now() - begun;
  }
  return served;
}
