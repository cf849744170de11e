import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import type { Question, Reply } from '../app/messages.js';
import type { CpuProfile } from '../app/profiler.js';
import type { Flag, VariantName } from '../app/variant.js';

const APPLICATIONS = join(import.meta.dirname, '../app');

export interface AppOptions {
  redisUrl: string;
  flags: readonly Flag[];
  /** The application's file. Default: that of the variant. */
  file?: VariantName;
  /** The folder of the compiled applications. Default: this build's own. */
  folder?: string | undefined;
  /** The Node to run on. Default: this process's own. */
  execPath?: string;
}

/** One application in a process of its own, so that the CPU time of that process is the cost of its requests. */
export class AppProcess {
  private constructor(
    readonly variant: VariantName,
    readonly port: number,
    private readonly child: ChildProcess,
  ) {}

  static async start(variant: VariantName, options: AppOptions): Promise<AppProcess> {
    const { redisUrl, flags, file = variant, folder = APPLICATIONS, execPath = process.execPath } = options;
    // Not production: there the library insists on Secure cookies, and this is plain HTTP. The same for all.
    const env = { ...process.env, NODE_ENV: 'development' };
    const child = fork(join(folder, 'server.js'), [file, redisUrl, ...flags], {
      env,
      execPath,
      execArgv: ['--expose-gc'],
    });
    const { port } = await replyOf(child, variant);
    return new AppProcess(variant, port ?? 0, child);
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  /** CPU time of the process so far, of all its threads, in microseconds. */
  async cpu(): Promise<number> {
    return (await this.#ask('cpu')).cpu ?? NaN;
  }

  /** Bytes that the process uses of its heap and outside it, after a collection of garbage. */
  async memory(): Promise<number> {
    return (await this.#ask('memory')).memory ?? NaN;
  }

  async startProfile(): Promise<void> {
    await this.#ask('start-profile');
  }

  async stopProfile(): Promise<CpuProfile> {
    const { profile } = await this.#ask('stop-profile');
    if (profile === undefined) throw new Error('There is no profile.');
    return profile;
  }

  async stop(): Promise<void> {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return;
    this.child.kill('SIGKILL');
    await once(this.child, 'exit');
  }

  async #ask(question: Question): Promise<Reply> {
    const reply = replyOf(this.child, this.variant);
    this.child.send(question);
    return reply;
  }
}

async function replyOf(child: ChildProcess, variant: string): Promise<Reply> {
  const settled = new AbortController();
  const ended = once(child, 'exit', { signal: settled.signal }).then(() => {
    throw new Error(`The application "${variant}" ended before it replied.`);
  });
  // Aborted once there is a reply.
  ended.catch(() => undefined);
  try {
    const [reply] = (await Promise.race([once(child, 'message', { signal: settled.signal }), ended])) as [Reply];
    return reply;
  } finally {
    settled.abort();
  }
}
