import type { PolicyDuration } from './policy-description.js';

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** A length of time and its text, which says all of it: `1 hour 30 minutes`, `24 hours`, `30 days`. */
export function durationOf(ms: number): PolicyDuration {
  const units: [string, number][] = [
    ...(ms < 2 * DAY ? [] : [['day', DAY] satisfies [string, number]]), // A day is written as 24 hours.
    ['hour', HOUR],
    ['minute', MINUTE],
    ['second', SECOND],
    ['millisecond', 1],
  ];
  let rest = ms;
  const parts = units.flatMap(([unit, length]) => {
    const count = length === 1 ? rest : Math.floor(rest / length);
    rest -= count * length;
    return count === 0 ? [] : [`${count} ${unit}${count === 1 ? '' : 's'}`];
  });
  return { ms, text: parts.join(' ') };
}
