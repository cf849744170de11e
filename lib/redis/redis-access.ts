import { DisconnectedError, type TimeBudget, within } from '../store/time-budget.js';
import { serversOf } from './redis-client.js';
import type { LuaScript, ScriptArguments, ScriptKeys } from './lua-script.js';
import type { RedisCommands } from './redis-options.js';

/** The connection that commands are sent by. */
export interface RedisLink {
  /** May be replaced at any time. */
  readonly client: RedisCommands;
  /** What a command waits for before it is sent, while the connection is being opened. */
  readonly opening?: Promise<void> | undefined;
  /** The client may queue commands and send them later. Those that are late are then cancelled. */
  readonly mayQueue?: boolean;
  /** True while the connection is down: commands would fail or wait in vain. */
  readonly isDown?: boolean;
  /** Called when a command got no reply in time, or an error. */
  suspect?(error: Error): void;
}

interface Cancellable {
  withCommandOptions(options: { timeout: undefined; typeMapping: object; abortSignal: AbortSignal }): RedisCommands;
}

/** Whether a client's commands can be cancelled. */
export function isCancellable(client: RedisCommands | undefined): boolean {
  return typeof (client as Partial<Cancellable> | undefined)?.withCommandOptions === 'function';
}

interface ServerClient {
  scanIterator(options: { MATCH: string; COUNT: number }): AsyncIterable<string | string[]>;
}

/** How a script is called, beside its named keys and arguments. */
interface ScriptCall {
  readonly budget?: TimeBudget | undefined;
  readonly more?: { keys: string[]; args: string[] };
  /** Called after the deadline, with the reply that may still come. */
  readonly onLate?: (reply: Promise<unknown>) => void;
}

/** Keys that one SCAN asks for. */
const SCAN_COUNT = 100;

/**
 * Sends commands and scripts, each within its deadline, and walks over all keys of a server or of a cluster's masters.
 */
export class RedisAccess {
  /** @param timeout longest wait for a command, in milliseconds */
  constructor(
    private readonly link: RedisLink,
    private readonly timeout: number,
  ) {}

  private readonly onFailure = (error: Error): void => {
    this.link.suspect?.(error);
  };

  /** @param onLate called after the deadline, with the reply that may still come */
  command<T>(
    run: (client: RedisCommands) => Promise<T>,
    budget?: TimeBudget,
    onLate?: (reply: Promise<T>) => void,
  ): Promise<T> {
    const { timeout, onFailure } = this;
    const { mayQueue, isDown } = this.link;
    if (isDown === true) {
      return Promise.reject(downError());
    }
    if (mayQueue !== true) {
      return within(timeout, this.#send(run), { budget, onFailure, onLate });
    }
    const late = new AbortController();
    const cancellable = (client: RedisCommands) =>
      (client as RedisCommands & Cancellable).withCommandOptions({
        timeout: undefined,
        typeMapping: {}, // Replies are strings, whatever else a given client is used for.
        abortSignal: late.signal,
      });
    return within(
      timeout,
      this.#send((client) => run(cancellable(client))),
      {
        budget,
        onLate,
        onFailure: (error) => {
          late.abort();
          onFailure(error);
        },
      },
    );
  }

  /** The client may be another one when the connection is open. */
  #send<T>(run: (client: RedisCommands) => Promise<T>): Promise<T> {
    const { opening } = this.link;
    return opening === undefined ? run(this.link.client) : opening.then(() => run(this.link.client));
  }

  /** Runs a script. `more` are keys and arguments after the named ones. */
  script<Key extends string, Argument extends string>(
    script: LuaScript<Key, Argument>,
    keys: ScriptKeys<Key>,
    args: ScriptArguments<Argument>,
    { budget, more, onLate }: ScriptCall = {},
  ): Promise<unknown> {
    return this.command((client) => script.run(client, keys, args, more), budget, onLate);
  }

  /** The keys that match, in batches, each within the deadline. A key that is there throughout comes at least once. */
  async *scan(pattern: string): AsyncGenerator<string[]> {
    const { timeout, onFailure } = this;
    if (this.link.isDown === true) {
      throw downError();
    }
    await this.link.opening;
    const servers = Promise.all(serversOf<ServerClient>(this.link.client));
    for (const server of await within(timeout, servers, { onFailure })) {
      const batches = server.scanIterator({ MATCH: pattern, COUNT: SCAN_COUNT })[Symbol.asyncIterator]();
      for (;;) {
        const batch = await within(timeout, batches.next(), { onFailure });
        if (batch.done === true) {
          break;
        }
        yield [batch.value].flat().map(String);
      }
    }
  }
}

function downError(): Error {
  return new DisconnectedError('Redis does not reply.');
}

/** A value of another Redis type is none of this module's. Any other error stays one. */
export function falseIfWrongType(error: unknown): false {
  if (error instanceof Error && error.message.startsWith('WRONGTYPE')) {
    return false;
  }
  throw error;
}
