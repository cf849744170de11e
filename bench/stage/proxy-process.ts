import { fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createClient } from 'redis';
import { median } from '../measure/statistics.js';

const PROXY = join(import.meta.dirname, 'proxy.js');
const PINGS = 200;

/** A line to Redis that delays bytes by some milliseconds each way. */
export class ProxyProcess {
  private constructor(
    readonly port: number,
    readonly stop: () => void,
  ) {}

  static async start(port: number, delay: number): Promise<ProxyProcess> {
    const child = fork(PROXY, [`${port}`, `${delay}`], { execArgv: [] });
    const [own] = (await once(child, 'message')) as [number];
    return new ProxyProcess(own, () => child.kill('SIGKILL'));
  }

  /** Milliseconds from a PING to its reply: twice the delay, and what timers and the network add. */
  async roundTrip(): Promise<number> {
    const client = createClient({ url: `redis://127.0.0.1:${this.port}` });
    await client.connect();
    const times: number[] = [];
    for (let ping = 0; ping < PINGS; ping++) {
      const begun = performance.now();
      await client.ping();
      times.push(performance.now() - begun);
    }
    client.destroy();
    return median(times);
  }
}
