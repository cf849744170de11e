import { type BeforeApplicationShutdown, Inject, Injectable } from '@nestjs/common';
import { type Carrier, requestIn } from '../access/carrier.js';
import { SessionEvents } from '../events/session-events.js';
import { type Clock, SESSION_CLOCK } from '../model/clock.js';
import type { SessionEvent } from '../model/session-event.js';
import { tagOfUser } from '../model/session-id.js';
import type { UserOrId } from '../serializer/user-id.js';
import { UserSerializers } from '../serializer/user-serializers.js';
import { SessionUnavailableException } from '../session-auth.errors.js';
import { type ResolvedSessionAuthOptions, SESSION_AUTH_OPTIONS } from '../session-auth.options.js';
import { connectedSession } from '../session/connected-session.js';
import { requestSessionOf } from '../session/request-session.js';
import { SessionRepository } from '../session/session-repository.js';
import type { EndFeed, HeardEnd } from '../store/end-feed.js';
import { ConnectionWatch } from './connection-watch.js';
import { type ConnectionEnd, OpenConnection } from './watched-session.js';

/** Token of the {@link EndFeed}; `null` where the sessions are this process's own. */
export const END_FEED = Symbol.for('nestjs-session-auth:end-feed');

/**
 * The open connections of this process that end with their session. Gateways take part by themselves. Anything else that
 * stays open can be registered.
 *
 * @example
 * ```ts
 * // A bare `ws` server. The middleware reads the session of the request that opens the connection.
 * const app = await NestFactory.create(AppModule);
 * const [{ use }, connections] = [app.get(SessionMiddleware), app.get(SessionConnections)];
 * const sockets = new WebSocketServer({ noServer: true });
 * app.getHttpServer().on('upgrade', (request: SessionRequest, socket: Socket, head: Buffer) => {
 *   socket.on('error', () => socket.destroy()); // Its client may reset it meanwhile.
 *   use(request, new ServerResponse(request), () => {
 *     if (request.user === undefined) {
 *       socket.destroy();
 *       return;
 *     }
 *     sockets.handleUpgrade(request, socket, head, (client) => {
 *       const release = connections.register(request, ({ reason }) => client.close(4401, reason));
 *       client.once('close', release);
 *     });
 *   });
 * });
 * ```
 */
@Injectable()
export class SessionConnections implements BeforeApplicationShutdown {
  readonly #watch: ConnectionWatch;
  #isClosing = false;

  /** @internal */
  constructor(
    @Inject(SESSION_AUTH_OPTIONS) { lifetime, connections }: ResolvedSessionAuthOptions,
    @Inject(SESSION_CLOCK) clock: Clock,
    @Inject(SessionRepository) repository: SessionRepository,
    @Inject(END_FEED) feed: EndFeed | null,
    @Inject(SessionEvents) events: SessionEvents,
    @Inject(UserSerializers) private readonly serializers: UserSerializers,
  ) {
    this.#watch = new ConnectionWatch({
      repository,
      clock,
      lifetime,
      recheck: connections.recheck,
      feed: feed ?? undefined,
      onClosed: ({ userId }, handle, reason) => {
        const now = clock.now();
        // All listeners hear of the session's end before.
        queueMicrotask(() => {
          events.emit({ type: 'connection-closed', userId, handle, reason }, now);
        });
      },
    });
    // What ends in this process is heard of by its event, whichever store there is, except for a pending login.
    repository.reporter.onPendingEnd = (handle, end) => {
      this.#watch.onEnd(handle, end);
    };
    events.events$.subscribe((event) => {
      const [handle, end] = endIn(event) ?? [];
      if (handle !== undefined && end !== undefined) {
        this.#watch.onEnd(handle, end);
      }
    });
  }

  /**
   * Has a connection closed when its session ends. A step-up or a rotation closes nothing, nor does the last step of a
   * login: a connection that was opened while it was pending goes over to the user's session. Without a login there is no
   * session that could end, so nothing is registered.
   *
   * @param at the request that has opened the connection, or what leads to it
   * @param close is called once, unless the connection is released before
   * @returns a function that releases the connection: call it when the connection has been closed by somebody else
   * @throws SessionUnavailableException (500) where there is no session that could be looked at
   */
  register(at: Carrier, close: (end: ConnectionEnd) => unknown): () => void {
    const session = requestSessionOf(requestIn(at));
    if (session === undefined) {
      throw new SessionUnavailableException();
    }
    const { record } = session;
    const request = connectedSession(session);
    // A connection with messages is nobody's where the login was pending at its handshake, and it stays so.
    const login = record?.login ?? (request === undefined ? record?.pending?.login : undefined);
    if (record === undefined || login === undefined) {
      return () => undefined;
    }
    const connection = new OpenConnection(login.userId, request, close, this.#watch);
    if (request !== undefined) {
      // The first one is the connection itself, which outlives all that its handlers register.
      request.link ??= connection;
    }
    this.#watch.open(connection, record);
    if (this.#isClosing) {
      queueMicrotask(() => {
        this.#watch.closeAll(); // A client has come again while the application closes.
      });
    }
    return () => {
      this.#watch.release(connection);
    };
  }

  /** The number of this process's connections: of a user who is logged in, of one session, or all. */
  count({ user, handle }: { user?: UserOrId; handle?: string } = {}): number {
    const { book } = this.#watch;
    return handle === undefined && user !== undefined
      ? book.countOfUser(tagOfUser(this.serializers.idOf(user)))
      : book.count(handle);
  }

  /** Nest calls it before it closes the servers, which wait for their connections. */
  beforeApplicationShutdown(): void {
    this.#isClosing = true;
    this.#watch.closeAll();
  }
}

/** Which session has ended by an event, and how. */
function endIn(event: SessionEvent): [handle: string, end: HeardEnd] | undefined {
  switch (event.type) {
    case 'logged-out':
      return [event.handle, { reason: 'logged_out' }];
    case 'revoked':
      return [event.handle, { reason: event.reason === 'user' || event.reason === 'admin' ? 'revoked' : event.reason }];
    case 'reuse-detected':
      return [event.handle, { reason: 'reuse_detected' }];
    case 'ended':
      return [event.handle, { reason: event.reason === 'unreadable' ? 'expired' : 'revoked' }];
    case 'reauthenticated':
      return [event.previous, { reason: 'logged_out', successor: event.handle }];
    default:
      return undefined;
  }
}
