import type { VariantName } from '../app/variant.js';
import type { Round } from '../measure/round.js';
import type { Series } from '../measure/race.js';
import { median, spread } from '../measure/statistics.js';
import type { Measured, RaceName } from '../scenarios/scenario.js';

export type Figure = Exclude<keyof Round, 'calls'>;

/** The median over the rounds. */
export function figureOf({ rounds }: Series, figure: Figure): number {
  return median(rounds.map((round) => round[figure]));
}

/** How far the rounds lie apart, as a share of their median. */
export function spreadOf({ rounds }: Series, figure: Figure): number {
  return spread(rounds.map((round) => round[figure]));
}

/** How one contestant compares with another: the median of the rounds' own ratios, for each round is one moment. */
export function ratioOf(one: Series, other: Series, figure: Figure): number {
  return median(one.rounds.map((round, index) => round[figure] / (other.rounds[index]?.[figure] ?? NaN)));
}

export function seriesOf(measured: Measured, race: RaceName, variant: VariantName, step?: string): Series | undefined {
  return measured.races[race]?.find((one) => one.variant === variant && (step === undefined || one.step === step));
}

/** Calls of all Redis commands per request, those inside scripts included. */
export function callsOf({ rounds }: Series): number {
  return median(rounds.map(({ calls }) => sum(Object.values(calls))));
}

export const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);
