import { setTimeout as sleep } from 'node:timers/promises';
import { SessionEvents } from '../../lib/index.js';
import type { TestApplication } from '../support/application.js';
import { ProcessWatch } from '../support/process-watch.js';
import { type Served, startInstance } from './chaos-application.js';
import {
  CLOSES_WITHIN as SOCKETS_CLOSE_WITHIN,
  comparedWithStore,
  connectionsLeft,
  lateResponses,
  lateRecoveries,
  needless503s,
  strayConnections,
} from './checks.js';
import { conduct, type Episode, nameOf, probe } from './conductor.js';
import type { Op, Reuse, SocketLife } from './history.js';
import { judge, type Verdict } from './judge.js';
import { Random } from './random.js';
import type { Stage } from './stages.js';
import { Stalls } from '../support/stalls.js';
import { haunt, Visitor, type World } from './visitor.js';

const INSTANCES = 2;
const USERS = 16;
/** Cookies of ended sessions that are tried once more at the end. */
const GHOSTS = 200;
/** What a client that was told to close its connections may take to do so, in milliseconds. */
const CLOSES_WITHIN = 2_000;

export const usersOfRun: readonly string[] = Array.from({ length: USERS }, (_, i) => `user-${i}`);

export interface RunOptions {
  readonly seed: number;
  /** For how long visitors come and faults happen, in milliseconds. */
  readonly duration: number;
  readonly visitors?: number;
}

/** All that came of a run. */
export interface Outcome {
  /** What must not have happened, in words. */
  readonly failures: string[];
  readonly ops: readonly Op[];
  readonly sockets: readonly SocketLife[];
  readonly episodes: readonly Episode[];
  readonly excused: Verdict['excused'];
  /** Sessions that stand in the store though nobody was told of them: of logins that were answered by 503. */
  readonly orphans: number;
  /** Why the store failed, and how often. */
  readonly errors: Readonly<Record<string, number>>;
  /** How long each response took, in milliseconds: `net` is less what the process stood still. */
  readonly times: readonly { readonly what: string; readonly net: number; readonly gross: number }[];
  readonly longestStall: number;
}

/** Visitors come and go while Redis is in trouble; then everything is compared with what they were told. */
export async function run(stage: Stage, options: RunOptions): Promise<Outcome> {
  const watch = new ProcessWatch();
  const stalls = new Stalls();
  const responses: Served[] = [];
  const start = () => startInstance(stage, (response) => responses.push(response));
  const instances = await Promise.all(Array.from({ length: INSTANCES }, start));
  const { reuses, errors } = listenTo(instances);
  const urls = instances.map(({ url }) => url);
  const world: World = { urls, users: usersOfRun, ops: [], sockets: [], ghosts: [], handles: [] };
  let failures: string[];
  let rest: Omit<Outcome, 'failures'>;
  try {
    const episodes = await visits(stage, world, stalls, options);
    const verdict = judge({
      ops: world.ops,
      reuses,
      sockets: world.sockets,
      losses: stage.losses((from, until) => nameOf(episodes, from, until - from)),
    });
    const compared = await comparedWithStore(instances[0]!, usersOfRun, verdict);
    const times = responses.map((response) => ({
      ...response,
      net: stalls.timeOf(response),
      gross: response.end - response.start,
    }));
    failures = [
      ...verdict.violations.map(({ fault, detail }) => `${fault}: ${detail}`),
      ...compared.failures,
      ...lateResponses(times, episodes),
      ...needless503s(world.ops, episodes),
      ...lateRecoveries(episodes),
      ...strayConnections(world.sockets, verdict.sessions, episodes, (stretch) => stalls.timeOf(stretch)),
    ];
    const { excused } = verdict;
    rest = {
      ops: world.ops,
      sockets: world.sockets,
      episodes,
      excused,
      orphans: compared.orphans,
      errors,
      times,
      longestStall: stalls.longest,
    };
  } finally {
    stalls.stop();
    await Promise.all(instances.map((instance) => instance.close()));
    watch.stop();
  }
  await sleep(CLOSES_WITHIN);
  failures.push(
    ...(await connectionsLeft(stage.servers)),
    ...watch.unhandled.map((reason) => `unhandled: ${reason instanceof Error ? reason.stack : String(reason)}`),
    ...watch.warnings.map((warning) => `warning: ${warning}`),
  );
  return { failures, ...rest };
}

/** Everything that visitors do, until all is well again. */
async function visits(
  stage: Stage,
  world: World,
  stalls: Stalls,
  { seed, duration, visitors: count = 50 }: RunOptions,
): Promise<Episode[]> {
  const random = new Random(seed);
  const visitors = Array.from({ length: count }, (_, i) => new Visitor(i, world, random.fork(`visitor ${i}`)));
  const recover = probe(world.urls, world.users, stalls);
  await recover();
  const over = performance.now() + duration;
  const isOver = () => performance.now() > over;
  let conducted = false;
  const conducting = conduct(stage, random.fork('troubles'), isOver, recover).finally(() => (conducted = true));
  conducting.catch(() => undefined);
  await Promise.all(visitors.map((visitor) => visitor.visitUntil(() => isOver() && conducted)));

  const last = random.fork('last');
  await Promise.all(visitors.map((visitor) => visitor.lookAgain()));
  for (const ghost of last.shuffled(world.ghosts).slice(0, GHOSTS)) await haunt(world, ghost, -1, last);
  await sleep(SOCKETS_CLOSE_WITHIN); // From then on, no connection of a session that has ended may be open.
  for (const visitor of visitors) visitor.close();
  return conducting;
}

/** What the instances say: of cookies shown twice, and why the store failed. */
function listenTo(instances: readonly TestApplication[]): { reuses: Reuse[]; errors: Record<string, number> } {
  const heard = { reuses: [] as Reuse[], errors: {} as Record<string, number> };
  for (const { app } of instances) {
    app.get(SessionEvents).events$.subscribe((event) => {
      if (event.type === 'reuse-detected') heard.reuses.push({ handle: event.handle, at: performance.now() });
      if (event.type === 'store-error') {
        const error = String(event.error);
        heard.errors[error] = (heard.errors[error] ?? 0) + 1;
      }
    });
  }
  return heard;
}
