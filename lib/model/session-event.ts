import type { SessionAuthErrorCode, SignOutReason } from '../session-auth.errors.js';
import type { Device } from './session-info.js';

/** What every event says. The handle names the session; no event ever carries its secret. */
interface EventBase {
  /** When it happened. */
  readonly at: Date;
  readonly userId?: string;
  readonly handle?: string;
}

/**
 * Who or what had a session end: its user (on another device, say), an administrator, `maxSessions`, new credentials.
 */
export type RevocationReason = 'user' | 'admin' | 'limit' | 'credentials_changed';

/** Why the module ends a session by itself: its user does not exist any more, or is not the one who logged in. */
export type MissingUser = 'user_gone' | 'user_mismatch';

/**
 * Something that happened to a session. `type` tells the kinds apart.
 *
 * @example
 * ```ts
 * function describe(event: SessionEvent): string {
 *   switch (event.type) {
 *     case 'logged-in':
 *       return `${event.userId} logged in by ${event.method ?? 'an unnamed method'}`;
 *     case 'revoked':
 *       return `session ${event.handle} was ended: ${event.reason}`;
 *     default:
 *       return event.type;
 *   }
 * }
 * ```
 */
export type SessionEvent = EventBase &
  /**
   * `method` is the last one, where there were several steps; `methods` are all then, in order. `strategy` is the Passport
   * strategy of the last step; it is missing where the application's own code logged in. `spared` are the methods that
   * were not asked for, since the browser is trusted (`trustFor`). With the option `knownDevices`, `newDevice` tells
   * whether this user has not logged in on this browser before. `device` is missing where the option `device` is `false`.
   */
  (
    | {
        readonly type: 'logged-in';
        readonly userId: string;
        readonly handle: string;
        readonly strategy?: string;
        readonly method?: string;
        readonly methods?: readonly string[];
        readonly spared?: readonly string[];
        readonly device?: Device;
        readonly newDevice?: boolean;
      }
    /** A step of a login was done, and others are to follow. Nobody is logged in yet. */
    | {
        readonly type: 'login-pending';
        readonly userId: string;
        readonly handle: string;
        readonly strategy?: string;
        readonly method?: string;
        readonly pending: readonly string[];
      }
    /**
     * A session of the stack that is being moved from goes on here (option `adopt`). `userId` is missing where nobody was
     * logged in on it. It is no login: there is no `logged-in`.
     */
    | { readonly type: 'adopted'; readonly handle: string; readonly device?: Device }
    | { readonly type: 'logged-out'; readonly userId: string; readonly handle: string }
    /** The user proved again who they are. The session goes on under a new handle. */
    | {
        readonly type: 'reauthenticated';
        readonly handle: string;
        readonly previous: string;
        readonly strategy?: string;
        readonly method?: string;
      }
    /**
     * Somebody else than its own request ended the session. `userId` is missing where everybody's sessions were ended.
     */
    | { readonly type: 'revoked'; readonly handle: string; readonly reason: RevocationReason }
    /** The browser has shown the next secret of its session for the first time. */
    | { readonly type: 'rotated'; readonly handle: string }
    /** A request showed a secret that is no longer good: somebody has a copy of the cookie. The session was ended. */
    | { readonly type: 'reuse-detected'; readonly handle: string }
    /**
     * A strategy refused the credentials, or the login that followed was refused. `strategy` names all that its
     * `LoginGuard` has tried, and `method` is that guard's. `code` is the error's; `reason` is its message.
     */
    | {
        readonly type: 'login-failed';
        readonly strategy: string;
        readonly method?: string;
        readonly code: SessionAuthErrorCode;
        readonly reason: string;
      }
    /**
     * A request from another site was refused. `route` names the handler where that is known. `origin` is what the browser
     * said of where it came from, and `handle` is the session's whose cookie it has shown.
     */
    | { readonly type: 'cross-site-refused'; readonly route: string; readonly origin: string }
    /**
     * The module ended the session: its user is gone or is not that of the login, or its value in the store was
     * unreadable.
     */
    | { readonly type: 'ended'; readonly handle: string; readonly reason: MissingUser | 'unreadable' }
    /**
     * A request's session ended while the request ran, or just before, by a login. What it wanted to save was dropped.
     */
    | { readonly type: 'save-dropped'; readonly handle: string }
    /** An open connection was closed because its session had ended. Each connection has an event of its own. */
    | { readonly type: 'connection-closed'; readonly handle: string; readonly reason: SignOutReason }
    /** A session's data has grown past `warnAtBytes`. Each request has to load it. */
    | { readonly type: 'large-session'; readonly handle: string; readonly bytes: number }
    /** An operation of the store failed. */
    | { readonly type: 'store-error'; readonly operation: string; readonly error: unknown }
    /** Activity could not be written down. The response went out regardless. */
    | { readonly type: 'touch-failed'; readonly handle: string; readonly error: unknown }
  );

/** An event before it has its time. */
export type NewSessionEvent = SessionEvent extends infer Event
  ? Event extends SessionEvent
    ? Omit<Event, 'at'>
    : never
  : never;
