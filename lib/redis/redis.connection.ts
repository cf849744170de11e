import { Logger, type OnApplicationShutdown } from '@nestjs/common';
import { createClient, createCluster, createSentinel } from 'redis';
import { DeadlineError, within } from '../session/deadline.js';
import type { RedisCommands, RedisOptions } from './redis.options.js';

/** What this module asks of a client that it opened itself. */
interface OwnedClient extends RedisCommands {
  on(event: string, listener: (error: Error) => void): unknown;
  connect(): Promise<unknown>;
  ping(): Promise<unknown>;
  close(): unknown;
  destroy(): void;
}

/** Longest pause between two attempts to reconnect, in milliseconds: Redis is back in use soon after it is back. */
const LONGEST_PAUSE = 250;

/** So long may it take to open a connection in place of a dead one, in milliseconds, before another is tried. */
const LONGEST_CONNECT = 2_000;

/** What every client of ours gets: nothing queues while disconnected, and the module's own deadline is the only one. */
const CLIENT_DEFAULTS = { disableOfflineQueue: true, commandOptions: { timeout: undefined } } as const;

/** The module's connection to Redis: opened at boot, kept, and closed with the application. A given client is left alone. */
export class RedisConnection implements OnApplicationShutdown {
  readonly client: RedisCommands;
  readonly #owned: OwnedClient | undefined;
  readonly #logger = new Logger('SessionAuthModule');
  /** A cluster's and a sentinel's client look after their connections themselves. */
  readonly #replaceable: boolean;
  #reported = false;
  #suspected = false;
  #closed = false;

  constructor(
    options: RedisOptions,
    private readonly timeout: number,
  ) {
    this.#owned = options.client === undefined ? createOwned(options) : undefined;
    this.#replaceable = options.url !== undefined;
    this.client = this.#owned ?? (options.client as RedisCommands);
  }

  /**
   * Connects, and waits a moment for it, so that the first request finds Redis there. Out of reach, it goes on trying:
   * the application starts all the same.
   */
  async open(): Promise<void> {
    const client = this.#owned;
    if (client === undefined) {
      return;
    }
    client.on('error', (error) => {
      this.#report(error);
    });
    client.on('ready', () => {
      if (this.#reported) {
        this.#reported = false;
        this.#logger.log('Redis is back.');
      }
    });
    const connecting = client.connect().catch((error: unknown) => {
      this.#report(error);
    });
    await within(this.timeout, connecting).catch(() => {
      this.#report(new Error('no connection yet'));
    });
  }

  /**
   * A command got no answer in time. If a PING gets none either, the connection may be dead though nothing has closed it (a
   * failover, a router that forgot it): it is replaced, for TCP alone would take minutes to notice.
   */
  suspect(): void {
    if (this.#owned !== undefined && this.#replaceable && !this.#suspected) {
      this.#suspected = true;
      void this.#replaceIfDead(this.#owned).finally(() => {
        this.#suspected = false;
      });
    }
  }

  /** After the last request has been answered: Nest closes the server before it calls this. */
  async onApplicationShutdown(): Promise<void> {
    const client = this.#owned;
    this.#closed = true;
    if (client === undefined) {
      return;
    }
    try {
      await within(this.timeout, Promise.resolve(client.close()));
    } catch {
      destroy(client); // Not connected, or hung: there is nothing to wait for.
    }
  }

  async #replaceIfDead(client: OwnedClient): Promise<void> {
    const dead = await within(this.timeout, client.ping()).then(
      () => false,
      (error: unknown) => error instanceof DeadlineError, // Any other error is an answer, or a loss the client knows of.
    );
    for (let connected = !dead; !connected && !this.#closed;) {
      this.#report(new Error('it does not answer'));
      destroy(client);
      connected = await within(LONGEST_CONNECT, client.connect()).then(
        () => true,
        () => false,
      );
    }
  }

  /** Once per outage. The address stays out of the log: it may hold a password. */
  #report(error: unknown): void {
    if (!this.#reported) {
      this.#reported = true;
      this.#logger.error(`Redis cannot be reached; trying on. (${describe(error)})`);
    }
  }
}

function createOwned(options: Exclude<RedisOptions, { client: RedisCommands }>): OwnedClient {
  const socket = { reconnectStrategy: (attempt: number) => Math.min(10 * 2 ** attempt, LONGEST_PAUSE) };
  if (options.cluster !== undefined) {
    const { defaults, ...cluster } = options.cluster;
    return createCluster({
      ...cluster,
      defaults: { ...CLIENT_DEFAULTS, ...defaults, socket: { ...socket, ...defaults?.socket } },
    });
  }
  if (options.sentinel !== undefined) {
    const { nodeClientOptions: node, ...sentinel } = options.sentinel;
    return createSentinel({
      ...sentinel,
      nodeClientOptions: { ...CLIENT_DEFAULTS, ...node, socket: { ...socket, ...node?.socket } },
    });
  }
  return createClient({
    ...CLIENT_DEFAULTS,
    ...options,
    socket: { ...socket, ...options.socket },
  });
}

function destroy(client: OwnedClient): void {
  try {
    client.destroy();
  } catch {
    // It was never open.
  }
}

function describe(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException;
  return [code, message].filter(Boolean).join(' ') || String(error);
}
