import type { Command, Ioredis } from './ioredis.js';
import { DisconnectedError } from '../store/time-budget.js';
import { IoredisSubscriber } from './ioredis-subscriber.js';
import type { SubscriberClient } from './redis-client.js';
import type { IoredisClient, RedisCommands } from './redis-options.js';

type Words = readonly (string | number)[];
type CommandClass = new (name: string, words: Words, options: { replyEncoding: 'utf8' }) => Command;

/** In these states a client connects for the first time, or will. */
const OPENING = ['wait', 'connecting', 'connect'];
/** Events that end a client's first attempt to connect. */
const OPENED = ['ready', 'close', 'end'];

/** What goes out in place of a command that nobody waits for any more. */
const PING = '*1\r\n$4\r\nPING\r\n';

/** The module's commands by a client of ioredis. */
class Commands implements RedisCommands {
  constructor(
    protected readonly sender: IoredisSender,
    private readonly signal?: AbortSignal,
  ) {}

  get(key: string): Promise<unknown> {
    return this.#send('get', [key]);
  }

  set(key: string, value: string, { NX, PX }: { NX?: true; PX: number }): Promise<unknown> {
    return this.#send('set', [key, value, 'PX', PX, ...(NX === true ? ['NX'] : [])]);
  }

  del(keys: string | string[]): Promise<unknown> {
    return this.#send('del', [keys].flat());
  }

  eval(script: string, call: { keys: string[]; arguments: string[] }): Promise<unknown> {
    return this.#send('eval', [script, call.keys.length, ...call.keys, ...call.arguments]);
  }

  evalSha(sha1: string, call: { keys: string[]; arguments: string[] }): Promise<unknown> {
    return this.#send('evalsha', [sha1, call.keys.length, ...call.keys, ...call.arguments]);
  }

  #send(name: string, words: Words): Promise<unknown> {
    return this.sender.send(name, words, this.signal);
  }
}

/** A client of ioredis as node-redis has it: what the module asks of a client, and connect-redis of its own. */
export class IoredisCommands extends Commands {
  readonly #client: Ioredis;

  constructor(client: IoredisClient) {
    super(new IoredisSender(client as Ioredis));
    this.#client = client as Ioredis;
  }

  /** What a command waits for while the client connects for the first time. */
  get opening(): Promise<void> | undefined {
    return this.sender.opening;
  }

  /** The same commands, which are not sent, nor sent again, after the signal. */
  withCommandOptions({ abortSignal }: { abortSignal: AbortSignal }): RedisCommands {
    return new Commands(this.sender, abortSignal);
  }

  /** The masters of a cluster. `undefined` for a client of one server. */
  get masters(): Ioredis[] | undefined {
    if (!this.#client.isCluster) {
      return undefined;
    }
    this.sender.demandReady(); // Until it is, it does not know who they are.
    return this.#client.nodes('master');
  }

  nodeClient(node: Ioredis): Promise<IoredisCommands> {
    return Promise.resolve(new IoredisCommands(node));
  }

  async *scanIterator({ MATCH, COUNT }: { MATCH: string; COUNT: number }): AsyncGenerator<string[]> {
    let cursor = '0';
    do {
      const reply = await this.sender.send('scan', [cursor, 'MATCH', MATCH, 'COUNT', COUNT]);
      const [next, keys] = reply as [string, string[]];
      cursor = next;
      yield keys;
    } while (cursor !== '0');
  }

  duplicate({ pingInterval }: { pingInterval: number }): SubscriberClient {
    return new IoredisSubscriber(this.#client, pingInterval);
  }
}

/**
 * Sends commands by a client of ioredis while that is connected. In any other state ioredis would keep them and send them
 * when it is connected again, perhaps long after their request was refused.
 */
class IoredisSender {
  #opening: Promise<void> | undefined;
  readonly #Command: CommandClass;

  constructor(private readonly client: Ioredis) {
    this.#Command = commandClassOf(client);
    if (OPENING.includes(client.status)) {
      this.#opening = firstAttempt(client).then(() => {
        this.#opening = undefined;
      });
    }
  }

  /** Has a client with `lazyConnect` connect, as ioredis does for the first command. */
  get opening(): Promise<void> | undefined {
    if (this.#opening !== undefined && this.client.status === 'wait') {
      this.client.connect().catch(() => undefined); // Its owner hears of the error by an event.
    }
    return this.#opening;
  }

  async send(name: string, words: Words, signal?: AbortSignal): Promise<unknown> {
    const { opening } = this;
    if (opening !== undefined) {
      await opening;
    }
    signal?.throwIfAborted();
    this.demandReady();
    // Past the client's own methods, which may collect commands (`enableAutoPipelining`).
    const command = new this.#Command(name, words, { replyEncoding: 'utf8' });
    return signal === undefined ? this.client.sendCommand(command) : this.#sendUntil(signal, command);
  }

  demandReady(): void {
    const { status } = this.client;
    if (status !== 'ready') {
      throw new DisconnectedError(`The client of ioredis is not connected: its status is "${status}".`);
    }
  }

  /**
   * ioredis sends commands again when their connection was lost (`autoResendUnfulfilledCommands`), and a cluster's client
   * also after errors, up to sixteen times. After the signal, a `PING` goes out in their place.
   */
  async #sendUntil(signal: AbortSignal, command: Command): Promise<unknown> {
    const write = command.toWritable.bind(command);
    command.toWritable = (stream) => (signal.aborted ? PING : write(stream));
    const reply = await this.client.sendCommand(command);
    if (signal.aborted && reply === 'PONG') {
      throw new Error('The connection was lost, and with it the reply.');
    }
    return reply;
  }
}

function firstAttempt(client: Ioredis): Promise<void> {
  return new Promise((resolve) => {
    const end = (): void => {
      for (const event of OPENED) {
        client.off(event, end);
      }
      resolve();
    };
    for (const event of OPENED) {
      client.on(event, end);
    }
  });
}

/**
 * The class of commands of the same copy of ioredis as the client: that of a command which is not sent. The client's own
 * `constructor` is an `EventEmitter`'s.
 */
function commandClassOf(client: Ioredis): CommandClass {
  const catcher = Object.create(client, {
    options: { value: {} },
    sendCommand: { value: (command: Command) => command },
  }) as { ping(): Command };
  return catcher.ping().constructor as CommandClass;
}
