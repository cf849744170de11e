import type { RedisSentinelOptions } from 'redis';
import type { EndOfSockets } from './end-of-sockets.js';
import type { RedisPackage } from './redis-package.js';
import type { RedisCommands, RedisOptions } from './redis-options.js';

/** A client that the module has opened itself. */
export interface OwnedClient extends RedisCommands {
  on(event: string, listener: (error: Error) => void): unknown;
  connect(): Promise<unknown>;
  ping(): Promise<unknown>;
  close(): unknown;
  destroy(): unknown;
  /** Whether the client would send commands now, and not refuse them. */
  readonly isReady: boolean;
}

/** Options by which the module opens a client of its own. */
export type OwnedRedisOptions = Exclude<RedisOptions, { client: object }>;

/** Longest pause between two attempts to connect, in milliseconds. Redis is in use again that soon after it is back. */
export const LONGEST_PAUSE = 250;

/** How often a Sentinel is pinged, and how long it may be silent, in milliseconds. */
const SENTINEL_PING = 500;
const SENTINEL_SILENCE = 1_500;

/** How often a subscription's server is pinged, in milliseconds. One that is silent for three times as long is given up. */
const SUBSCRIBER_PING = 5_000;

/** No command queues while the client is disconnected, and only the module's own deadline holds. */
const NODE = {
  disableOfflineQueue: true,
  /** Most commands that may wait for a server that hangs. Each has some kilobytes. */
  commandsQueueMaxLength: 10_000,
  commandOptions: { timeout: undefined },
} as const;
/** Replies are strings. Mapped to another type, every session would count as unreadable and be removed. */
const TEXTS = { typeMapping: {} } as const;
const SOCKET = { reconnectStrategy: (attempt: number) => Math.min(10 * 2 ** attempt, LONGEST_PAUSE) };

/**
 * Creates a client of the package `redis` for these options, without connecting it. The options override the module's defaults.
 *
 * @param sockets closes all its connections
 * @param isLazy of a cluster: it counts as connected when it has found one server, and not only when it has reached all
 * masters
 */
export function createOwnedClient(
  redis: RedisPackage,
  options: OwnedRedisOptions,
  sockets: EndOfSockets,
  isLazy: boolean,
): OwnedClient {
  // An option of Node's sockets, which redis passes on although its types leave it out.
  const ended = { signal: sockets } as object;
  if (options.cluster !== undefined) {
    const { defaults, ...cluster } = options.cluster;
    return redis.createCluster({
      // By default, the client learns of a new master five seconds after the connection to the old one broke.
      topologyRefreshOnReconnectionAttemptStrategy: LONGEST_PAUSE,
      minimizeConnections: isLazy,
      ...cluster,
      commandOptions: { ...NODE.commandOptions, ...cluster.commandOptions, ...TEXTS },
      defaults: { ...NODE, ...defaults, socket: { ...SOCKET, ...defaults?.socket, ...ended } },
    });
  }
  if (options.sentinel !== undefined) {
    const { nodeClientOptions: node, sentinelClientOptions: watch, ...sentinel } = options.sentinel;
    return redis.createSentinel({
      // Keeps one connection. Otherwise each command waits until the one before it has returned the connection.
      reserveClient: true,
      ...sentinel,
      commandOptions: { ...NODE.commandOptions, ...sentinel.commandOptions, ...TEXTS },
      sentinelClientOptions: {
        pingInterval: SENTINEL_PING,
        ...watch,
        socket: { socketTimeout: SENTINEL_SILENCE, ...watch?.socket, ...ended },
      },
      nodeClientOptions: { ...NODE, ...node, socket: { ...SOCKET, ...node?.socket, ...ended } },
    });
  }
  return redis.createClient({
    ...NODE,
    ...options,
    commandOptions: { ...NODE.commandOptions, ...options.commandOptions, ...TEXTS },
    socket: { ...SOCKET, ...options.socket, ...ended },
  });
}

/** A client of one server for a subscription. It does not connect again by itself, and replies to pings or ends. */
export interface SubscriberClient extends Pick<OwnedClient, 'on' | 'connect' | 'destroy' | 'isReady'> {
  subscribe(channel: string, listener: (message: string) => void): Promise<unknown>;
}

/** What a subscription takes of a client that commands are sent by: of each server's client, or of Sentinel's. */
interface ServerClient {
  readonly options?: { socket?: object };
  duplicate?(overrides: object): SubscriberClient;
  getMasterNode?(): object | undefined;
}

function subscriberOptions(socket: object | undefined, sockets: EndOfSockets) {
  return {
    pingInterval: SUBSCRIBER_PING,
    socket: { ...socket, reconnectStrategy: false, socketTimeout: 3 * SUBSCRIBER_PING, signal: sockets },
  };
}

/**
 * Creates a client for a subscription beside the client that commands are sent by. Any server of a cluster hears what is
 * published by another. `undefined` for a client that tells nothing of its server, such as a given one of Sentinel.
 *
 * @param sockets closes its connection
 */
export async function createSubscriber(
  client: RedisCommands,
  sockets: EndOfSockets,
): Promise<SubscriberClient | undefined> {
  const servers = serversOf<ServerClient>(client);
  const server = await servers[Math.floor(Math.random() * servers.length)];
  return server?.duplicate?.(subscriberOptions(server.options?.socket, sockets));
}

/** The same for a master that Sentinel has found for the client. */
export function createSentinelSubscriber(
  redis: RedisPackage,
  client: RedisCommands,
  { nodeClientOptions: node }: RedisSentinelOptions,
  sockets: EndOfSockets,
): SubscriberClient {
  const master = (client as ServerClient).getMasterNode?.();
  const options = subscriberOptions({ ...node?.socket, ...master }, sockets);
  return redis.createClient({ ...NODE, ...node, ...options } as object);
}

/** Every server that has keys of its own: a cluster's masters, or the only server. */
export function serversOf<Client>(client: unknown): Promise<Client>[] {
  const cluster = client as { masters?: object[]; nodeClient(node: object): Promise<Client> };
  return cluster.masters?.map((node) => cluster.nodeClient(node)) ?? [Promise.resolve(client as Client)];
}

/** Waits for a reply of each server. An error is a reply too, or a lost connection that the client knows of. */
export async function pingAll(client: OwnedClient): Promise<void> {
  await Promise.allSettled(serversOf<OwnedClient>(client).map(async (server) => (await server).ping()));
}
