import { Inject, Injectable } from '@nestjs/common';
import { ApplicationConfig } from '@nestjs/core';
import { GatewayHandshakes } from './gateway-handshakes.js';
import { JoinedSocketIoServer, type SocketIoServer } from './socket-io-server.js';
import { isWebSocketServer, JoinedWebSocketServer } from './web-socket-server.js';

/** What is used of a `WebSocketAdapter`. Nest calls it for each server, and for each gateway. */
interface Adapter {
  create(port: number, options?: { path?: string }): object;
  bindClientConnect(server: object, callback: (client: object, ...rest: unknown[]) => unknown): unknown;
}

/**
 * Has the servers of gateways take part, whichever adapter the application sets: Nest's own for Socket.IO, its own for
 * `ws`, a subclass of either. The options of the application's own (`allowRequest`, `verifyClient`) hold as well.
 */
@Injectable()
export class GatewayAdapterHook {
  readonly #adapters = new WeakSet();
  readonly #servers = new WeakMap<object, JoinedWebSocketServer | JoinedSocketIoServer>();

  constructor(
    @Inject(ApplicationConfig) config: ApplicationConfig,
    @Inject(GatewayHandshakes) private readonly handshakes: GatewayHandshakes,
  ) {
    const setIoAdapter = config.setIoAdapter.bind(config);
    config.setIoAdapter = (adapter) => {
      this.#join(adapter);
      setIoAdapter(adapter);
    };
    const adapter = config.getIoAdapter() as Adapter | null;
    if (adapter !== null) {
      this.#join(adapter);
    }
  }

  #join(adapter: Adapter): void {
    if (this.#adapters.has(adapter)) {
      return;
    }
    this.#adapters.add(adapter);
    const create = adapter.create.bind(adapter);
    const bindClientConnect = adapter.bindClientConnect.bind(adapter);
    adapter.create = (port, options) => {
      const server = create(port, options);
      this.#joinServer(server, port, options?.path);
      return server;
    };
    adapter.bindClientConnect = (server, callback) =>
      bindClientConnect(server, (client, ...rest) => {
        const joined = this.#servers.get(server);
        const isRefused = joined instanceof JoinedWebSocketServer && joined.hasRefused(client);
        return isRefused ? undefined : callback(client, ...rest);
      });
  }

  /** A namespace of Socket.IO comes with its server. */
  #joinServer(server: object, port: number, path: string | undefined): void {
    if (this.#servers.has(server)) {
      return;
    }
    const address = { port, path };
    if (isWebSocketServer(server)) {
      this.#servers.set(server, new JoinedWebSocketServer(server, address, this.handshakes));
    } else if (isSocketIoServer(server)) {
      this.#servers.set(server, new JoinedSocketIoServer(server, address, this.handshakes));
    }
  }
}

function isSocketIoServer(server: object): server is SocketIoServer {
  return 'sockets' in server && 'bind' in server && 'of' in server;
}
