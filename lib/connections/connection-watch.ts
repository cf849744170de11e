import { Logger } from '@nestjs/common';
import type { Clock } from '../model/clock.js';
import { expiresAt, type Lifetime } from '../model/lifetime.js';
import type { SessionRecord } from '../model/session-record.js';
import type { SignOutReason } from '../session-auth.errors.js';
import type { SessionRepository } from '../session/session-repository.js';
import type { EndFeed, EndListener, HeardEnd } from '../store/end-feed.js';
import { MOST_ATTEMPTS } from '../store/merged-save.js';
import { isLive } from '../store/session-store.js';
import { ConnectionBook } from './connection-book.js';
import type { CloseReason, OpenConnection, WatchedSession } from './watched-session.js';

/** In how many steps all sessions are asked about once, so that Redis is not asked about all of them at a time. */
const STEPS = 30;
/** A step is at most this long, in milliseconds: it also bounds how late an expired session is noticed. */
const LONGEST_STEP = 1_000;
/** Sessions that the store is asked about at a time. */
const AT_ONCE = 100;

/** What a {@link ConnectionWatch} works with. */
export interface WatchSettings {
  readonly repository: SessionRepository;
  readonly clock: Clock;
  readonly lifetime: Lifetime;
  /** Milliseconds. */
  readonly recheck: number;
  /** Hears of ends in other processes; `undefined` where the sessions are this process's own. */
  readonly feed: EndFeed | undefined;
  readonly onClosed: (connection: OpenConnection, handle: string, reason: SignOutReason) => void;
}

/**
 * Closes the connections of sessions that end. It hears of most ends at once. The others it finds by asking the store
 * about each session every `recheck`. A store that cannot reply closes nothing.
 *
 * While no connection is open, it has no timer, and its feed is closed.
 */
export class ConnectionWatch implements EndListener {
  readonly book = new ConnectionBook();
  readonly #logger = new Logger('SessionConnections');
  readonly #step: number;
  #timer: NodeJS.Timeout | undefined;
  #isAsking = false;
  /** How many sessions may be asked about before their time. */
  #credit = 0;

  constructor(private readonly settings: WatchSettings) {
    this.#step = Math.min(settings.recheck / STEPS, LONGEST_STEP);
  }

  /** A connection was opened. The session may have ended since its request has read it, so that is asked anew. */
  open(connection: OpenConnection, record: SessionRecord): void {
    const session = this.book.enter(connection, record.handle, record.pending !== undefined);
    if (this.#timer === undefined) {
      this.#timer = setInterval(() => void this.#tick(), this.#step).unref();
      this.settings.feed?.open(this);
    }
    this.#ask(session).catch(() => undefined); // The timer asks again.
  }

  /** A connection was closed by somebody else. */
  release(connection: OpenConnection): void {
    if (this.book.leave(connection) && this.book.size === 0) {
      clearInterval(this.#timer);
      this.#timer = undefined;
      this.#credit = 0;
      this.settings.feed?.close();
    }
  }

  /**
   * Settles when the connection's session is known to live, or the connection has been closed. Mostly that is now.
   *
   * @throws SessionStoreUnavailableException where the store has to be asked, and does not reply
   */
  async confirm(connection: OpenConnection): Promise<void> {
    for (let attempt = 0; attempt < MOST_ATTEMPTS; attempt++) {
      const { session } = connection;
      if (session === undefined || this.#isKnownToLive(session)) {
        return;
      }
      session.asking ??= this.#ask(session).finally(() => {
        session.asking = undefined;
      });
      await session.asking;
      if (connection.session === session) {
        return;
      }
    }
  }

  /** Closes all connections of a session that has ended, or hands them over to its successor. */
  onEnd(handle: string, { reason, successor }: HeardEnd): void {
    for (const connection of this.book.get(handle)?.connections ?? []) {
      if (successor === undefined) {
        this.#close(connection, handle, reason);
      } else {
        this.book.leave(connection);
        this.book.enter(connection, successor);
      }
    }
    const session = successor === undefined ? undefined : this.book.get(successor);
    if (session !== undefined) {
      session.forget();
      this.#ask(session).catch(() => undefined);
    }
  }

  /** Ends were not heard until now. */
  onOpen(): void {
    for (const session of this.book) {
      session.forget();
    }
    void this.#tick();
  }

  /** Closes everything: the application closes. */
  closeAll(): void {
    for (const { connections } of [...this.book]) {
      for (const connection of connections) {
        this.release(connection);
        this.#call(connection, 'shutting_down');
      }
    }
  }

  #isKnownToLive(session: WatchedSession): boolean {
    return session.isKnownToLive(this.settings.recheck, this.settings.clock.now());
  }

  #close(connection: OpenConnection, handle: string, reason: SignOutReason): void {
    this.release(connection);
    connection.request?.lost(reason);
    this.#call(connection, reason);
    this.settings.onClosed(connection, handle, reason);
  }

  #call(connection: OpenConnection, reason: CloseReason): void {
    const report = (error: unknown): void => {
      this.#logger.error('A connection could not be closed.', error);
    };
    try {
      Promise.resolve(connection.close(reason)).catch(report);
    } catch (error) {
      report(error);
    }
  }

  /** Asks the store about a session. Rejects where that does not reply. */
  async #ask(session: WatchedSession): Promise<void> {
    const { repository, lifetime } = this.settings;
    this.book.asked(session);
    const askedAt = performance.now();
    const found = await repository.find(session.handle);
    if (!this.book.has(session)) {
      return; // It has ended meanwhile, or goes on under another handle.
    }
    if (!isLive(found)) {
      this.onEnd(session.handle, found ?? { reason: 'expired' });
    } else if (repository.isExpired(found.record)) {
      this.onEnd(session.handle, { reason: 'expired' });
    } else {
      session.confirm(found.record, askedAt, expiresAt(found.record, lifetime));
    }
  }

  /**
   * Asks about the sessions of which nothing is known any more and, so that they do not become many at a time, about
   * those that were asked about longest ago: about all of them once in the time of `recheck`.
   */
  async #tick(): Promise<void> {
    if (this.#isAsking) {
      return;
    }
    this.#credit += (this.book.size * this.#step) / this.settings.recheck;
    const share = Math.floor(this.#credit);
    this.#credit -= share;
    const due = [...this.book].filter((session, place) => place < share || !this.#isKnownToLive(session));
    this.#isAsking = true;
    for (let i = 0; i < due.length; i += AT_ONCE) {
      const asked = await Promise.allSettled(due.slice(i, i + AT_ONCE).map((session) => this.#ask(session)));
      if (asked.every(({ status }) => status === 'rejected')) {
        break; // The store is away. The next tick tries again.
      }
    }
    this.#isAsking = false;
  }
}
