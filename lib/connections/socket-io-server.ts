import type { EventEmitter } from 'node:events';
import type { ConnectionEnd } from './watched-session.js';
import type { SessionRequest, SessionResponse } from '../http/session-request.js';
import type { ConnectionRefusal, GatewayAddress } from './gateway-guards.js';
import { CLOSES_WITHIN, type GatewayHandshakes } from './gateway-handshakes.js';

/* Socket.IO is an optional peer, so what is used of it is described here. */

/** @property res `undefined` where a WebSocket was asked for */
type EngineRequest = SessionRequest & { res?: SessionResponse };

type AllowRequest = (
  request: EngineRequest,
  done: (error: string | null | undefined, isAllowed: boolean) => void,
) => void;

type Middleware = (request: EngineRequest, response: unknown, next: () => void) => void;

interface Engine extends EventEmitter {
  readonly opts: { allowRequest?: AllowRequest };
  use(middleware: Middleware): void;
}

/** A client's connection, which all its sockets share: one for each namespace. */
interface EngineSocket extends EventEmitter {
  readonly request: SessionRequest;
  close(discard?: boolean): void;
}

/** What Socket.IO keeps of a connection. */
interface Client {
  /** By their ids, those of all namespaces. */
  readonly sockets: ReadonlyMap<string, Socket>;
}

interface Socket extends EventEmitter {
  readonly conn: EngineSocket;
  readonly client: Client;
  disconnect(): void;
}

interface Namespace extends EventEmitter {
  readonly name: string;
  use(middleware: (socket: Socket, next: (error?: Error) => void) => void): void;
}

/** A server of Socket.IO. */
export interface SocketIoServer extends EventEmitter {
  readonly engine?: Engine;
  readonly opts: { connectionStateRecovery?: { skipMiddlewares?: boolean } };
  /** Its namespaces, by name. It has no other list of them. */
  readonly _nsps: ReadonlyMap<string, Namespace>;
  bind(engine: Engine): SocketIoServer;
  of(name: string): Namespace;
}

/** Has the clients of a Socket.IO server take part, in all its namespaces. */
export class JoinedSocketIoServer {
  readonly #clients = new WeakMap<EngineSocket, Client>();

  constructor(
    server: SocketIoServer,
    private readonly address: Omit<GatewayAddress, 'namespace'>,
    private readonly handshakes: GatewayHandshakes,
  ) {
    const { connectionStateRecovery } = server.opts;
    if (connectionStateRecovery !== undefined) {
      connectionStateRecovery.skipMiddlewares = false; // The session may have ended meanwhile.
    }
    for (const namespace of server._nsps.values()) {
      this.#joinNamespace(namespace); // An adapter may have made some besides `/`.
    }
    server.on('new_namespace', (namespace: Namespace) => {
      this.#joinNamespace(namespace);
    });
    if (server.engine !== undefined) {
      this.#joinEngine(server.engine);
    }
    const bind = server.bind.bind(server);
    server.bind = (engine) => {
      this.#joinEngine(engine); // The server is attached to an HTTP server later, or to another one.
      return bind(engine);
    };
  }

  #joinEngine(engine: Engine): void {
    engine.use((request, _response, next) => {
      const refusal = this.handshakes.crossSiteRefusal(request);
      if (refusal === undefined) {
        next();
      } else {
        forbid(request, request.res, refusal);
      }
    });
    const { allowRequest } = engine.opts;
    engine.opts.allowRequest = (request, done) => {
      if (request.res === undefined) {
        request.socket.on('error', ignore); // Nobody else listens yet: a client that resets would end the process.
      }
      const read = (): void => {
        const putBack = takeOut(request);
        this.handshakes.read(request).then(
          () => {
            putBack();
            done(null, true);
          },
          () => {
            done('Internal server error', false);
          },
        );
      };
      if (allowRequest === undefined) {
        read();
      } else {
        allowRequest(request, (error, isAllowed) => {
          if (isAllowed) {
            read();
          } else {
            done(error, isAllowed);
          }
        });
      }
    };
    engine.on('connection', (connection: EngineSocket) => {
      const release = this.handshakes.register(connection.request, (end) => {
        this.#close(connection, end);
      });
      connection.on('close', release);
    });
  }

  #joinNamespace(namespace: Namespace): void {
    const address = { ...this.address, namespace: namespace.name };
    namespace.use((socket, next) => {
      void this.handshakes.whyRefused(address, socket).then((refusal) => {
        next(refusal && connectError(refusal));
      });
    });
    namespace.on('connection', ({ conn, client }: Socket) => {
      this.#clients.set(conn, client);
    });
  }

  /** A client connects again by itself, unless it has been told in each namespace that it is disconnected. */
  #close(connection: EngineSocket, { reason }: ConnectionEnd): void {
    if (reason !== 'shutting_down') {
      for (const socket of [...(this.#clients.get(connection)?.sockets.values() ?? [])]) {
        turnAway(socket, { code: 'unauthenticated', reason });
      }
    }
    connection.close();
    const timer = setTimeout(() => {
      connection.close(true);
    }, CLOSES_WITHIN).unref();
    connection.once('close', () => {
      clearTimeout(timer);
    });
  }
}

/**
 * Takes out what Engine.IO will delete from the request after the handshake. Put back, it is the last property again: V8
 * makes a dictionary of an object that another one is deleted from, of 1.6 kB for as long as the connection lasts.
 *
 * @returns a function that puts it back
 */
function takeOut(request: SessionRequest): () => void {
  const key = Object.getOwnPropertySymbols(request).find(({ description }) => description === 'responseHeaders');
  const holder = request as unknown as Record<symbol, unknown>;
  if (key === undefined) {
    return () => undefined; // It is no WebSocket that is asked for.
  }
  const { [key]: headers } = holder;
  Reflect.deleteProperty(holder, key);
  return () => {
    holder[key] = headers;
  };
}

/** @param response `undefined` where a WebSocket was asked for: Socket.IO has nothing there that could send a status */
function forbid({ socket }: SessionRequest, response: SessionResponse | undefined, json: string): void {
  const headers = { 'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(json) };
  if (response !== undefined) {
    response.writeHead(403, headers).end(json);
    return;
  }
  const lines = Object.entries({ ...headers, Connection: 'close' }).map(([name, value]) => `${name}: ${value}`);
  socket.on('error', () => socket.destroy());
  socket.once('finish', () => socket.destroy());
  socket.end(['HTTP/1.1 403 Forbidden', ...lines, '', json].join('\r\n'));
}

function ignore(): void {
  // The socket is destroyed by itself.
}

function turnAway(socket: Socket, refusal: ConnectionRefusal): void {
  socket.emit('exception', refusal);
  socket.disconnect();
}

/** The client hears of it as `connect_error`, with the refusal as the error's `data`. */
function connectError(refusal: ConnectionRefusal): Error {
  return Object.assign(new Error(refusal.message ?? refusal.code), { data: refusal });
}
