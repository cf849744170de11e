import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';

/** One run of a redis-server. */
export class RedisProcess {
  #output = '';
  #paused = false;
  readonly #closed: Promise<unknown>;

  private constructor(private readonly child: ChildProcess) {
    for (const stream of [child.stdout, child.stderr]) stream?.on('data', (chunk) => (this.#output += String(chunk)));
    this.#closed = once(child, 'close');
    this.#closed.catch(() => undefined);
  }

  static async start(binary: string, args: string[]): Promise<RedisProcess> {
    const child = spawn(binary, args, { stdio: ['ignore', 'pipe', 'pipe'] });
    await once(child, 'spawn');
    return new RedisProcess(child);
  }

  get pid(): number | undefined {
    return this.child.pid;
  }

  get hasExited(): boolean {
    return this.child.exitCode !== null || this.child.signalCode !== null;
  }

  get isPaused(): boolean {
    return this.#paused;
  }

  /** All that it has said, once it has ended. */
  async lastWords(): Promise<string> {
    await this.#closed;
    return this.#output;
  }

  pause(): void {
    this.#paused = this.child.kill('SIGSTOP');
  }

  resume(): void {
    this.child.kill('SIGCONT');
    this.#paused = false;
  }

  /** This process need not wait for it, nor hear of it, any more. */
  abandon(): void {
    for (const stream of [this.child.stdout, this.child.stderr]) stream?.destroy();
    this.child.unref();
  }

  async kill(): Promise<void> {
    if (this.hasExited) return;
    this.child.kill('SIGKILL');
    await once(this.child, 'exit');
  }
}
