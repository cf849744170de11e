import type { Pace, Series } from '../measure/race.js';
import type { Stage } from '../stage/stage.js';
import type { ConnectionAmounts, ConnectionFigures } from './connections.js';
import type { MemoryFigures } from './memory.js';
import type { OutageFigures } from './outage.js';
import type { Staleness } from './read-cache.js';
import type { ScriptFigures } from './script-times.js';

/** The amount of measuring. */
export interface Settings {
  /** Of races between the applications. */
  pace: Pace;
  /** Of scenarios whose data grows. */
  growthPace: Pace;
  /** Users whose memory is measured, with one session each. */
  memoryUsers: number;
  /** Kilobytes of other data in a session. */
  sizes: number[];
  /** Sessions of one user. */
  perUser: number[];
  /** Sessions in Redis. */
  totals: number[];
  /** Rounds of each operation whose scripts are timed. */
  scriptRounds: number;
  /** Outages of each kind. */
  outages: number;
  /** Of open connections. */
  connections: ConnectionAmounts;
}

/** What a race is about. */
export type RaceName =
  | 'read'
  | 'anonymous'
  | 'login'
  | 'logout'
  | 'cookies'
  | 'delayed'
  | 'delayed-busy'
  | 'size'
  | 'per-user-read'
  | 'per-user-login'
  | 'per-user-logout'
  | 'total'
  | 'total-login'
  | 'total-logout'
  | 'clients-read'
  | 'clients-login'
  | 'metrics'
  | 'read-cache'
  | 'read-cache-delayed'
  | 'fastify-read'
  | 'fastify-anonymous'
  | 'fastify-login'
  | 'better-auth';

/** The results of the scenarios. */
export interface Measured {
  races: Partial<Record<RaceName, Series[]>>;
  memory?: MemoryFigures[];
  /** Milliseconds from a PING to its reply over the slow line. */
  roundTrip?: number;
  staleness?: Staleness;
  scripts?: ScriptFigures[];
  outages?: OutageFigures[];
  connections?: ConnectionFigures;
}

export type Scenario = (stage: Stage, settings: Settings) => Promise<Partial<Measured>>;
