import type { CpuProfile } from './profiler.js';

/** The benchmark's questions to an application's process, one at a time. */
export type Question = 'cpu' | 'memory' | 'start-profile' | 'stop-profile';

/** The process's reply. The one with the port comes unasked, once the application listens. */
export interface Reply {
  port?: number;
  /** CPU time of the process so far, user and system, of all its threads, in microseconds. */
  cpu?: number;
  /** Bytes that the process uses of its heap and outside it, after a collection of garbage. */
  memory?: number;
  profile?: CpuProfile;
}
