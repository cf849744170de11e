import { within } from '../session/deadline.js';
import type { LuaScript } from './lua-script.js';
import type { RedisCommands } from './redis.options.js';

/** How the stores reach Redis. */
export interface RedisAccessOptions {
  readonly client: RedisCommands;
  /** Longest wait for a command, in milliseconds. */
  readonly timeout: number;
  /** Told that a command was not answered in time. */
  readonly onLate?: () => void;
}

type ScanClient = { scanIterator(options: { MATCH: string; COUNT: number }): AsyncIterable<string | string[]> };
type ClusterClient = { masters: object[]; nodeClient(node: object): Promise<ScanClient> };

/** Keys asked for in one SCAN step. */
const SCAN_COUNT = 100;

/** Commands and scripts, each within its deadline, and walks over all keys, on one server or on all masters of a cluster. */
export class RedisAccess {
  constructor(private readonly options: RedisAccessOptions) {}

  command<T>(run: (client: RedisCommands) => Promise<T>): Promise<T> {
    return within(this.options.timeout, run(this.options.client), this.options.onLate);
  }

  script(script: LuaScript, keys: string[], args: (string | number)[]): Promise<unknown> {
    return this.command((client) => script.run(client, keys, args));
  }

  /** The keys that match, in batches; one that stays throughout comes at least once. */
  async *scan(pattern: string): AsyncGenerator<string[]> {
    for (const client of await this.#nodes()) {
      for await (const keys of client.scanIterator({ MATCH: pattern, COUNT: SCAN_COUNT })) {
        yield [keys].flat();
      }
    }
  }

  /** Every server that holds keys of its own: a cluster's masters, or the one there is. */
  #nodes(): Promise<ScanClient[]> {
    const client = this.options.client as unknown as ScanClient | ClusterClient;
    return 'masters' in client
      ? Promise.all(client.masters.map((node) => client.nodeClient(node)))
      : Promise.resolve([client]);
  }
}
