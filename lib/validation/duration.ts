import ms from 'ms';
import type { Duration } from '../session-auth.options.js';
import { demand } from './checks.js';

/** A century. Much later dates cannot be written in a cookie. */
const LONGEST_DURATION = 100 * 365 * 24 * 3600 * 1000;

/**
 * A duration in milliseconds.
 *
 * @throws InvalidOptionError for anything but a number above zero
 */
export function milliseconds(option: string, duration: Duration): number {
  const value = typeof duration === 'string' && duration !== '' ? ms(duration as ms.StringValue) : duration;
  demand(
    typeof value === 'number' && value > 0 && value <= LONGEST_DURATION,
    option,
    `${typeof duration === 'string' ? JSON.stringify(duration) : duration} is no duration above zero (and below a century)`,
    `Give milliseconds or a string such as "15m".`,
  );
  return value;
}
