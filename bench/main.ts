import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseCommandLine } from './command-line.js';
import { profileReads } from './profile.js';
import { judge } from './report/bars.js';
import { circumstances, ROOT } from './report/circumstances.js';
import { markdown } from './report/markdown.js';
import type { Results } from './report/results.js';
import { svg } from './report/svg.js';
import { checkApplications } from './scenarios/checks.js';
import { observeCommands } from './scenarios/commands.js';
import type { Measured } from './scenarios/scenario.js';
import { Stage } from './stage/stage.js';

const RESULTS = join(ROOT, 'bench/results');

const args = process.argv.slice(2);
const { settings, scenarios, profile, against } = parseCommandLine(args);
const begun = new Date();
const stage = new Stage(against);
process.on('SIGINT', () => process.exit(130));

try {
  console.error('checking that the applications do the same');
  await checkApplications(await stage.actors('all'));
  if (profile === undefined) {
    await measureAll();
  } else {
    console.log(await profileReads(stage, profile, RESULTS));
  }
} finally {
  await stage.close();
}

async function measureAll(): Promise<void> {
  const commands = await observeCommands(stage);
  const measured: Measured = { races: {} };
  for (const [name, scenario] of scenarios) {
    const seconds = ((Date.now() - begun.getTime()) / 1000).toFixed(0);
    console.error(`measuring ${name} (${seconds} s)`);
    const { races, ...rest } = await scenario(stage, settings);
    Object.assign(measured, rest);
    Object.assign(measured.races, races);
  }
  const at = await circumstances(await stage.redis(), {
    commandLine: ['npm run bench --', ...args].join(' '),
    begun,
    against,
  });
  const results: Results = { circumstances: at, bars: judge(measured), commands, ...measured };
  mkdirSync(RESULTS, { recursive: true });
  writeFileSync(join(RESULTS, 'latest.json'), `${JSON.stringify(results, undefined, 1)}\n`);
  writeFileSync(join(RESULTS, 'latest.svg'), svg(results));
  console.log(markdown(results));
}
