import type { VariantName } from '../app/variant.js';
import { type Load, run } from '../load/load.js';
import { CONNECTIONS } from '../load/requests.js';
import type { Actor } from '../stage/stage.js';
import { measure, type Round } from './round.js';

/** Who is measured at what. */
export interface Contestant {
  actor: Actor;
  /** Tells it from others of its variant: `'2 kB'`. */
  step?: string;
  /** Makes a round ready: what it does itself is not measured. */
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
  /** How long a round is to take, about. */
  seconds: number;
  /** Requests that each contestant answers before the first round, for the compiler to have settled. */
  warmUp: number;
}

/** Requests in one go while warming up. */
const CHUNK = 25 * CONNECTIONS;

/**
 * Measures contestants in turn, round after round, so that whatever the machine does meanwhile falls on all of them; the
 * order moves on by one each round, for there may be something in who comes after whom. A round is a number of requests
 * and not a time, so that every one of them is answered within it.
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

/** How many requests make a round. */
async function warmUp({ actor, load }: Contestant, pace: Pace): Promise<number> {
  let rate = 0;
  for (let answered = 0; answered < pace.warmUp; answered += CHUNK) {
    const { seconds } = await run(actor.app.url, await load(CHUNK));
    rate = CHUNK / seconds;
  }
  return Math.max(1, Math.round((rate * pace.seconds) / CONNECTIONS)) * CONNECTIONS;
}
