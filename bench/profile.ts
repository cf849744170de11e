import { mkdirSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { CpuProfile } from './app/profiler.js';
import type { Flag, VariantName } from './app/variant.js';
import { CONNECTIONS, logInAll, reads, times } from './load/requests.js';
import { run } from './load/load.js';
import { ROOT } from './report/circumstances.js';
import type { Stage } from './stage/stage.js';

const WARM_UP = 20_000;
const PROFILED = 20_000;
const MOST = 10;
/** V8's work besides functions. */
const GROUPS = new Set(['(garbage collector)', '(program)', '(root)']);

/** The application that is profiled. */
export interface Profiled {
  variant: VariantName;
  flags: readonly Flag[];
}

/** Profiles one application's authenticated reads. The whole profile is written to a file for a browser's tools. */
export async function profileReads(stage: Stage, { variant, flags }: Profiled, directory: string): Promise<string> {
  const { app } = await stage.anotherActor(variant, await stage.redis(), { flags });
  const cookies = await logInAll(
    app,
    times(CONNECTIONS, (index) => index),
  );
  await run(app.url, reads(cookies, { amount: WARM_UP, connections: CONNECTIONS }));
  await app.startProfile();
  await run(app.url, reads(cookies, { amount: PROFILED, connections: CONNECTIONS }));
  const profile = await app.stopProfile();
  mkdirSync(directory, { recursive: true });
  const file = join(directory, `${[variant, ...flags].join('-')}.cpuprofile`);
  writeFileSync(file, JSON.stringify(profile));
  return `${topFunctions(profile)}\n\nThe whole profile: ${relative(ROOT, file)}`;
}

/** The functions with the most self time, in percent of the time that the process was not idle. */
function topFunctions({ nodes, samples = [], timeDeltas = [] }: CpuProfile): string {
  const names = new Map(nodes.map(({ id, callFrame }) => [id, nameOf(callFrame)]));
  const times = new Map<string, number>();
  samples.forEach((id, index) => {
    const name = names.get(id) ?? '?';
    times.set(name, (times.get(name) ?? 0) + (timeDeltas[index] ?? 0));
  });
  const idle = times.get('(idle)') ?? 0;
  times.delete('(idle)');
  const busy = [...times.values()].reduce((total, time) => total + time, 0);
  const share = (time: number, whole: number): string => `${((time / whole) * 100).toFixed(1).padStart(5)} %`;
  const all = [...times].sort(([, one], [, other]) => other - one);
  const isGroup = ([name]: [string, number]): boolean => GROUPS.has(name);
  const line = ([name, time]: [string, number]): string =>
    `${share(time, busy)} ${(time / PROFILED).toFixed(1).padStart(6)} µs  ${name}`;
  return [
    `${PROFILED} reads, ${(busy / PROFILED).toFixed(0)} µs each on the main thread; idle ${share(idle, busy + idle).trim()} of the time`,
    ...all.filter(isGroup).map(line),
    '',
    ...all
      .filter((entry) => !isGroup(entry))
      .slice(0, MOST)
      .map(line),
  ].join('\n');
}

function nameOf({ functionName, url, lineNumber }: CpuProfile['nodes'][number]['callFrame']): string {
  if (functionName.startsWith('(') && url === '') {
    return functionName;
  }
  const file = url.startsWith('file:') ? relative(ROOT, fileURLToPath(url)) : relative(ROOT, url);
  return `${functionName || '(anonymous)'} ${url === '' ? '(native)' : `${url.startsWith('node:') ? url : file}:${lineNumber + 1}`}`;
}
