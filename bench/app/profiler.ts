import { type Profiler as Inspector, Session } from 'node:inspector/promises';

export type CpuProfile = Inspector.Profile;

/** Microseconds between two samples. */
const INTERVAL = 200;

/** V8's CPU profiler, as `--cpu-prof` runs it, but over the load alone: not over booting and warming up. */
export class Profiler {
  readonly #session = new Session();

  async start(): Promise<void> {
    this.#session.connect();
    await this.#session.post('Profiler.enable');
    await this.#session.post('Profiler.setSamplingInterval', { interval: INTERVAL });
    await this.#session.post('Profiler.start');
  }

  async stop(): Promise<CpuProfile> {
    const { profile } = await this.#session.post('Profiler.stop');
    this.#session.disconnect();
    return profile;
  }
}
