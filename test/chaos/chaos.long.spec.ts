import { realProcess } from '../support/process-watch.js';
import { clusterStage } from './cluster-stage.js';
import { run, usersOfRun } from './run.js';
import { sentinelStage } from './sentinel-stage.js';
import { singleStage } from './single-stage.js';
import type { Stage } from './stages.js';
import { totals } from './totals.js';

/** `CHAOS_SEED` makes other choices, `CHAOS_SECONDS` has it last longer. */
const { CHAOS_SEED = '1', CHAOS_SECONDS = '15' } = process.env;
const seed = Number(CHAOS_SEED);
const duration = Number(CHAOS_SECONDS) * 1_000;

const STAGES: Record<string, () => Promise<Stage>> = {
  'one server': singleStage,
  'a cluster': () => clusterStage(usersOfRun),
  'a master behind Sentinel': sentinelStage,
};

describe('fifty browsers keep what they were promised while Redis is in trouble', () => {
  for (const [name, start] of Object.entries(STAGES)) {
    const title = `on ${name} (CHAOS_SEED=${seed})`;
    it(
      title,
      async () => {
        realProcess.stdout.write(`Chaos ${title} begins\n`);
        const stage = await start();
        try {
          const outcome = await run(stage, { seed, duration });
          realProcess.stdout.write(totals(`Chaos ${title}`, outcome));
          expect(outcome.failures.slice(0, 20)).toEqual([]);
        } finally {
          await stage.stop();
        }
      },
      duration + 90_000,
    );
  }
});
