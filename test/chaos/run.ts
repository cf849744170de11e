import { writeFileSync } from 'node:fs';
import { SessionEvents } from '../../lib/index.js';
import type { TestApplication } from '../support/application.js';
import { ProcessWatch } from '../support/process-watch.js';
import { REDIS_TIMEOUT, type Served, startInstance } from './chaos-application.js';
import { comparedWithStore, needless503s } from './checks.js';
import { conduct, type Episode, probe, RECOVERS_WITHIN } from './conductor.js';
import type { Op, Reuse } from './history.js';
import { judge, type Verdict } from './judge.js';
import { Random } from './random.js';
import type { Stage } from './stages.js';
import { Stalls } from './stalls.js';
import { haunt, Visitor, type World } from './visitor.js';

const INSTANCES = 2;
const USERS = 16;
/** What an answer may take beyond `redisTimeout`, in milliseconds, while this process is running. */
const GRACE = 250;

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
  readonly episodes: readonly Episode[];
  readonly excused: Verdict['excused'];
  /** Sessions that stand in the store though nobody was told of them: of logins that were answered by 503. */
  readonly orphans: number;
  /** Why the store failed, and how often. */
  readonly errors: Readonly<Record<string, number>>;
  /** Milliseconds: as the server measured it, less what the process stood still, and as it was. */
  readonly slowest: { net: number; gross: number };
  readonly longestStall: number;
}

/** Visitors come and go while Redis is in trouble; then everything is compared with what they were told. */
export async function run(stage: Stage, { seed, duration, visitors: count = 50 }: RunOptions): Promise<Outcome> {
  const random = new Random(seed);
  const watch = new ProcessWatch();
  const stalls = new Stalls();
  const answers: Served[] = [];
  const instances = await Promise.all(
    Array.from({ length: INSTANCES }, () => startInstance(stage, (answer) => answers.push(answer))),
  );
  const { reuses, errors } = listenTo(instances);
  const world: World = {
    urls: instances.map(({ url }) => url),
    users: usersOfRun,
    ops: [],
    ghosts: [],
    handles: ['none'],
  };
  const visitors = Array.from({ length: count }, (_, i) => new Visitor(i, world, random.fork(`visitor ${i}`)));
  try {
    const recover = probe(world.urls, usersOfRun);
    await recover();
    const over = performance.now() + duration;
    const isOver = () => performance.now() > over;
    const conducting = conduct(stage, random.fork('troubles'), isOver, recover);
    let conducted = false;
    const done = () => (conducted = true);
    conducting.then(done, done);
    await Promise.all(visitors.map((visitor) => visitor.visitUntil(() => isOver() && conducted)));
    const episodes = await conducting;

    await Promise.all(visitors.map((visitor) => visitor.lookAgain()));
    const last = random.fork('last');
    for (const ghost of last.shuffled(world.ghosts).slice(0, 200)) await haunt(world, ghost, -1, last);

    const losses = stage.losses((at) => during(episodes, { start: at, end: at }));
    if (process.env['CHAOS_DUMP'])
      writeFileSync(
        process.env['CHAOS_DUMP'],
        JSON.stringify({
          ops: world.ops,
          reuses,
          losses: losses.map((l) => ({ ...l, users: l.users && [...l.users] })),
          episodes,
        }),
      );
    const verdict = judge({ ops: world.ops, reuses, losses });
    const { failures: disagreements, orphans } = await comparedWithStore(instances[0]!, usersOfRun, verdict);
    const times = answers.map((answer) => ({ ...answer, net: stalls.timeOf(answer) }));
    const late = times.filter(({ net }) => net > REDIS_TIMEOUT + GRACE);
    return {
      failures: [
        ...verdict.violations.map(({ fault, detail }) => `${fault}: ${detail}`),
        ...disagreements,
        ...late.map(
          ({ what, net, start, end }) =>
            `too slow: ${what} took ${net.toFixed()} ms at ${start.toFixed()} (${during(episodes, { start, end })})`,
        ),
        ...needless503s(world.ops, episodes),
        ...tooLong(episodes),
        ...watch.unhandled.map((reason) => `unhandled: ${reason instanceof Error ? reason.stack : String(reason)}`),
        ...watch.warnings.map((warning) => `warning: ${warning}`),
      ],
      ops: world.ops,
      episodes,
      excused: verdict.excused,
      orphans,
      errors,
      slowest: { net: most(times.map(({ net }) => net)), gross: most(times.map(({ start, end }) => end - start)) },
      longestStall: stalls.longest,
    };
  } finally {
    for (const visitor of visitors) visitor.close();
    stalls.stop();
    await Promise.all(instances.map((instance) => instance.close()));
    watch.stop();
  }
}

/** What the instances say: of cookies shown twice, and why the store failed. */
function listenTo(instances: readonly TestApplication[]): { reuses: Reuse[]; errors: Record<string, number> } {
  const heard = { reuses: [] as Reuse[], errors: {} as Record<string, number> };
  for (const { app } of instances) {
    app.get(SessionEvents).events$.subscribe((event) => {
      if (event.type === 'reuse-detected') heard.reuses.push({ handle: event.handle, at: performance.now() });
      if (event.type === 'store-error') {
        const error = event.error instanceof TypeError ? String(event.error.stack) : String(event.error);
        heard.errors[error] = (heard.errors[error] ?? 0) + 1;
      }
    });
  }
  return heard;
}

/** What was the matter at that time. */
function during(episodes: readonly Episode[], { start, end }: { start: number; end: number }): string {
  const then = episodes.filter((episode) => start <= episode.end && end >= episode.start);
  return then.map(({ name }) => name).join(' and ') || 'nothing';
}

function tooLong(episodes: readonly Episode[]): string[] {
  const all = episodes.flatMap(({ name, recovered }) => recovered.map((ms) => ({ name, ms })));
  return all
    .filter(({ ms }) => ms > RECOVERS_WITHIN)
    .map(({ name, ms }) => `too long out of service: ${ms.toFixed()} ms after: ${name}`);
}

function most(numbers: readonly number[]): number {
  return numbers.reduce((a, b) => Math.max(a, b), 0);
}
