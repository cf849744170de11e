import { setTimeout as pause } from 'node:timers/promises';
import { Logger, type OnApplicationShutdown } from '@nestjs/common';
import { DeadlineError, within } from '../session/deadline.js';
import { EndOfSockets } from './end-of-sockets.js';
import { evictionWarning } from './eviction-policy.js';
import {
  createOwnedClient,
  LONGEST_PAUSE,
  type OwnedClient,
  type OwnedRedisOptions,
  serversOf,
} from './redis.client.js';
import { OutageLog } from './outage-log.js';
import { isCancellable } from './redis-access.js';
import type { RedisCommands, RedisOptions } from './redis.options.js';

/**
 * So long is a client that is to replace a dead one waited for, in milliseconds, before another is opened beside it: it may
 * have asked the very server that hangs. The first to be connected is taken.
 */
const NEXT_ATTEMPT = 500;
const MOST_ATTEMPTS = 8;

/** A client that cannot be used and says nothing for so long is stuck, in milliseconds: others try again and fail aloud. */
const SILENCE = 1_000;

/** Clients that follow one another are replaced less and less often, down to one in so many milliseconds. */
const LONGEST_REST = 2_000;
const LONGEST_REST_OF_REPLICA = 10_000;

/** How Redis refuses a write to a replica, a script's too. */
const READ_ONLY = /\bREADONLY\b/;

/** The module's connection to Redis: opened at boot, kept, and closed with the application. A given client is left alone. */
export class RedisConnection implements OnApplicationShutdown {
  readonly #logger = new Logger('SessionAuthModule');
  readonly #outage = new OutageLog(this.#logger);
  readonly #given: RedisCommands | undefined;
  #owned: OwnedClient | undefined;
  /** Ends every connection of a client that it has, or opens yet. */
  readonly #sockets = new WeakMap<OwnedClient, EndOfSockets>();
  /** Clients of which the first to be connected is to take over. */
  #attempts: OwnedClient[] = [];
  #suspected = false;
  #isDown = false;
  #heardAt = -Infinity;
  #rest = 0;
  #replacedAt = -Infinity;
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

  /** The one server there is does not answer: what it is asked would be carried out when it wakes, and nobody wait for it. */
  get isDown(): boolean {
    return this.#isDown;
  }

  /**
   * Sentinel's client holds commands back while it looks for a master, and a given one may do so while it is disconnected:
   * those that are late have to be called off.
   */
  get holdsBack(): boolean {
    return this.options.sentinel !== undefined || isCancellable(this.#given);
  }

  /**
   * Connects, and waits a moment for it, so that the first request finds Redis there. Out of reach, it goes on trying:
   * the application starts all the same.
   */
  async open(): Promise<void> {
    if (this.#owned !== undefined) {
      await within(this.timeout, this.#connect(this.#owned)).catch(() => {
        this.#outage.report(new Error('no connection yet'));
      });
    }
  }

