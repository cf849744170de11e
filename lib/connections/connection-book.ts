import { type OpenConnection, WatchedSession } from './watched-session.js';

/** The open connections of this process, by session. */
export class ConnectionBook implements Iterable<WatchedSession> {
  readonly #sessions = new Map<string, WatchedSession>();

  /** How many sessions have connections open. */
  get size(): number {
    return this.#sessions.size;
  }

  /** The sessions, those first that the store was asked about longest ago. */
  [Symbol.iterator](): Iterator<WatchedSession> {
    return this.#sessions.values();
  }

  get(handle: string): WatchedSession | undefined {
    return this.#sessions.get(handle);
  }

  has(session: WatchedSession): boolean {
    return this.#sessions.get(session.handle) === session;
  }

  enter(connection: OpenConnection, handle: string, isPending = false): WatchedSession {
    const session = this.#sessions.get(handle) ?? new WatchedSession(handle, isPending);
    this.#sessions.set(handle, session);
    session.connections = [...session.connections, connection];
    connection.session = session;
    return session;
  }

  /** A connection is closed. Returns false when it was closed before. */
  leave(connection: OpenConnection): boolean {
    const { session } = connection;
    connection.session = undefined;
    if (session === undefined) {
      return false;
    }
    session.connections = session.connections.filter((one) => one !== connection);
    if (session.connections.length === 0 && this.has(session)) {
      this.#sessions.delete(session.handle);
    }
    return true;
  }

  /** The store is asked about this session: the others come first from now on. */
  asked(session: WatchedSession): void {
    if (this.#sessions.delete(session.handle)) {
      this.#sessions.set(session.handle, session);
    }
  }

  /** The number of connections, or of those that one session has. */
  count(handle?: string): number {
    return total(handle === undefined ? [...this] : [this.#sessions.get(handle)]);
  }

  /** The number of connections of the user with this tag. */
  countOfUser(tag: string): number {
    return total([...this].filter(({ handle, isPending }) => handle.startsWith(tag) && !isPending));
  }
}

function total(sessions: readonly (WatchedSession | undefined)[]): number {
  return sessions.reduce((sum, session) => sum + (session?.connections.length ?? 0), 0);
}
