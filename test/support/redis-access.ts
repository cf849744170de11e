import { connect } from 'node:net';
import { text } from 'node:stream/consumers';
import { createClient, type RedisClientOptions } from 'redis';

/** A running redis-server, whoever has started it. */
export class RedisAccess {
  readonly #clients = new Set<{ destroy(): void; isOpen: boolean }>();

  constructor(
    readonly port: number,
    /** The path of a socket that is the server's own. */
    readonly socket: string,
  ) {}

  get url(): string {
    return `redis://127.0.0.1:${this.port}`;
  }

  get isRunning(): boolean {
    return true;
  }

  /** A connected node-redis client, closed by `disconnect()`. */
  async client(options: Pick<RedisClientOptions, 'password' | 'database'> = {}) {
    const client = createClient({ ...options, url: this.url });
    // A test that stops its server means it: the client may lose its connection.
    client.on('error', () => undefined);
    this.#clients.add(client);
    await client.connect();
    return client;
  }

  /** Closes the clients. */
  disconnect(): void {
    for (const client of this.#clients) if (client.isOpen) client.destroy();
    this.#clients.clear();
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
   * rejects. It takes a socket of this server's own, so nothing else can reply that was faster to the TCP port.
   */
  async ask(...words: string[]): Promise<string> {
    const socket = connect(this.socket);
    socket.end(`*${words.length}\r\n${words.map((word) => `$${Buffer.byteLength(word)}\r\n${word}\r\n`).join('')}`);
    const reply = await text(socket);
    if (!reply || reply.startsWith('-')) throw new Error(`redis-server replied ${reply.trim() || 'nothing'}`);
    return reply;
  }
}
