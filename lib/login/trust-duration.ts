import { MARKER_LIVES_FOR } from '../model/device-marker.js';
import type { Duration } from '../session-auth.options.js';
import { demand } from '../validation/checks.js';
import { milliseconds } from '../validation/duration.js';

/**
 * How long a browser is to be trusted, in milliseconds.
 *
 * @throws InvalidOptionError for anything but a duration of at most 400 days
 */
export function trustDuration(duration: Duration): number {
  const value = milliseconds('trustFor', duration);
  demand(
    value <= MARKER_LIVES_FOR,
    'trustFor',
    `${JSON.stringify(duration)} is longer than browsers keep a cookie`,
    'Give 400 days at most, such as "30d".',
  );
  return value;
}
