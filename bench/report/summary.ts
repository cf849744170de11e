import { type VariantName, VARIANTS } from '../app/variant.js';
import type { Round } from '../measure/round.js';
import type { Series } from '../measure/race.js';
import { median, spread } from '../measure/statistics.js';
import type { Commands } from '../scenarios/commands.js';
import type { MemoryFigures, MemorySubject } from '../scenarios/memory.js';
import type { Measured, RaceName } from '../scenarios/scenario.js';

/** The variants that took part in a run. */
export function participants(commands: readonly Commands[]): VariantName[] {
  return VARIANTS.filter((name) => commands.some(({ variant }) => variant === name));
}

export type Figure = Exclude<keyof Round, 'calls'>;

/** The median over the rounds. */
export function figureOf({ rounds }: Series, figure: Figure): number {
  return median(rounds.map((round) => round[figure]));
}

/** The spread of the rounds, as a share of their median. */
export function spreadOf({ rounds }: Series, figure: Figure): number {
  return spread(rounds.map((round) => round[figure]));
}

/** One contestant / another: the median of the rounds' own ratios, because the machine changes between rounds. */
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

/** The memory of one subject / that of another, with the same other data in the sessions. */
export function memoryRatio(
  memory: readonly MemoryFigures[],
  [one, other]: readonly [MemorySubject, MemorySubject],
  step?: string,
): number | undefined {
  const usedMemory = (subject: MemorySubject) =>
    memory.find((figures) => figures.subject === subject && figures.step === step)?.usedMemory;
  const [ones, others] = [usedMemory(one), usedMemory(other)];
  return ones === undefined || others === undefined ? undefined : ones / others;
}

export const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);
