import { setTimeout as pause } from 'node:timers/promises';
import { Logger } from '@nestjs/common';
import { splitHandle } from '../model/session-id.js';
import type { EndFeed, EndListener } from '../store/end-feed.js';
import { EndOfSockets } from './end-of-sockets.js';
import { endChannel } from './keys.js';
import { LONGEST_PAUSE, type SubscriberClient } from './redis-client.js';
import type { RedisConnection } from './redis-connection.js';

/** Pause after Redis has refused the subscription, in milliseconds: rights are not granted by the second. */
const REFUSED_PAUSE = 30_000;

/**
 * The ends of sessions as the scripts publish them. It has a connection of its own while it is open. When that is lost, it
 * opens another: to another server, perhaps.
 */
export class RedisEndFeed implements EndFeed {
  readonly #logger = new Logger('SessionAuthModule');
  readonly #channel: string;
  #over = new AbortController();
  #isRefused = false;

  constructor(
    private readonly connection: Pick<RedisConnection, 'opening' | 'subscriber'>,
    prefix: string,
  ) {
    this.#channel = endChannel(prefix);
  }

  open(listener: EndListener): void {
    this.#over = new AbortController();
    void this.#follow(listener, this.#over.signal);
  }

  close(): void {
    this.#over.abort();
  }

  async #follow(listener: EndListener, over: AbortSignal): Promise<void> {
    while (!over.aborted) {
      const error = await this.#listen(listener, over).catch((reason: unknown) => reason);
      const isRefused = error instanceof Error && error.message.startsWith('NOPERM');
      if (isRefused && !this.#isRefused) {
        this.#logger.warn(
          `Redis refuses the channel ${this.#channel}, so open connections hear late of sessions that end in other ` +
            `processes. Grant &${this.#channel} +publish +subscribe (docs/redis.md). (${error.message})`,
        );
      }
      this.#isRefused ||= isRefused;
      // An aborted pause rejects at once.
      await pause(isRefused ? REFUSED_PAUSE : LONGEST_PAUSE, undefined, { ref: false, signal: over }).catch(() => over);
    }
  }

  /** Listens until the connection is lost, or the feed is closed. */
  async #listen(listener: EndListener, over: AbortSignal): Promise<void> {
    await this.connection.opening;
    const sockets = new EndOfSockets();
    const client = await this.connection.subscriber(sockets);
    if (client === undefined || over.aborted) {
      return;
    }
    const end = (): void => {
      destroy(client);
      sockets.end();
    };
    over.addEventListener('abort', end);
    try {
      const isLost = lossOf(client);
      await client.connect();
      await client.subscribe(this.#channel, (message) => {
        hear(message, listener);
      });
      listener.onOpen();
      await isLost;
    } finally {
      over.removeEventListener('abort', end);
      end();
    }
  }
}

/** Settles when the client has no connection any more. It may report errors of other kinds, too. */
function lossOf(client: SubscriberClient): Promise<void> {
  return new Promise((resolve) => {
    client.on('error', () => {
      if (!client.isReady) {
        resolve();
      }
    });
    client.on('end', () => {
      resolve();
    });
  });
}

function destroy(client: SubscriberClient): void {
  try {
    client.destroy();
  } catch {
    // It was never open, or has ended.
  }
}

/** Passes on what a script has published: the beginning of the session's remains, and its handle. */
function hear(message: string, listener: EndListener): void {
  const { ended, handle, successor: rest } = parse(message);
  if (typeof ended === 'string' && typeof handle === 'string') {
    const successor = rest === undefined ? undefined : splitHandle(handle).tag + rest;
    if (successor === handle) {
      return; // Nothing goes over to itself.
    }
    listener.onEnd(handle, { reason: ended, ...(successor !== undefined && { successor }) });
  }
}

type Published = { [Key in 'handle' | 'successor']?: string } & {
  ended?: Parameters<EndListener['onEnd']>[1]['reason'];
};

/** Anybody with rights on the channel may publish anything. */
function parse(message: string): Published {
  try {
    return Object(JSON.parse(message)) as Published;
  } catch {
    return {};
  }
}
