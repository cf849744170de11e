import type { SignOutReason } from '../session-auth.errors.js';
import type { ConnectedSession, ConnectionLink } from '../session/connected-session.js';
import type { WatchedSession } from './watched-session.js';

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
