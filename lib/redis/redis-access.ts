import { type Patience, within } from '../session/deadline.js';
import { serversOf } from './redis.client.js';
import type { LuaScript } from './lua-script.js';
import type { RedisCommands } from './redis.options.js';

/** How the stores reach Redis. */
export interface RedisAccessOptions {
  readonly client: RedisCommands;
  /** Longest wait for a command, in milliseconds. */
  readonly timeout: number;
  /** The client may hold commands back and send them later: they are called off when their time is over. */
  readonly holdsBack?: boolean;
  /** Told why a command was not answered as it should be: not in time, or with an error. */
  readonly onFailure?: (error: Error) => void;
}

interface Cancellable {
  withCommandOptions(options: { timeout: undefined; abortSignal: AbortSignal }): RedisCommands;
}

interface ServerClient {
  scanIterator(options: { MATCH: string; COUNT: number }): AsyncIterable<string | string[]>;
}

/** Keys asked for in one SCAN step. */
const SCAN_COUNT = 100;

/** Commands and scripts, each within its deadline, and walks over all keys, on one server or on all masters of a cluster. */
export class RedisAccess {
  constructor(private readonly options: RedisAccessOptions) {}

  command<T>(run: (client: RedisCommands) => Promise<T>, patience?: Patience): Promise<T> {
    const { client, timeout, holdsBack, onFailure } = this.options;
    if (holdsBack !== true) {
      return within(timeout, run(client), { patience, onFailure });
    }
    const late = new AbortController();
    const bound = (client as RedisCommands & Cancellable).withCommandOptions({
      timeout: undefined,
      abortSignal: late.signal,
    });
    return within(timeout, run(bound), {
      patience,
      onFailure: (error) => {
        late.abort();
        onFailure?.(error);
      },
    });
  }

  script(script: LuaScript, keys: string[], args: (string | number)[], patience?: Patience): Promise<unknown> {
    return this.command((client) => script.run(client, keys, args), patience);
  }

  /** The keys that match, in batches; one that stays throughout comes at least once. */
  async *scan(pattern: string): AsyncGenerator<string[]> {
    for (const client of await Promise.all(serversOf<ServerClient>(this.options.client))) {
      for await (const keys of client.scanIterator({ MATCH: pattern, COUNT: SCAN_COUNT })) {
        yield [keys].flat();
      }
    }
  }
}
