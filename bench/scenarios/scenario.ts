import type { Pace, Series } from '../measure/race.js';
import type { Stage } from '../stage/stage.js';
import type { MemoryFigures } from './memory.js';
import type { Staleness } from './read-cache.js';

/** How much is measured, and how long. */
export interface Settings {
  /** Of the four applications. */
  pace: Pace;
  /** Of what may grow. */
  growthPace: Pace;
  /** Sessions whose memory is measured. */
  memorySessions: number;
  /** Kilobytes of data in a session. */
  sizes: number[];
  /** Sessions of one user. */
  perUser: number[];
  /** Sessions in Redis. */
  totals: number[];
}

/** Races by name: what they were run for. */
export type RaceName =
  | 'read'
  | 'anonymous'
  | 'login'
  | 'logout'
  | 'delayed'
  | 'delayed-busy'
  | 'size'
  | 'per-user-read'
  | 'per-user-login'
  | 'per-user-logout'
  | 'total'
  | 'total-login'
  | 'total-logout'
  | 'read-cache'
  | 'read-cache-delayed';

/** What the scenarios found. */
export interface Measured {
  races: Partial<Record<RaceName, Series[]>>;
  memory?: MemoryFigures[];
  /** Milliseconds from a PING to its answer on the slow line. */
  roundTrip?: number;
  staleness?: Staleness;
}

export type Scenario = (stage: Stage, settings: Settings) => Promise<Partial<Measured>>;
