import type { VariantName } from '../app/variant.js';
import { type Load, run } from '../load/load.js';
import { CONNECTIONS } from '../load/requests.js';
import type { Actor } from '../stage/stage.js';
import { measure, type Round } from './round.js';

/** One application and its load. */
export interface Contestant {
  actor: Actor;
  /** Distinguishes it from others of its variant, as `'2 kB'`. */
  step?: string;
  /** Prepares a round. The preparation is not measured. */
  load: (amount: number) => Load | Promise<Load>;
}

/** All rounds of one contestant. */
export interface Series {
  variant: VariantName;
  step?: string;
  rounds: Round[];
}

export interface Pace {
  rounds: number;
  /** The intended length of a round, roughly. */
  seconds: number;
  /** Requests to each contestant before the first round, so that its functions are compiled by then. */
  warmUp: number;
}

/** Requests in one go while warming up. */
const CHUNK = 25 * CONNECTIONS;

/**
 * Measures the contestants in turn, round after round, so that other work of the machine affects all of them alike. The
 * order shifts by one each round, in case a contestant's neighbours matter. A round is a number of requests, not a time,
 * so that it ends with its last response.
 */
export async function race(contestants: readonly Contestant[], pace: Pace): Promise<Series[]> {
  const entries: { contestant: Contestant; amount: number; series: Series }[] = [];
  for (const contestant of contestants) {
    const { actor, step } = contestant;
    const series = { variant: actor.app.variant, ...(step !== undefined && { step }), rounds: [] };
    entries.push({ contestant, amount: await warmUp(contestant, pace), series });
  }
  for (let round = 0; round < pace.rounds; round++) {
    const start = round % entries.length;
    for (const { contestant, amount, series } of [...entries.slice(start), ...entries.slice(0, start)]) {
      series.rounds.push(await measure(contestant.actor, await contestant.load(amount)));
    }
  }
  return entries.map(({ series }) => series);
}

/** Warms a contestant up, and returns the number of requests for its rounds. */
async function warmUp({ actor, load }: Contestant, pace: Pace): Promise<number> {
  let rate = 0;
  for (let sent = 0; sent < pace.warmUp; sent += CHUNK) {
    const { seconds } = await run(actor.app.url, await load(CHUNK));
    rate = CHUNK / seconds;
  }
  return Math.max(1, Math.round((rate * pace.seconds) / CONNECTIONS)) * CONNECTIONS;
}
