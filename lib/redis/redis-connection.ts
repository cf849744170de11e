import { setTimeout as pause } from 'node:timers/promises';
import { Logger, type OnApplicationShutdown } from '@nestjs/common';
import { DeadlineError, within } from '../store/time-budget.js';
import { EndOfSockets } from './end-of-sockets.js';
import { warnOfEviction } from './eviction-policy.js';
import {
  createOwnedClient,
  createSentinelSubscriber,
  createSubscriber,
  LONGEST_PAUSE,
  type OwnedClient,
  type OwnedRedisOptions,
  pingAll,
  type SubscriberClient,
} from './redis-client.js';
import { OutageLog } from './outage-log.js';
import type { RedisLink } from './redis-access.js';
import type { RedisPackage } from './redis-package.js';
import type { RedisCommands } from './redis-options.js';

/**
 * How long a new client may take to connect, in milliseconds, before another is opened beside it: the first may have
 * asked the very server that hangs. The first to be connected is used.
 */
const NEXT_ATTEMPT = 500;
const MOST_ATTEMPTS = 8;

/**
 * A client that is not ready and reports nothing for this long is stuck, in milliseconds: others retry and report
 * errors.
 */
const SILENCE = 1_000;

/**
 * Clients that are replaced one after the other are replaced less and less often: at least this far apart, in
 * milliseconds.
 */
const LONGEST_INTERVAL = 2_000;
const LONGEST_INTERVAL_FOR_REPLICA = 10_000;

/** How long a connection that is only open for those who use it already stays without use, in milliseconds. */
const IDLE = 100;

/** In the error by which Redis refuses a write to a replica, a script's too. */
const READ_ONLY = /\bREADONLY\b/;

/**
 * The module's connection to Redis. It is opened when the application has booted, kept alive, and closed with the
 * application. Who uses it before that opens it for the time of its use, so that a boot that fails leaves nothing open.
 */
export class RedisConnection implements RedisLink, OnApplicationShutdown {
  /** True of Sentinel's client, which queues commands while it looks for a master. Late ones have to be cancelled. */
  readonly mayQueue: boolean;
  readonly #logger = new Logger('SessionAuthModule');
  readonly #outage = new OutageLog(this.#logger);
  #client: OwnedClient;
  /** The application has booted. */
  #staysOpen = false;
  #isOpen = false;
  #opening: Promise<void> | undefined;
  #idle: NodeJS.Timeout | undefined;
  /** Closes all sockets of a client, and those that it is still opening. */
  readonly #sockets = new WeakMap<OwnedClient, EndOfSockets>();
  /** New clients, of which the first to be connected is used. */
  #attempts: OwnedClient[] = [];
  #suspected = false;
  #isDown = false;
  #heardAt = -Infinity;
  #interval = 0;
  #replacedAt = -Infinity;
  #closed = false;

  constructor(
    private readonly redis: RedisPackage,
    private readonly options: OwnedRedisOptions,
    private readonly timeout: number,
  ) {
    this.mayQueue = options.sentinel !== undefined;
    this.#client = this.#create();
  }

  /** The client to send commands by. It may be replaced at any time. */
  get client(): RedisCommands {
    return this.#client;
  }

  /**
   * True while the only server does not reply: it would carry commands out when it wakes, when nobody waits for them.
   */
  get isDown(): boolean {
    return this.#isDown;
  }

  /** What a command waits for before it is sent; `undefined` once the connection is open. */
  get opening(): Promise<void> | undefined {
    if (!this.#staysOpen) {
      this.#closeWhenIdle();
    }
    return this.#open();
  }

