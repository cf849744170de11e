import type { SessionRecord } from '../model/session-record.js';
import type { SignOutReason } from '../session-auth.errors.js';
import type { ConnectedSession, ConnectionLink } from '../session/connected-session.js';

/**
 * Why a connection is closed: the reason for which its session has ended, or `shutting_down` where the application
 * closes and the session goes on.
 */
export type CloseReason = SignOutReason | 'shutting_down';

/**
 * What a registered connection is closed with.
 *
 * @example
 * ```ts
 * function closeText({ reason }: ConnectionEnd): string {
 *   return reason === 'shutting_down' ? 'Connect again.' : `You are signed out: ${reason}`;
 * }
 * ```
 */
export interface ConnectionEnd {
  /** Why the session has ended; `shutting_down` where the application closes, and the session goes on. */
  readonly reason: CloseReason;
}

/** What knows whether the session of a connection lives. */
interface Watch {
  confirm(connection: OpenConnection): Promise<void>;
}

/** A connection that was opened in a session's name. There are many of them, and they last: it has no closures. */
export class OpenConnection implements ConnectionLink {
  /** `undefined` once the connection is closed. */
  session: WatchedSession | undefined;

  /** @param request what the connection's messages know of the session; `undefined` where there are no messages */
  constructor(
    readonly userId: string,
    readonly request: ConnectedSession | undefined,
    private readonly onEnd: (end: ConnectionEnd) => unknown,
    private readonly watch: Watch,
  ) {}

  confirm(): Promise<void> {
    return this.watch.confirm(this);
  }

  close(reason: CloseReason): unknown {
    return this.onEnd({ reason });
  }
}

/** A session that has connections open in this process, and what is known of it. */
export class WatchedSession {
  /** Mostly one, so that a set would be larger than all that it holds. */
  connections: readonly OpenConnection[] = [];
  /** The store's reply that is under way. Messages that come meanwhile wait for the same one. */
  asking: Promise<void> | undefined;
  /** When the store was asked that last said that the session lives, by `performance.now()`. */
  #confirmedAt = -Infinity;
  /** Replies to what was asked before that tell nothing: an end may not have been heard. */
  #unknownSince = -Infinity;
  #endsAt = -Infinity;

  /** @param isPending its login is: nobody is logged in on it */
  constructor(
    readonly handle: string,
    readonly isPending: boolean,
  ) {}

  /** Whether the session is known to live: since less than `recheck` milliseconds, and its end has not come. */
  isKnownToLive(recheck: number, now: number): boolean {
    return performance.now() - this.#confirmedAt < recheck && now < this.#endsAt;
  }

  /** The store has this version, which ends then. */
  confirm(record: SessionRecord, askedAt: number, endsAt: number): void {
    if (askedAt >= this.#unknownSince) {
      this.#confirmedAt = Math.max(this.#confirmedAt, askedAt);
      this.#endsAt = endsAt;
    }
    for (const { request } of this.connections) {
      request?.follow(record);
    }
  }

  /** Ends were not heard: nothing is known any more. */
  forget(): void {
    this.#confirmedAt = -Infinity;
    this.#unknownSince = performance.now();
  }
}
