import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { eventually } from '../support/eventually.js';

const ROOT = join(import.meta.dirname, '../..');

/** A built sample as a process of its own, on a free port and with no setting but those given. */
export class SampleProcess {
  readonly #process: ChildProcess;
  #output = '';

  private constructor(name: string, env: Record<string, string>) {
    this.#process = spawn(process.execPath, [`build/${name}/main.js`], {
      cwd: ROOT,
      env: { PORT: '0', NO_COLOR: '1', ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    for (const stream of [this.#process.stdout, this.#process.stderr]) {
      stream?.on('data', (chunk) => (this.#output += String(chunk)));
    }
  }

  /** Resolves when the sample has printed its address, and fails with its output when it ends before. */
  static async start(name: string, env: Record<string, string> = {}): Promise<SampleProcess> {
    const sample = new SampleProcess(name, env);
    const ended = once(sample.#process, 'exit').then(() => {
      throw new Error(`${name} ended before it printed its address:\n${sample.output}`);
    });
    await Promise.race([ended, eventually(`the address of ${name}`, () => sample.#address(), { timeout: 20_000 })]);
    ended.catch(() => undefined);
    return sample;
  }

  /** Everything printed so far. */
  get output(): string {
    return this.#output;
  }

  get url(): string {
    return this.#address() ?? '';
  }

  /** Ends it as Ctrl-C does, and waits for it. */
  async stop(): Promise<void> {
    if (this.#process.exitCode !== null || this.#process.signalCode !== null) return;
    this.#process.kill('SIGINT');
    await once(this.#process, 'exit');
  }

  /** The last line break makes sure that the port is there to its last digit. */
  #address(): string | undefined {
    return /http:\/\/localhost:\d+(?=\n)/.exec(this.#output)?.[0];
  }
}
