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
  /** Redis is known not to answer: it is not to be asked. */
  readonly isDown?: boolean;
  /** Told why a command was not answered as it should be: not in time, or with an error. */
  readonly onFailure?: (error: Error) => void;
}

interface Cancellable {
  withCommandOptions(options: { timeout: undefined; typeMapping: object; abortSignal: AbortSignal }): RedisCommands;
}

/** Whether a client's commands can be called off. */
export function isCancellable(client: RedisCommands | undefined): boolean {
  return typeof (client as Partial<Cancellable> | undefined)?.withCommandOptions === 'function';
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
    const { client, timeout, holdsBack, isDown, onFailure } = this.options;
    if (isDown === true) {
      return Promise.reject(silence());
    }
    if (holdsBack !== true) {
      return within(timeout, run(client), { patience, onFailure });
    }
    const late = new AbortController();
    const bound = (client as RedisCommands & Cancellable).withCommandOptions({
      timeout: undefined,
      typeMapping: {}, // Texts, whatever else a given client is used for.
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

  /** The keys that match, in batches, each within the deadline; one that stays throughout comes at least once. */
  async *scan(pattern: string): AsyncGenerator<string[]> {
    const { client, timeout, isDown, onFailure } = this.options;
    if (isDown === true) {
      throw silence();
    }
    for (const server of await within(timeout, Promise.all(serversOf<ServerClient>(client)), { onFailure })) {
      const steps = server.scanIterator({ MATCH: pattern, COUNT: SCAN_COUNT })[Symbol.asyncIterator]();
      for (;;) {
        const step = await within(timeout, steps.next(), { onFailure });
        if (step.done === true) {
          break;
        }
        yield [step.value].flat().map(String);
      }
    }
  }
}

function silence(): Error {
  return new Error('Redis does not answer.');
}
