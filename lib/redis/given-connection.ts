import { isIoredis } from '../validation/ioredis.js';
import type { EndOfSockets } from './end-of-sockets.js';
import { IoredisCommands } from './ioredis-commands.js';
import { isCancellable, type RedisLink } from './redis-access.js';
import { createSubscriber, type SubscriberClient } from './redis-client.js';
import type { IoredisClient, RedisCommands } from './redis-options.js';

/** The connection by a client that the application has given, and that it connects and closes: it is used as it is. */
export class GivenConnection implements RedisLink {
  readonly client: RedisCommands;
  /** One of `redis` queues commands while it is disconnected. One of ioredis sends some again. */
  readonly mayQueue: boolean;

  constructor(client: RedisCommands | IoredisClient) {
    this.client = isIoredis(client) ? new IoredisCommands(client) : client;
    this.mayQueue = isCancellable(this.client);
  }

  /** What a command waits for before it is sent. A client of `redis` is its owner's to connect. */
  get opening(): Promise<void> | undefined {
    return this.client instanceof IoredisCommands ? this.client.opening : undefined;
  }

  /** A client for a subscription. `undefined` for a client that tells nothing of its server. */
  subscriber(sockets: EndOfSockets): Promise<SubscriberClient | undefined> {
    return createSubscriber(this.client, sockets);
  }
}
