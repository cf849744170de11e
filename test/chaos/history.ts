/** What every request of the run has in common. Times are of `performance.now()`. */
interface Asked {
  readonly visitor: number;
  /** Which of the application's instances answered. */
  readonly app: number;
  readonly start: number;
  readonly end: number;
  /** 0 where no response came. */
  readonly status: number;
  /** The handle in the cookie that was sent. */
  readonly shown?: string;
  /** The response gave the same session another secret. */
  readonly rotated?: boolean;
  /** A 401's reason, or what went wrong. */
  readonly why?: string;
  /** The user that the response named. */
  readonly named?: string;
}

/** One request of a visitor, and what it was told. */
export type Op = Asked &
  (
    | { readonly kind: 'login'; readonly user: string; readonly given?: string }
    | { readonly kind: 'logout' | 'connect' }
    | { readonly kind: 'read'; readonly data?: Readonly<Record<string, unknown>> }
    | { readonly kind: 'write'; readonly key: string; readonly value: string }
    | { readonly kind: 'list'; readonly listed?: readonly string[] }
    | { readonly kind: 'revoke'; readonly target: string; readonly revoked?: boolean }
  );

/** The application says that it ended a session, for its cookie was a copy of an old one. */
export interface Reuse {
  readonly handle: string;
  readonly at: number;
}

/** A connection that was opened in a session's name, from its handshake on. Times are of `performance.now()`. */
export interface SocketLife {
  readonly visitor: number;
  readonly app: number;
  readonly handle: string;
  readonly start: number;
  /** Whom the replies to its messages named. */
  readonly named: string[];
  /** How and when the server closed it. */
  closed?: { readonly at: number; readonly code: number; readonly reason: string };
  /** When its visitor closed it. */
  left?: number | undefined;
}

/** When Redis, by its asynchronous replication, may forget what it has acknowledged. */
export interface LossWindow {
  /** What brought it about. */
  readonly by: string;
  /** Whose sessions were on the master that was lost. Default: everybody's. */
  readonly users?: ReadonlySet<string>;
  /** What was acknowledged from then on... */
  readonly from: number;
  /** ...until then may be forgotten. */
  readonly until: number;
  /** Two servers take themselves for the master: who reads meanwhile may see what stood there at this time. */
  readonly staleSince?: number;
}

/** All there is to judge by. */
export interface History {
  readonly ops: readonly Op[];
  readonly reuses: readonly Reuse[];
  /** Those that were accepted. */
  readonly sockets: readonly SocketLife[];
  readonly losses: readonly LossWindow[];
}
