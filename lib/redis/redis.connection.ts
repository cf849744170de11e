import { setMaxListeners } from 'node:events';
import { setTimeout as pause } from 'node:timers/promises';
import { Logger, type OnApplicationShutdown } from '@nestjs/common';
import { DeadlineError, within } from '../session/deadline.js';
import { evictionWarning } from './eviction-policy.js';
import {
  createOwnedClient,
  LONGEST_PAUSE,
  type OwnedClient,
  type OwnedRedisOptions,
  serversOf,
} from './redis.client.js';
import type { RedisCommands, RedisOptions } from './redis.options.js';

/**
 * So long is a client that is to replace a dead one waited for, in milliseconds, before another is opened beside it: it may
 * have asked the very server that hangs. The first to be connected is taken.
 */
const NEXT_ATTEMPT = 500;
const MOST_ATTEMPTS = 8;

/** How Redis refuses a write to a replica, a script's too. */
const READ_ONLY = /\bREADONLY\b/;

/** The module's connection to Redis: opened at boot, kept, and closed with the application. A given client is left alone. */
export class RedisConnection implements OnApplicationShutdown {
  readonly #logger = new Logger('SessionAuthModule');
  readonly #given: RedisCommands | undefined;
  #owned: OwnedClient | undefined;
  /** Ends every connection of a client that it has, or opens yet. */
  readonly #sockets = new WeakMap<OwnedClient, AbortController>();
  #reported = false;
  #suspected = false;
  #closed = false;

  constructor(
    private readonly options: RedisOptions,
    private readonly timeout: number,
  ) {
    this.#given = options.client;
    this.#owned = options.client === undefined ? this.#create(options) : undefined;
  }

  /** The client to send commands by. It may be another one the next time. */
  get client(): RedisCommands {
    return this.#owned ?? (this.#given as RedisCommands);
  }

  /** Sentinel's client holds commands back while it looks for a master, so those that are late have to be called off. */
  get holdsBack(): boolean {
    return this.options.sentinel !== undefined;
  }

  /**
   * Connects, and waits a moment for it, so that the first request finds Redis there. Out of reach, it goes on trying:
   * the application starts all the same.
   */
  async open(): Promise<void> {
    if (this.#owned !== undefined) {
      await within(this.timeout, this.#connect(this.#owned)).catch(() => {
        this.#report(new Error('no connection yet'));
      });
    }
  }

  /**
   * A command failed. Where it got no answer in time and a PING gets none either, a connection may be dead though nothing
   * has closed it (a failover, a router that forgot it): the client is replaced, for TCP alone would take minutes to
   * notice. Where the server at the other end has become a replica, its address may lead to the new master by now.
   */
  suspect(error: Error): void {
    const client = this.#owned;
    const isReplica = this.options.url !== undefined && READ_ONLY.test(error.message);
    if (client === undefined || this.#suspected || !(isReplica || error instanceof DeadlineError)) {
      return;
    }
    this.#suspected = true;
    void (async () => {
      if (isReplica || (await this.#isDead(client))) {
        this.#report(new Error(isReplica ? 'it is a replica' : 'it does not answer'));
        await this.#replace(client, this.options as OwnedRedisOptions);
        await pause(LONGEST_PAUSE, undefined, { ref: false });
      }
      this.#suspected = false;
    })();
  }

  /** After the last request has been answered: Nest closes the server before it calls this. */
  async onApplicationShutdown(): Promise<void> {
    const client = this.#owned;
    this.#closed = true;
    if (client !== undefined) {
      await this.#end(client);
    }
  }

  #create(options: OwnedRedisOptions): OwnedClient {
    const sockets = new AbortController();
    setMaxListeners(0, sockets.signal);
    const client = createOwnedClient(options, sockets.signal);
    this.#sockets.set(client, sockets);
    client.on('error', (error) => {
      this.#report(error);
    });
    client.on('ready', () => {
      this.#back();
    });
    return client;
  }

  /**
   * Ends a client when it has its answers, or they are too late. So end the connections that it is just opening, which its
   * own `close` and `destroy` forget: they would stay open for ever.
   */
  async #end(client: OwnedClient): Promise<void> {
    try {
      await within(this.timeout, Promise.resolve(client.close()));
    } catch {
      await Promise.resolve(client)
        .then(() => client.destroy())
        .catch(() => undefined); // It was never open, or has ended.
    }
    this.#sockets.get(client)?.abort();
  }

  /** One server's client goes on trying by itself; a cluster's and Sentinel's give up, and are told to try again. */
  async #connect(client: OwnedClient): Promise<void> {
    while (!this.#closed && client === this.#owned) {
      try {
        await client.connect();
        this.#back();
        void this.#checkEviction(client);
        return;
      } catch (error) {
        this.#report(error);
        await pause(LONGEST_PAUSE, undefined, { ref: false });
      }
    }
  }

  /** The old client serves on meanwhile: of a cluster, perhaps one server is dead and the others are well. */
  async #replace(client: OwnedClient, options: OwnedRedisOptions): Promise<void> {
    const attempts: { client: OwnedClient; connected: Promise<OwnedClient> }[] = [];
    while (!this.#closed && this.#owned === client) {
      const next = this.#create(options);
      attempts.push({ client: next, connected: next.connect().then(() => next) });
      this.#owned = await within(NEXT_ATTEMPT, Promise.any(attempts.map(({ connected }) => connected))).catch(() =>
        pause(LONGEST_PAUSE, client, { ref: false }),
      );
      for (const oldest of attempts.splice(0, attempts.length - MOST_ATTEMPTS)) {
        void this.#end(oldest.client);
      }
    }
    for (const left of [client, ...attempts.map((attempt) => attempt.client)]) {
      if (left !== this.#owned || this.#closed) {
        void this.#end(left);
      }
    }
  }

  async #isDead(client: OwnedClient): Promise<boolean> {
    return within(this.timeout, pingAll(client)).then(
      () => false,
      (error: unknown) => error instanceof DeadlineError,
    );
  }

  /** Where the server tells: a user of few rights may not ask. */
  async #checkEviction(client: OwnedClient): Promise<void> {
    const infos = await Promise.allSettled(
      serversOf<{ info(section: string): Promise<string> }>(client).map(async (server) =>
        (await server).info('memory'),
      ),
    );
    const warnings = infos.flatMap((info) => (info.status === 'fulfilled' ? (evictionWarning(info.value) ?? []) : []));
    for (const warning of new Set(warnings)) {
      this.#logger.warn(warning);
    }
  }

  #back(): void {
    if (this.#reported) {
      this.#reported = false;
      this.#logger.log('Redis is back.');
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

/** Has each server answer. An error is an answer too, or a loss that the client knows of. */
async function pingAll(client: OwnedClient): Promise<void> {
  await Promise.allSettled(serversOf<OwnedClient>(client).map(async (server) => (await server).ping()));
}

function describe(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException;
  return [code, message].filter(Boolean).join(' ') || String(error);
}
