import { setTimeout as sleep } from 'node:timers/promises';
import { Browser } from '../support/browser.js';
import { eventually } from '../support/eventually.js';
import type { Stalls } from '../support/stalls.js';
import type { Random } from './random.js';
import type { Stage, Trouble } from './stages.js';

/** How soon every instance has to serve every user when Redis is back, in milliseconds. */
export const RECOVERS_WITHIN = 5_000;
/** So long is it given to recover late, which is a failure, before the run is given up. */
const GIVES_UP_AFTER = 20_000;
/** Quiet between two faults, in milliseconds, in which nothing may go wrong. */
const QUIET = { from: 200, to: 1_200 };

/** A fault, from its beginning until every instance served every user again. */
export interface Episode {
  readonly name: string;
  readonly start: number;
  readonly end: number;
  /** What it took from Redis's return to the application's, each time that something came back. */
  readonly recovered: readonly number[];
}

/** Lets one fault follow another until time is up: each kind once before any comes again. */
export async function conduct(
  { troubles }: Stage,
  random: Random,
  isOver: () => boolean,
  recover: () => Promise<number>,
): Promise<Episode[]> {
  const episodes: Episode[] = [];
  let next: Trouble[] = [];
  while (!isOver()) {
    await sleep(random.between(QUIET.from, QUIET.to));
    if (next.length === 0) next = random.shuffled(troubles);
    const trouble = next.pop();
    if (trouble === undefined) continue;

    const start = performance.now();
    const heal = await trouble.strike(random);
    const recovered = [await recover()];
    if (heal) {
      await heal();
      recovered.push(await recover());
    }
    episodes.push({ name: trouble.name, start, end: performance.now(), recovered });
  }
  return episodes;
}

/** What was the matter from then on, for so long (milliseconds). */
export function nameOf(episodes: readonly Episode[], at: number, long = 0): string {
  const then = episodes.filter(({ start, end }) => start <= at + long && at <= end);
  return then.map(({ name }) => name).join(' and ') || 'nothing';
}

/**
 * Asks each instance about each user until all have been served; resolves with the milliseconds that it took, less what this
 * process stood still.
 */
export function probe(urls: readonly string[], users: readonly string[], stalls: Stalls): () => Promise<number> {
  return async () => {
    const start = performance.now();
    const browsers = urls.map((url) => new Browser(url));
    const questions = browsers.flatMap((browser) => users.map((user) => ({ browser, user })));
    await Promise.all(
      questions.map(({ browser, user }) =>
        eventually(`user ${user} to be served`, async () => (await browser.get(`/probe/${user}`)).status === 200, {
          timeout: GIVES_UP_AFTER,
          interval: 25,
        }),
      ),
    );
    for (const browser of browsers) browser.close();
    return stalls.timeOf({ start, end: performance.now() });
  };
}
