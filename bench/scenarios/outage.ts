import { setTimeout as sleep } from 'node:timers/promises';
import { DelayProxy } from '../../test/support/delay-proxy.js';
import { PASSWORD, userOf } from '../app/users.js';
import { logInAll, times } from '../load/requests.js';
import { type Percentiles, percentiles } from '../measure/statistics.js';
import type { AppProcess } from '../stage/app-process.js';
import type { Stage } from '../stage/stage.js';
import type { Scenario } from './scenario.js';

/** What browsers see of outages of one kind, in milliseconds. */
export interface OutageFigures {
  kind: string;
  outages: number;
  /** Of the application. */
  redisTimeout: number;
  /** Of a response, from the beginning of the outage to its end. */
  responses: Percentiles;
  /** From the end of the outage until a request is served again. */
  recovery: Percentiles;
}

interface Outage {
  kind: string;
  app: AppProcess;
  begin(): unknown;
  end(): unknown;
}

/** The library's default. */
const REDIS_TIMEOUT = 500;
/** Length of an outage: longer than the pauses between attempts to connect grow. */
const LASTS = 1_500;
/** Between two bursts of requests. */
const PAUSE = 100;
/** Between two looks whether requests are served again. */
const LOOK_EVERY = 5;
const USERS = times(6, (index) => index);

/** What an outage of Redis costs: how long responses take meanwhile, and how soon requests are served again. */
export const outage: Scenario = async (stage, { outages: count }) => {
  const outages: OutageFigures[] = [];
  for (const one of await kinds(stage)) {
    const [responses, recovery]: [number[], number[]] = [[], []];
    for (let number = 0; number < count; number++) {
      const cookies = await logInAll(one.app, USERS);
      await one.begin();
      const until = performance.now() + LASTS;
      while (performance.now() < until) {
        responses.push(...(await burst(one.app, cookies)));
        await sleep(PAUSE);
      }
      await one.end();
      recovery.push(await timeUntilServed(one.app, cookies));
    }
    outages.push({
      kind: one.kind,
      outages: count,
      redisTimeout: REDIS_TIMEOUT,
      responses: percentiles(responses),
      recovery: percentiles(recovery),
    });
  }
  return { outages };
};

async function kinds(stage: Stage): Promise<Outage[]> {
  const redis = await stage.anotherRedis();
  const line = await DelayProxy.start({ port: redis.port });
  stage.closing(() => line.close());
  const { app } = await stage.anotherActor('ours', redis);
  const { app: distant } = await stage.anotherActor('ours', redis, { port: line.port });
  const setDelay = (delay: number) => (line.delay = delay);
  return [
    { kind: 'hangs', app, begin: () => redis.pause(), end: () => redis.resume() },
    // One reply comes in time, two do not.
    { kind: 'is slow', app: distant, begin: () => setDelay(REDIS_TIMEOUT / 3), end: () => setDelay(0) },
    { kind: 'is down', app, begin: () => redis.kill(), end: () => redis.restart() },
  ];
}

/** Requests of each kind at the same time, half of them by users who are logged in; resolves with the time of each. */
function burst(app: AppProcess, cookies: readonly string[]): Promise<number[]> {
  const guarded = cookies.map((cookie) => timeOf(app, '/me', { headers: { cookie } }));
  const logins = USERS.map((user) => timeOf(app, '/login', login(user)));
  return Promise.all([...guarded, ...logins]);
}

function login(user: number): RequestInit {
  const body = JSON.stringify({ username: userOf(user).username, password: PASSWORD });
  return { method: 'POST', headers: { 'content-type': 'application/json' }, body };
}

async function timeOf(app: AppProcess, path: string, request: RequestInit): Promise<number> {
  const begun = performance.now();
  const response = await fetch(app.url + path, request);
  await response.arrayBuffer();
  if (![200, 503].includes(response.status)) throw new Error(`${path} responds with ${response.status} in an outage.`);
  return performance.now() - begun;
}

/** A server that was down has forgotten the sessions: 401 is served, too. */
async function timeUntilServed(app: AppProcess, [cookie = '']: readonly string[]): Promise<number> {
  const begun = performance.now();
  for (;;) {
    const response = await fetch(`${app.url}/me`, { headers: { cookie } });
    await response.arrayBuffer();
    if (response.status !== 503) return performance.now() - begun;
    await sleep(LOOK_EVERY);
  }
}
