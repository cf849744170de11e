import { type ChildProcess, spawn } from 'node:child_process';
import type { Writable } from 'node:stream';

/**
 * Kills a process and removes a directory when this process ends, however it ends: not even kill -9 on a test run leaves
 * a server behind. It is a shell that waits for the end of its input.
 */
export class Watchdog {
  readonly #shell: ChildProcess;
  readonly #input: Writable;

  constructor(directory: string) {
    const script = 'while read -r line; do pid=$line; done; [ -z "$pid" ] || kill -9 "$pid"; rm -rf "$1"';
    this.#shell = spawn('sh', ['-c', script, 'watchdog', directory], {
      stdio: ['pipe', 'ignore', 'ignore'],
      // Out of reach of a Ctrl-C that a paused server would survive.
      detached: true,
    });
    this.#shell.unref();
    this.#input = this.#shell.stdin!;
    (this.#input as unknown as { unref(): void }).unref();
    this.#input.on('error', () => undefined);
  }

  /** This is the process now; none when `undefined`. */
  watch(pid: number | undefined): void {
    this.#input.write(`${pid ?? ''}\n`);
  }

  dismiss(): void {
    this.#shell.kill('SIGKILL');
  }
}
