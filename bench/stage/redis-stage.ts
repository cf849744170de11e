import { RedisServer } from '../../test/support/redis-server.js';
import { VARIANTS, type VariantName } from '../app/variant.js';

/** A redis-server's counters so far. */
export interface RedisFigures {
  /** Calls of each command, those inside scripts included. */
  calls: Record<string, number>;
  /** CPU time of the server, in microseconds. */
  cpu: number;
}

type Client = Awaited<ReturnType<RedisServer['client']>>;

type SlowLogEntry = [id: number, at: number, microseconds: number, words: string[]];

/** The number redis-server has by default. The first are the variants' own; the rest are spare. */
const DATABASES = 16;
const SPARE = VARIANTS.length;

/** Commands of the benchmark itself. */
const OWN = new Set(['info', 'quit']);

/** A redis-server in which each variant has its own database. */
export class RedisStage {
  readonly #shown = new Map<VariantName, number>();

  private constructor(
    private readonly server: RedisServer,
    private readonly admin: Client,
  ) {}

  static async start(): Promise<RedisStage> {
    const server = await RedisServer.start();
    return new RedisStage(server, await server.client());
  }

  get port(): number {
    return this.server.port;
  }

  /** The URL of a variant's database, over a proxy's `port` if given. */
  url(variant: VariantName, port = this.port): string {
    return `redis://127.0.0.1:${port}/${databaseOf(variant)}`;
  }

  /** A client of a variant's database. */
  client(variant: VariantName): Promise<Client> {
    return this.server.client({ database: databaseOf(variant) });
  }

  /** A section of INFO. */
  async info(section: string): Promise<Record<string, string>> {
    const text = await this.admin.info(section);
    const lines = text.matchAll(/^(\w+):(.*)\r$/gm);
    return Object.fromEntries(Array.from(lines, ([, name = '', value = '']) => [name, value] as const));
  }

  async figures(): Promise<RedisFigures> {
    const [stats, { used_cpu_user, used_cpu_sys }] = await Promise.all([this.server.commandStats(), this.info('cpu')]);
    const calls = Object.fromEntries(Object.entries(stats).filter(([command]) => !OWN.has(command)));
    return { calls, cpu: (Number(used_cpu_user) + Number(used_cpu_sys)) * 1e6 };
  }

  /** How long each script ran that some work called, in milliseconds, one after the other. By SLOWLOG: without the line to Redis. */
  async scriptTimes(work: () => Promise<unknown>): Promise<number[]> {
    await this.admin.configSet({ 'slowlog-log-slower-than': '0', 'slowlog-max-len': '100000' });
    // Memory that was freed before is not to be given back meanwhile.
    await this.admin.sendCommand(['MEMORY', 'PURGE']);
    await this.admin.sendCommand(['SLOWLOG', 'RESET']);
    await work();
    const log = (await this.admin.sendCommand(['SLOWLOG', 'GET', '-1'])) as unknown as SlowLogEntry[];
    await this.admin.configSet({ 'slowlog-log-slower-than': '-1' });
    return log
      .filter(([, , , [command = '']]) => /^eval/i.test(command))
      .sort(([one], [other]) => one - other)
      .map(([, , microseconds]) => microseconds / 1000);
  }

  /** Deletes everything that a variant has stored. */
  flush(variant: VariantName): Promise<void> {
    return this.#empty(databaseOf(variant));
  }

  /** Swaps a spare database into the place of a variant's own: the variant's connections use it from now on. */
  async show(variant: VariantName, place: number): Promise<void> {
    if (this.#shown.get(variant) === place) return;
    await this.#hide(variant);
    await this.#swap(variant, place);
    this.#shown.set(variant, place);
  }

  /** Gives every variant its own database back, and empties the spare ones. */
  async hideAll(): Promise<void> {
    for (const variant of VARIANTS) await this.#hide(variant);
    const spare = Array.from({ length: DATABASES - SPARE }, (_, place) => SPARE + place);
    for (const database of spare) await this.#empty(database);
  }

  async #empty(database: number): Promise<void> {
    const client = await this.server.client({ database });
    await client.flushDb();
    client.destroy();
  }

  async #hide(variant: VariantName): Promise<void> {
    const shown = this.#shown.get(variant);
    if (shown !== undefined) await this.#swap(variant, shown);
    this.#shown.delete(variant);
  }

  async #swap(variant: VariantName, place: number): Promise<void> {
    await this.admin.sendCommand(['SWAPDB', `${databaseOf(variant)}`, `${SPARE + place}`]);
  }

  stop(): Promise<void> {
    return this.server.stop();
  }

  /** Keeps its connections and replies to nothing until `resume()`. */
  pause(): void {
    this.server.pause();
  }

  resume(): void {
    this.server.resume();
  }

  /** Ends the server as a crash does. */
  kill(): Promise<void> {
    return this.server.kill();
  }

  /** Starts the server again, empty, on the same port. */
  restart(): Promise<void> {
    return this.server.restart();
  }
}

export function databaseOf(variant: VariantName): number {
  return VARIANTS.indexOf(variant);
}
