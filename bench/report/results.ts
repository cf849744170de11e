import type { Measured } from '../scenarios/scenario.js';
import type { Commands } from '../scenarios/commands.js';
import type { Bar } from './bars.js';

/** On what, when and how a run was made. */
export interface Circumstances {
  date: string;
  commandLine: string;
  commit: string;
  /** There were changes that no commit has. */
  modified: boolean;
  node: string;
  redis: string;
  processor: string;
  processors: number;
  packages: Record<string, string>;
  /** Of the machine, over the minute before: what else was going on. */
  load: number;
  /** Seconds that the run took. */
  took: number;
}

/** All of a run, as `latest.json` keeps it. */
export interface Results extends Measured {
  circumstances: Circumstances;
  commands: Commands[];
  bars: Bar[];
}
