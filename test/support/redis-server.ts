import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { createClient, type RedisClientOptions } from 'redis';
import { redisServerBinary } from '../../scripts/redis-server-binary.mjs';
import { eventually } from './eventually.js';
import { freePort } from './free-port.js';

export interface RedisServerOptions {
  /** More arguments of redis-server's command line, such as `['--maxmemory', '2mb']`. */
  args?: string[];
  /** Default: a free one. */
  port?: number;
}

const READY_WITHIN = 10_000;
const PORT_ATTEMPTS = 5;

/** A redis-server (or valkey-server) of one test file: nothing is kept on disk, and it dies with the test process. */
export class RedisServer {
  readonly #clients = new Set<{ destroy(): void; isOpen: boolean }>();
  readonly #directory = mkdtempSync(join(tmpdir(), 'redis-'));
  #process?: ChildProcess;
  #watchdog?: ChildProcess;

  private constructor(
    readonly port: number,
    private readonly args: string[],
  ) {}

  static async start({ args = [], port }: RedisServerOptions = {}): Promise<RedisServer> {
    for (let attempt = 1; ; attempt++) {
      const server = new RedisServer(port ?? (await freePort()), args);
      try {
        await server.#launch();
        return server;
      } catch (error) {
        await server.stop();
        if (!(error instanceof PortTakenError) || port !== undefined || attempt === PORT_ATTEMPTS) throw error;
      }
    }
  }

  get url(): string {
    return `redis://127.0.0.1:${this.port}`;
  }

  /** A connected node-redis client, closed by `stop()`. */
  async client(options: Pick<RedisClientOptions, 'password' | 'database'> = {}) {
    const client = createClient({ ...options, url: this.url });
    // A test that stops its server means it: the client may lose its connection.
    client.on('error', () => undefined);
    this.#clients.add(client);
    await client.connect();
    return client;
  }

  /** Calls per command since the server started (`{ get: 3, 'config|get': 1 }`). */
  async commandStats(): Promise<Record<string, number>> {
    const info = await this.#ask('INFO commandstats');
    if (info.startsWith('-')) throw new Error(`redis-server answered ${info.trim()}`);
    const lines = info.matchAll(/^cmdstat_([^:]+):calls=(\d+)/gm);
    return Object.fromEntries(Array.from(lines, ([, command, calls]) => [command, Number(calls)]));
  }

  /** Stops answering and keeps its connections, as a server that hangs. */
  pause(): void {
    this.#running.kill('SIGSTOP');
  }

  resume(): void {
    this.#running.kill('SIGCONT');
  }

  /** Ends it as a crash does; `restart()` brings it back. */
  async kill(): Promise<void> {
    const process = this.#process;
    if (!process) return;
    this.#process = undefined;
    this.#watchdog?.kill('SIGKILL');
    if (!hasExited(process)) {
      process.kill('SIGKILL');
      await once(process, 'exit');
    }
  }

  /** The same port again, empty. */
  async restart(): Promise<void> {
    await this.kill();
    await this.#launch();
  }

  async stop(): Promise<void> {
    for (const client of this.#clients) if (client.isOpen) client.destroy();
    this.#clients.clear();
    await this.kill();
    rmSync(this.#directory, { recursive: true, force: true });
  }

  get #running(): ChildProcess {
    if (!this.#process) throw new Error('This redis-server is not running');
    return this.#process;
  }

  /** Its own, so a PING here cannot be answered by another server that was faster to the TCP port. */
  get #socket(): string {
    return join(this.#directory, 'redis.sock');
  }

  async #launch(): Promise<void> {
    const binary = redisServerBinary();
    if (!binary) throw new Error('No redis-server found: run node scripts/ensure-redis-server.mjs');
    const own = [
      '--port',
      `${this.port}`,
      '--bind',
      '127.0.0.1',
      '--dir',
      this.#directory,
      '--unixsocket',
      this.#socket,
    ];
    const redis = spawn(binary, [...own, '--save', '', '--appendonly', 'no', ...this.args], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let output = '';
    for (const stream of [redis.stdout, redis.stderr]) stream.on('data', (chunk) => (output += String(chunk)));
    const exited = once(redis, 'close');
    exited.catch(() => undefined);
    await once(redis, 'spawn');
    this.#process = redis;
    this.#watchdog = killWhenThisProcessEnds(redis, this.#directory);

    await eventually(
      'redis-server to answer PING',
      async () => hasExited(redis) || /^(\+PONG|-NOAUTH)/.test(await this.#ask('PING')),
      { timeout: READY_WITHIN },
    );
    if (!hasExited(redis)) return;
    await exited;
    const message = `${binary} did not start:\n${output}`;
    throw /address already in use/i.test(output) ? new PortTakenError(message) : new Error(message);
  }

  /** One inline command, without a client's queue, retries or hello. */
  async #ask(command: string): Promise<string> {
    const socket = connect(this.#socket);
    socket.write(`${command}\r\nQUIT\r\n`);
    return text(socket);
  }
}

class PortTakenError extends Error {}

function hasExited(process: ChildProcess): boolean {
  return process.exitCode !== null || process.signalCode !== null;
}

/**
 * A shell that waits for the end of its input, which comes with the end of this process however that ends: not even
 * kill -9 on a test run leaves a server behind.
 */
function killWhenThisProcessEnds(target: ChildProcess, directory: string): ChildProcess {
  const script = 'read _; kill -9 "$1"; rm -rf "$2"';
  const watchdog = spawn('sh', ['-c', script, 'watchdog', `${target.pid}`, directory], {
    stdio: ['pipe', 'ignore', 'ignore'],
    // Out of reach of a Ctrl-C that a paused server would survive.
    detached: true,
  });
  watchdog.unref();
  (watchdog.stdin as unknown as { unref(): void }).unref();
  return watchdog;
}
