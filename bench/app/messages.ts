import type { CpuProfile } from './profiler.js';

/** What the benchmark asks an application's process, one question at a time. */
export type Question = 'cpu' | 'start-profile' | 'stop-profile';

/** What it answers, and (the port) says of itself when it is ready. */
export interface Reply {
  port?: number;
  /** The process's own CPU time so far, user and system, of all its threads, in microseconds. */
  cpu?: number;
  profile?: CpuProfile;
}
