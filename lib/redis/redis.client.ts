import { createClient, createCluster, createSentinel } from 'redis';
import type { EndOfSockets } from './end-of-sockets.js';
import type { RedisCommands, RedisOptions } from './redis.options.js';

/** What this module asks of a client that it opened itself. */
export interface OwnedClient extends RedisCommands {
  on(event: string, listener: (error: Error) => void): unknown;
  connect(): Promise<unknown>;
  ping(): Promise<unknown>;
  close(): unknown;
  destroy(): unknown;
  /** Commands would be sent, not refused. */
  readonly isReady: boolean;
}

/** Options that have the module open a client of its own. */
export type OwnedRedisOptions = Exclude<RedisOptions, { client: RedisCommands }>;

/** Longest pause between two attempts to reach a server, in milliseconds: Redis is back in use soon after it is back. */
export const LONGEST_PAUSE = 250;

/** How often a Sentinel is asked whether it is there, and how long it may be silent, in milliseconds. */
const SENTINEL_PING = 500;
const SENTINEL_SILENCE = 1_500;

/** Nothing queues while disconnected, and the module's own deadline is the only one. */
const NODE = {
  disableOfflineQueue: true,
  /** What a server that hangs may let pile up; a command has some kilobytes. */
  commandsQueueMaxLength: 10_000,
  commandOptions: { timeout: undefined },
} as const;
/** Replies are texts: a mapping to another type would have every session taken for unreadable, and removed. */
const TEXTS = { typeMapping: {} } as const;
const SOCKET = { reconnectStrategy: (attempt: number) => Math.min(10 * 2 ** attempt, LONGEST_PAUSE) };

/**
 * A client for these options, not connected yet. What the options say themselves stands.
 *
 * @param sockets ends all its connections
 * @param isLazy of a cluster: it is connected when it has found one server, and not when it has reached all masters
 */
export function createOwnedClient(options: OwnedRedisOptions, sockets: EndOfSockets, isLazy: boolean): OwnedClient {
  // Node's own option of sockets, which redis passes on and its types leave out.
  const ended = { signal: sockets } as object;
  if (options.cluster !== undefined) {
    const { defaults, ...cluster } = options.cluster;
    return createCluster({
      // Left alone, the client learns of a new master five seconds after the old one's connection broke.
      topologyRefreshOnReconnectionAttemptStrategy: LONGEST_PAUSE,
      minimizeConnections: isLazy,
      ...cluster,
      commandOptions: { ...NODE.commandOptions, ...cluster.commandOptions, ...TEXTS },
      defaults: { ...NODE, ...defaults, socket: { ...SOCKET, ...defaults?.socket, ...ended } },
    });
  }
  if (options.sentinel !== undefined) {
    const { nodeClientOptions: node, sentinelClientOptions: watch, ...sentinel } = options.sentinel;
    return createSentinel({
      // A connection that is kept: else each command waits for the one before it to give it back.
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
  return createClient({
    ...NODE,
    ...options,
    commandOptions: { ...NODE.commandOptions, ...options.commandOptions, ...TEXTS },
    socket: { ...SOCKET, ...options.socket, ...ended },
  });
}

/** Every server that holds keys of its own: a cluster's masters, or the one there is. */
export function serversOf<Client>(client: unknown): Promise<Client>[] {
  const cluster = client as { masters?: object[]; nodeClient(node: object): Promise<Client> };
  return cluster.masters?.map((node) => cluster.nodeClient(node)) ?? [Promise.resolve(client as Client)];
}
