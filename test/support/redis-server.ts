import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { createClient, type RedisClientOptions } from 'redis';
import { redisServerBinary } from '../../scripts/redis-server-binary.mjs';
import { eventually } from './eventually.js';
import { freePort } from './free-port.js';
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
export class RedisServer {
  readonly #clients = new Set<{ destroy(): void; isOpen: boolean }>();
  readonly #directory = mkdtempSync(join(tmpdir(), 'redis-'));
  readonly #watchdog = new Watchdog(this.#directory);
  readonly #configFile: string[] = [];
  #process?: RedisProcess;

  private constructor(
    readonly port: number,
    private readonly args: string[],
    private readonly options: RedisServerOptions,
  ) {
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

  get url(): string {
    return `redis://127.0.0.1:${this.port}`;
  }

  get isPaused(): boolean {
    return this.#process?.isPaused === true;
  }

  /** Neither killed nor paused. */
  get isRunning(): boolean {
    return this.#process !== undefined && !this.#process.hasExited && !this.#process.isPaused;
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
    const info = await this.ask('INFO', 'commandstats');
    const lines = info.matchAll(/^cmdstat_([^:]+):calls=(\d+)/gm);
    return Object.fromEntries(Array.from(lines, ([, command, calls]) => [command, Number(calls)]));
  }

  /** One section of `INFO`, field by field. */
  async info(section: string): Promise<Partial<Record<string, string>>> {
    const lines = (await this.ask('INFO', section)).matchAll(/^(\w+):(.*)\r$/gm);
    return Object.fromEntries(Array.from(lines, ([, field, value]) => [field, value]));
  }

  /**
   * One command without a client's queue, retries or hello, and its reply as the protocol writes it. An error reply
   * rejects. It takes a socket of this server's own, so nothing else can answer that was faster to the TCP port.
   */
  async ask(...words: string[]): Promise<string> {
    const socket = connect(this.#socket);
    socket.end(`*${words.length}\r\n${words.map((word) => `$${Buffer.byteLength(word)}\r\n${word}\r\n`).join('')}`);
    const reply = await text(socket);
    if (!reply || reply.startsWith('-')) throw new Error(`redis-server answered ${reply.trim() || 'nothing'}`);
    return reply;
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
    for (const client of this.#clients) if (client.isOpen) client.destroy();
    this.#clients.clear();
    await this.kill();
    rmSync(this.#directory, { recursive: true, force: true });
    this.#watchdog.dismiss();
  }

  get #running(): RedisProcess {
    if (!this.#process) throw new Error('This redis-server is not running');
    return this.#process;
  }

  #write(name: string, content: string): string {
    const path = join(this.#directory, name);
    writeFileSync(path, content, { mode: 0o600 });
    return path;
  }

  get #socket(): string {
    return join(this.#directory, 'redis.sock');
  }

  async #launch(): Promise<void> {
    const binary = this.options.binary ?? redisServerBinary();
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
    const args = [...this.#configFile, ...own, '--save', '', '--appendonly', 'no', ...this.args];
    const redis = (this.#process = await RedisProcess.start(binary, args));
    this.#watchdog.watch(redis.pid);
    await eventually('redis-server to answer PING', async () => redis.hasExited || (await this.#isUp()), {
      timeout: READY_WITHIN,
    });
    if (!redis.hasExited) return;
    const message = `${binary} did not start:\n${await redis.lastWords()}`;
    throw /address already in use/i.test(message) ? new PortTakenError(message) : new Error(message);
  }

  /** To want a password is an answer, too. */
  async #isUp(): Promise<boolean> {
    return this.ask('PING').then(
      () => true,
      (error: unknown) => String(error).includes('NOAUTH'),
    );
  }
}

class PortTakenError extends Error {}