  /**
   * A command failed. Where it got no answer in time and a PING gets none either, a connection may be dead though nothing
   * has closed it (a failover, a router that forgot it): the client is replaced, for TCP alone would take minutes to
   * notice. So is one that has got stuck on its way to Redis. Where the server at the other end has become a replica, its
   * address may lead to the new master by now.
   */
  suspect(error: Error): void {
    const client = this.#owned;
    const isReplica = this.options.url !== undefined && READ_ONLY.test(error.message);
    const isAside = client?.isReady === false;
    if (client !== undefined && !this.#suspected && (isReplica || isAside || error instanceof DeadlineError)) {
      this.#suspected = true;
      void this.#lookInto(client, isReplica).finally(() => {
        this.#suspected = false;
      });
    }
  }

  async #lookInto(client: OwnedClient, isReplica: boolean): Promise<void> {
    if (isReplica) {
      this.#logger.warn('Redis has become a replica and takes no writes; its address is asked again.');
    } else if (await (client.isReady ? this.#isDead(client) : this.#isStuck())) {
      this.#outage.report(new Error('it does not answer'));
      this.#isDown = this.options.url !== undefined;
    } else {
      return;
    }
    await this.#replace(client, this.options as OwnedRedisOptions);
    this.#isDown = false;
    if (!isReplica) {
      this.#outage.over();
    }
    const longest = isReplica ? LONGEST_REST_OF_REPLICA : LONGEST_REST;
    const again = performance.now() - this.#replacedAt < 2 * longest;
    this.#rest = again ? Math.min(2 * this.#rest, longest) : LONGEST_PAUSE;
    this.#replacedAt = performance.now();
    await pause(this.#rest, undefined, { ref: false });
  }

  /** After the last request has been answered: Nest closes the server before it calls this. */
  async onApplicationShutdown(): Promise<void> {
    const client = this.#owned;
    this.#closed = true;
    for (const attempt of this.#attempts) {
      this.#endNow(attempt);
    }
    if (client !== undefined) {
      await this.#end(client);
    }
  }

  /** @param isLazy it is of use before it has reached every server that it is to reach */
  #create(options: OwnedRedisOptions, isLazy = false): OwnedClient {
    const sockets = new EndOfSockets();
    const client = createOwnedClient(options, sockets, isLazy);
    this.#sockets.set(client, sockets);
    client.on('error', (error) => {
      if (client === this.#owned || this.#owned === undefined) {
        this.#heardAt = performance.now();
        this.#outage.report(error);
      }
    });
    client.on('ready', () => {
      if (client === this.#owned) {
        this.#outage.over();
      }
    });
    return client;
  }

  /** Ends a client when it has its answers, or they are too late. */
  async #end(client: OwnedClient): Promise<void> {
    await within(this.timeout, Promise.resolve(client.close())).catch(() => undefined);
    this.#endNow(client);
  }

  /** The connections that a client is just opening its own `destroy` forgets: they would stay open for ever. */
  #endNow(client: OwnedClient): void {
    void Promise.resolve(client)
      .then(() => client.destroy())
      .catch(() => undefined) // It was never open, or has ended.
      .then(() => this.#sockets.get(client)?.end());
  }

  /** One server's client goes on trying by itself; a cluster's and Sentinel's give up, and are told to try again. */
  async #connect(client: OwnedClient): Promise<void> {
    while (!this.#closed && client === this.#owned) {
      try {
        await client.connect();
        this.#outage.over();
        void this.#checkEviction(client);
        return;
      } catch (error) {
        this.#outage.report(error);
        await pause(LONGEST_PAUSE, undefined, { ref: false });
      }
    }
  }

  /** The old client serves on meanwhile: of a cluster, perhaps one server is dead and the others are well. */
  async #replace(client: OwnedClient, options: OwnedRedisOptions): Promise<void> {
    let attempts: Promise<OwnedClient>[] = [];
    while (!this.#closed && this.#owned === client) {
      const next = this.#create(options, attempts.length > 0);
      this.#attempts.push(next);
      attempts.push(next.connect().then(() => next));
      this.#owned = await within(NEXT_ATTEMPT, Promise.any(attempts)).catch(() =>
        pause(LONGEST_PAUSE, client, { ref: false }),
      );
      attempts = attempts.slice(-MOST_ATTEMPTS);
      for (const oldest of this.#attempts.splice(0, this.#attempts.length - MOST_ATTEMPTS)) {
        this.#endNow(oldest);
      }
    }
    for (const left of [client, ...this.#attempts]) {
      if (left !== this.#owned || this.#closed) {
        void this.#end(left);
      }
    }
    this.#attempts = [];
  }

  /** Nothing is heard of a client that is not ready. Its attempts to become so would fail, or succeed. */
  async #isStuck(): Promise<boolean> {
    const since = performance.now();
    await pause(SILENCE, undefined, { ref: false });
    return this.#owned?.isReady === false && this.#heardAt < since;
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
}

/** Has each server answer. An error is an answer too, or a loss that the client knows of. */
async function pingAll(client: OwnedClient): Promise<void> {
  await Promise.allSettled(serversOf<OwnedClient>(client).map(async (server) => (await server).ping()));
}
