import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { redisServerBinary } from '../../scripts/redis-server-binary.mjs';
import { eventually } from './eventually.js';
import { freePort } from '../../scripts/free-port.mjs';
import { RedisAccess } from './redis-access.js';
import { RedisProcess } from './redis-process.js';
import { Watchdog } from './watchdog.js';

export interface RedisServerOptions {
  /**
   * More arguments of redis-server's command line, such as `['--maxmemory', '2mb']`. A function is asked for them anew
   * at each attempt to find free ports: it is where a second port comes from.
   */
  args?: string[] | (() => Promise<string[]>);
  /** What its configuration file holds at first; the server may rewrite it. Default: no file. */
  config?: string;
  /** Files in its directory, their content by their name, for arguments that name one. */
  files?: Record<string, string>;
  /** Default: a free one. */
  port?: number;
  /** A path or a name on PATH. Default: what `redisServerBinary()` finds. */
  binary?: string;
}

const READY_WITHIN = 10_000;
const PORT_ATTEMPTS = 5;

/** A redis-server (or valkey-server) of one test file: nothing is kept on disk, and it dies with the test process. */
export class RedisServer extends RedisAccess {
  readonly #watchdog: Watchdog;
  readonly #configFile: string[] = [];
  #process?: RedisProcess;

  private constructor(
    port: number,
    private readonly args: string[],
    private readonly options: RedisServerOptions,
    private readonly directory = mkdtempSync(join(tmpdir(), 'redis-')),
  ) {
    super(port, join(directory, 'redis.sock'));
    this.#watchdog = new Watchdog(directory);
    const { config, files = {} } = options;
    if (config !== undefined) this.#configFile.push(this.#write('redis.conf', config));
    for (const [name, content] of Object.entries(files)) this.#write(name, content);
  }

  static async start(options: RedisServerOptions = {}): Promise<RedisServer> {
    const { args = [], port } = options;
    for (let attempt = 1; ; attempt++) {
      const own = port ?? (await freePort());
      const server = new RedisServer(own, typeof args === 'function' ? await args() : args, options);
      try {
        await server.#launch();
        return server;
      } catch (error) {
        await server.stop();
        if (!(error instanceof PortTakenError) || port !== undefined || attempt === PORT_ATTEMPTS) throw error;
      }
    }
  }

  get isPaused(): boolean {
    return this.#process?.isPaused === true;
  }

  /** Neither killed nor paused. */
  override get isRunning(): boolean {
    return this.#process !== undefined && !this.#process.hasExited && !this.#process.isPaused;
  }

  /** Stops answering and keeps its connections, as a server that hangs. */
  pause(): void {
    this.#running.pause();
  }

  resume(): void {
    this.#running.resume();
  }

  /** Ends it as a crash does; `restart()` brings it back. */
  async kill(): Promise<void> {
    const process = this.#process;
    this.#process = undefined;
    await process?.kill();
    this.#watchdog.watch(undefined);
  }

  /** The same port again, empty. */
  async restart(): Promise<void> {
    await this.kill();
    await this.#launch();
  }

  async stop(): Promise<void> {
    this.disconnect();
    await this.kill();
    rmSync(this.directory, { recursive: true, force: true });
    this.#watchdog.dismiss();
  }

  /** Has it run until this process ends, which no longer waits for it. */
  abandon(): void {
    this.disconnect();
    this.#running.abandon();
  }

  get #running(): RedisProcess {
    if (!this.#process) throw new Error('This redis-server is not running');
    return this.#process;
  }

  #write(name: string, content: string): string {
    const path = join(this.directory, name);
    writeFileSync(path, content, { mode: 0o600 });
    return path;
  }

  async #launch(): Promise<void> {
    const binary = this.options.binary ?? redisServerBinary();
    if (!binary) throw new Error('No redis-server found: run node scripts/ensure-redis-server.mjs');
    const own = ['--port', `${this.port}`, '--bind', '127.0.0.1', '--dir', this.directory, '--unixsocket', this.socket];
    const args = [...this.#configFile, ...own, '--save', '', '--appendonly', 'no', ...this.args];
    const redis = (this.#process = await RedisProcess.start(binary, args));
    this.#watchdog.watch(redis.pid);
    await eventually('redis-server to reply to PING', async () => redis.hasExited || (await this.#isUp()), {
      timeout: READY_WITHIN,
    });
    if (!redis.hasExited) return;
    const message = `${binary} did not start:\n${await redis.lastWords()}`;
    throw /address already in use/i.test(message) ? new PortTakenError(message) : new Error(message);
  }

  /** To want a password is a reply, too. */
  async #isUp(): Promise<boolean> {
    return this.ask('PING').then(
      () => true,
      (error: unknown) => String(error).includes('NOAUTH'),
    );
  }
}

class PortTakenError extends Error {}