  /**
   * Connects for good, and waits for that up to the timeout, so that the first request finds Redis connected. If it
   * cannot be reached, the application starts all the same, and the connection keeps trying.
   */
  async open(): Promise<void> {
    this.#staysOpen = true;
    clearTimeout(this.#idle);
    await this.#open();
  }

  /** The boot has failed after all: the connection closes, until it is used again. */
  rest(): void {
    this.#staysOpen = false;
    this.#closeWhenIdle();
  }

  /** A client for a subscription, beside the one that commands are sent by. */
  async subscriber(sockets: EndOfSockets): Promise<SubscriberClient | undefined> {
    const { sentinel } = this.options;
    return sentinel === undefined
      ? createSubscriber(this.#client, sockets)
      : createSentinelSubscriber(this.redis, this.#client, sentinel, sockets);
  }

  #open(): Promise<void> | undefined {
    if (!this.#isOpen && !this.#closed) {
      this.#isOpen = true;
      const opening = within(this.timeout, this.#connect(this.#client))
        .catch(() => {
          this.#outage.report(new Error('no connection yet'));
        })
        .then(() => {
          this.#opening = this.#opening === opening ? undefined : this.#opening;
        });
      this.#opening = opening;
    }
    return this.#opening;
  }

  #closeWhenIdle(): void {
    clearTimeout(this.#idle);
    this.#idle = setTimeout(() => {
      if (this.#opening !== undefined) {
        this.#closeWhenIdle();
      } else if (this.#isOpen && !this.#closed) {
        const client = this.#client;
        this.#isOpen = false;
        this.#client = this.#create();
        this.#endAttempts();
        void this.#end(client);
      }
    }, IDLE).unref();
  }

  /**
   * A command failed. If it got no reply in time and a PING gets none either, the connection may be dead although
   * nothing has closed it (after a failover, or because a router forgot it). Then the client is replaced, since TCP
   * alone would take minutes to notice. So is a client that is stuck while connecting. If the server has become a
   * replica, a new client is opened since the address may lead to the new master by now.
   */
  suspect(error: Error): void {
    const client = this.#client;
    const isReplica = this.options.url !== undefined && READ_ONLY.test(error.message);
    const isUnusual = isReplica || !client.isReady || error instanceof DeadlineError;
    if (this.#staysOpen && !this.#suspected && isUnusual) {
      this.#suspected = true;
      void this.#investigate(client, isReplica).finally(() => {
        this.#suspected = false;
      });
    }
  }

  async #investigate(client: OwnedClient, isReplica: boolean): Promise<void> {
    if (isReplica) {
      this.#logger.warn('Redis has become a replica and takes no writes; its address is asked again.');
    } else if (await (client.isReady ? this.#isDead(client) : this.#isStuck())) {
      this.#outage.report(new Error('it does not reply'));
      this.#isDown = this.options.url !== undefined;
    } else {
      return;
    }
    await this.#replace(client);
    this.#isDown = false;
    if (!isReplica) {
      this.#outage.over();
    }
    const longest = isReplica ? LONGEST_INTERVAL_FOR_REPLICA : LONGEST_INTERVAL;
    const wasReplacedLately = performance.now() - this.#replacedAt < 2 * longest;
    this.#interval = wasReplacedLately ? Math.min(2 * this.#interval, longest) : LONGEST_PAUSE;
    this.#replacedAt = performance.now();
    await pause(this.#interval, undefined, { ref: false });
  }

  /** Runs after the last response: Nest closes the server before it calls this. */
  async onApplicationShutdown(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#idle);
    this.#endAttempts();
    if (this.#isOpen) {
      await this.#end(this.#client);
    }
  }

  #endAttempts(): void {
    for (const attempt of this.#attempts) {
      this.#endNow(attempt);
    }
  }

  /** @param isLazy of a cluster: the client is ready when it has found one server */
  #create(isLazy = false): OwnedClient {
    const sockets = new EndOfSockets();
    const client = createOwnedClient(this.redis, this.options, sockets, isLazy);
    this.#sockets.set(client, sockets);
    client.on('error', (error) => {
      if (client === this.#client) {
        this.#heardAt = performance.now();
        this.#outage.report(error);
      }
    });
    client.on('ready', () => {
      if (client === this.#client) {
        this.#outage.over();
      }
    });
    return client;
  }

  /** Closes a client when it has its replies, or they are late. */
  async #end(client: OwnedClient): Promise<void> {
    await within(this.timeout, Promise.resolve(client.close())).catch(() => undefined);
    this.#endNow(client);
  }

  /** A client's own `destroy` forgets the connections that it is just opening: they would stay open for ever. */
  #endNow(client: OwnedClient): void {
    void Promise.resolve(client)
      .then(() => client.destroy())
      .catch(() => undefined) // It was never open, or has ended.
      .then(() => this.#sockets.get(client)?.end());
  }

  /**
   * The client of one server keeps trying by itself. Those of a cluster and of Sentinel give up, and are called again.
   */
  async #connect(client: OwnedClient): Promise<void> {
    while (!this.#closed && client === this.#client) {
      try {
        await client.connect();
        this.#outage.over();
        void warnOfEviction(client, this.#logger);
        return;
      } catch (error) {
        if (client === this.#client) {
          this.#outage.report(error);
        }
        await pause(LONGEST_PAUSE, undefined, { ref: false });
      }
    }
  }

  /** The old client stays in use meanwhile: of a cluster, perhaps only one server is dead. */
  async #replace(client: OwnedClient): Promise<void> {
    let attempts: Promise<OwnedClient>[] = [];
    while (!this.#closed && this.#client === client) {
      const next = this.#create(attempts.length > 0);
      this.#attempts.push(next);
      attempts.push(next.connect().then(() => next));
      this.#client = await within(NEXT_ATTEMPT, Promise.any(attempts)).catch(() =>
        pause(LONGEST_PAUSE, client, { ref: false }),
      );
      attempts = attempts.slice(-MOST_ATTEMPTS);
      for (const oldest of this.#attempts.splice(0, this.#attempts.length - MOST_ATTEMPTS)) {
        this.#endNow(oldest);
      }
    }
    for (const left of [client, ...this.#attempts]) {
      if (left !== this.#client || this.#closed) {
        void this.#end(left);
      }
    }
    this.#attempts = [];
  }

  /** Whether a client that is not ready reports nothing for a while. One that keeps trying would report errors. */
  async #isStuck(): Promise<boolean> {
    const since = performance.now();
    await pause(SILENCE, undefined, { ref: false });
    return !this.#client.isReady && this.#heardAt < since;
  }

  async #isDead(client: OwnedClient): Promise<boolean> {
    return within(this.timeout, pingAll(client)).then(
      () => false,
      (error: unknown) => error instanceof DeadlineError,
    );
  }
}
