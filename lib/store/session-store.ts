import type { EndedSession, Ending, EndReason } from '../model/session-end.js';
import type { SessionRecord } from '../model/session-record.js';
import type { TimeBudget } from './time-budget.js';

/**
 * Injection token of the session store in use: an `express-session` `Store`, whichever option chose it.
 *
 * @example
 * ```ts
 * @Injectable()
 * class SessionCounter {
 *   constructor(@Inject(SESSION_STORE) private readonly store: Store) {}
 *
 *   count(): Promise<number> {
 *     return new Promise((resolve, reject) => {
 *       this.store.length?.((error, count) => (error ? reject(error) : resolve(count ?? 0)));
 *     });
 *   }
 * }
 * ```
 */
export const SESSION_STORE = Symbol.for('nestjs-session-auth:session-store');

/** A session as a store found it: its record, and its data parsed, for the caller to change. */
export interface FoundSession {
  readonly record: SessionRecord;
  readonly values: Record<string, unknown>;
}

/** Whether a store found a session, and not just what remains of one. */
export function isLive(found: FoundSession | EndedSession | undefined): found is FoundSession {
  return found !== undefined && 'record' in found;
}

/** The session that a change was meant for is not there. `ended` is what the store still knows of it. */
export interface EndedResult {
  readonly outcome: 'ended';
  readonly ended: EndedSession | undefined;
}

/** Somebody has changed the session since it was loaded. `current` is the version in the store. */
interface StaleResult {
  readonly outcome: 'stale';
  readonly current: SessionRecord;
}

/** The result of a change over a version. */
export type UpdateResult = { readonly outcome: 'saved' } | StaleResult | EndedResult;

/** How many sessions a user may have at a time, and what happens to one more. */
export interface SessionLimit {
  readonly limit: number;
  readonly overflow: 'evict-oldest' | 'reject';
}

/** A user's new session, and what else happens in the same step. */
export interface NewUserSession {
  readonly record: SessionRecord;
  readonly expiresAt: number;
  readonly limit?: SessionLimit | undefined;
  /** A session of the same user that the new one replaces. It does not count for the limit. */
  readonly replaces?: SessionRecord | undefined;
  /** The new session takes over the data of the replaced one, which must be in the same version still. */
  readonly continues?: boolean | undefined;
  /** The trust epoch that the user must have still: the login was spared a method for it. */
  readonly epoch?: string | undefined;
}

/**
 * The result of a login: `created` tells which sessions were ended for the limit, and whether the replaced one was
 * there. `untrusted`: the user has another trust epoch by now, or none.
 */
export type LogInResult =
  | { readonly outcome: 'created'; readonly evicted: readonly string[]; readonly replaced: boolean }
  | { readonly outcome: 'rejected' }
  | { readonly outcome: 'untrusted' }
  | StaleResult
  | EndedResult;

/**
 * The store as the request loop needs it. Each method is one atomic step, takes the request's remaining time and
 * rejects when the store cannot be reached. "Not found" is never a rejection.
 */
export interface AtomicSessionStore {
  /** True while the connection is down: a command would fail or wait in vain. Left out by stores that cannot tell. */
  readonly disconnected?: boolean;

  /** The sessions by user. Left out by stores that cannot keep an index. */
  readonly index?: SessionIndex;

  /** The users' trust in their browsers. Left out likewise. */
  readonly trust?: TrustEpochs;

  /**
   * The session of this handle, or what remains of it after it was ended. `undefined` when the handle is unknown, the
   * session has expired, or its value is unreadable (which is then removed).
   */
  find(handle: string, budget?: TimeBudget): Promise<FoundSession | EndedSession | undefined>;

  /** Creates an anonymous session. Rejects when the handle is taken, and changes nothing then. */
  insert(record: SessionRecord, expiresAt: number, budget?: TimeBudget): Promise<void>;

  /** Creates a user's session, enters it in the index and keeps the limit. Rejects when the handle is taken. */
  logIn(session: NewUserSession, budget?: TimeBudget): Promise<LogInResult>;

  /** Replaces the version before `record.version`. Never creates a session: one that was ended stays ended. */
  update(record: SessionRecord, expiresAt: number, budget?: TimeBudget): Promise<UpdateResult>;

  /**
   * Writes down activity and moves the expiry. Over another version than `record`'s the expiry only moves to a later
   * time.
   *
   * @returns `current` when the secret of `record` is still the current one, `superseded` when another one is by now
   */
  extend(
    record: SessionRecord,
    seenAt: number,
    expiresAt: number,
    budget?: TimeBudget,
  ): Promise<'ended' | 'current' | 'superseded'>;

  /**
   * Ends a session. Its reason is remembered.
   *
   * @param shownHash hash of a further secret whose holder may learn the reason
   * @returns false when there was no session
   */
  end(record: SessionRecord, ending: Ending, budget?: TimeBudget, shownHash?: string): Promise<boolean>;
}

/** The sessions of each user. An entry changes in the same step as its session, so that none is missed. */
export interface SessionIndex {
  count(userId: string): Promise<number>;

  /** All live sessions in pages, those that end first before the others. Their data is left out. */
  pages(userId: string): AsyncIterable<readonly SessionRecord[]>;

  /**
   * Ends a user's sessions but one, in steps of bounded length, and in the first one the user's trust epoch. Yields the
   * handles that each step ended.
   */
  endAll(userId: string, reason: EndReason, except?: string): AsyncIterable<readonly string[]>;

  /** Ends every session and every trust epoch of every user, likewise. */
  endEveryone(reason: EndReason): AsyncIterable<readonly string[]>;
}

/**
 * A user's trust epoch: a random text that the markers of trusted browsers name. {@link SessionIndex.endAll} ends it, and
 * with it the trust in all of these browsers. Where a store has lost it, that holds as well.
 */
export interface TrustEpochs {
  /** The user's epoch; `undefined` where no browser is trusted. */
  find(userId: string, budget?: TimeBudget): Promise<string | undefined>;

  /**
   * The user's epoch, which lives for that long from now on, or for longer. A user who has none gets `fresh`.
   *
   * @param lifetime in milliseconds
   */
  grant(userId: string, fresh: string, lifetime: number, budget?: TimeBudget): Promise<string>;
}
