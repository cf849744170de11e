import type { Measured } from '../scenarios/scenario.js';
import type { Commands } from '../scenarios/commands.js';
import type { Bar } from './bars.js';

/** The state of the sources. */
export interface Checkout {
  commit: string;
  /** There are changes outside any commit. */
  modified: boolean;
}

/** When, how and on what machine a run was made. */
export interface Circumstances extends Checkout {
  date: string;
  commandLine: string;
  /** The checkout whose build `before` runs on. */
  against?: Checkout & { folder: string };
  node: string;
  redis: string;
  processor: string;
  processors: number;
  packages: Record<string, string>;
  /** Of the machine, over the minute before the run. */
  load: number;
  /** Seconds that the run took. */
  took: number;
}

/** Everything about a run, as in `latest.json`. */
export interface Results extends Measured {
  circumstances: Circumstances;
  commands: Commands[];
  bars: Bar[];
}
