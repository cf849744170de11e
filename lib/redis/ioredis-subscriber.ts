import { DeadlineError, within } from '../store/time-budget.js';
import type { Ioredis } from './ioredis.js';
import type { SubscriberClient } from './redis-client.js';

/** What a subscription's client does otherwise than the client that it is made after. */
const OPTIONS = {
  lazyConnect: true,
  /** Whoever has lost it opens another. */
  retryStrategy: null,
  autoResubscribe: false,
  enableOfflineQueue: false,
  /** How long the server may take to say goodbye, in milliseconds. */
  disconnectTimeout: 100,
};

/** A client of ioredis for a subscription, beside the one that commands are sent by: with a connection of its own. */
export class IoredisSubscriber implements SubscriberClient {
  readonly #client: Ioredis;
  #pings: NodeJS.Timeout | undefined;

  /** @param pingInterval how often it pings its server, in milliseconds; one that is silent for twice as long is given up */
  constructor(
    client: Ioredis,
    private readonly pingInterval: number,
  ) {
    this.#client = client.duplicate(OPTIONS);
  }

  get isReady(): boolean {
    return this.#client.status === 'ready';
  }

  on(event: string, listener: (error: Error) => void): unknown {
    return this.#client.on(event, listener);
  }

  async connect(): Promise<void> {
    await this.#client.connect();
  }

  async subscribe(channel: string, listener: (message: string) => void): Promise<void> {
    this.#client.on('message', (from: string, message: string) => {
      if (from === channel) {
        listener(message);
      }
    });
    await this.#client.subscribe(channel);
    this.#pings = setInterval(() => void this.#ping(), this.pingInterval);
  }

  destroy(): void {
    clearInterval(this.#pings);
    this.#client.disconnect();
  }

  /** An error is a reply, too: a user of few rights may not ping. */
  async #ping(): Promise<void> {
    await within(2 * this.pingInterval, this.#client.ping()).catch((error: unknown) => {
      if (error instanceof DeadlineError) {
        this.destroy();
      }
    });
  }
}
