import type { SignOutReason } from '../session-auth.errors.js';
import type { Patience } from './deadline.js';
import type { Expiry } from './lifetime-policy.js';
import type { SessionId } from './session-id.js';
import type { SessionRecord } from './session-record.js';

/** Injection token of the session store in use: an `express-session` `Store`, whichever options chose it. */
export const SESSION_STORE = Symbol('nestjs-session-auth:session-store');

/** A session as it was found: its record, and its data parsed, for the finder to change. */
export interface FoundSession {
  readonly record: SessionRecord;
  readonly values: Record<string, unknown>;
}

/** Why a session ended before it ran out. */
export type EndReason = Exclude<SignOutReason, Expiry['reason']>;

/** How a session is ended: for a reason, or because a login of the same browser replaces it. */
export type Ending = EndReason | 'replaced';

/** For how long a store remembers why a user's session ended, in milliseconds. */
export const ENDED_REMEMBERED_FOR = 24 * 3600_000;
/** For how long it remembers one that ran out: its cookie ran out with it, so hardly anybody asks. */
export const RUN_OUT_REMEMBERED_FOR = 3600_000;
/** For how long it remembers that an anonymous session was replaced: longer than requests run. */
export const REPLACED_REMEMBERED_FOR = 60_000;

/** How a save went: written; changed by somebody since (`current` is what stands there); or ended since. */
export type SaveOutcome =
  { outcome: 'saved' } | { outcome: 'stale'; current: SessionRecord } | { outcome: 'gone' | 'replaced' };

/** How many sessions a user may have at a time, and what happens to one more. */
export interface SessionLimit {
  readonly limit: number;
  readonly overflow: 'evict-oldest' | 'reject';
}

/** A user's new session, and what is to happen in the same step. */
export interface NewUserSession {
  readonly record: SessionRecord;
  readonly expiry: Expiry;
  readonly limit?: SessionLimit | undefined;
  /** A session of the same user that it replaces, and that does not count for the limit. */
  readonly replaces?: SessionRecord | undefined;
  /** The new session continues that one's data: its version must still be the one that was loaded. */
  readonly continues?: boolean | undefined;
}

/**
 * How it went: created (and which sessions had to go for it, and whether the replaced one was there to end); too many
 * sessions already; or the session that was to be continued has been changed or has ended meanwhile.
 */
export type LogInOutcome =
  | { outcome: 'created'; evicted: readonly string[]; replaced: boolean }
  | { outcome: 'rejected' }
  | { outcome: 'gone' | 'replaced' }
  | { outcome: 'stale'; current: SessionRecord };

/**
 * What the request loop asks of a store. Each method is one atomic step. All reject when the store cannot be reached;
 * "not found" is never a rejection. What a request still has of patience, it hands over with the question.
 */
export interface AtomicSessionStore {
  /** The store has said that it is out of reach: it need not be asked. Stores that do not say so leave it out. */
  readonly disconnected?: boolean;

  /** The sessions by user. A store that cannot keep such an index leaves it out. */
  readonly index?: SessionIndex;

  /** The session, or `undefined` when there is none: unknown, run out, ended, or unreadable (which is then removed). */
  find(handle: string, patience?: Patience): Promise<FoundSession | undefined>;

  /** Writes a new session that is nobody's. Rejects when the handle is taken, and changes nothing then. */
  insert(record: SessionRecord, expiry: Expiry, patience?: Patience): Promise<void>;

  /** Writes a user's new session, enters it in the index and keeps the limit. Rejects when the handle is taken. */
  logIn(session: NewUserSession, patience?: Patience): Promise<LogInOutcome>;

  /**
   * Replaces a session, only if it still exists and its version is the one before `record.version`. It never creates
   * one: what was ended while a request ran stays ended.
   */
  update(record: SessionRecord, expiry: Expiry, patience?: Patience): Promise<SaveOutcome>;

  /**
   * Notes activity and moves the expiry, whatever the version; where that is not the one of `record`, only to a later time.
   * Tells whether the session lives, and then whether its secret is still the one of `record`.
   */
  extend(record: SessionRecord, seenAt: number, expiry: Expiry): Promise<'gone' | 'current' | 'superseded'>;

  /**
   * Ends a session. Of a user's it is remembered why.
   *
   * @param shown hash of a secret whose holder is to be told why, too
   * @returns false when there was none
   */
  end(record: SessionRecord, ending: Ending, patience?: Patience, shown?: string): Promise<boolean>;

  /** Why the session of this id ended, as long as that is remembered. Only its own secret learns it. */
  whyEnded(id: SessionId, patience?: Patience): Promise<SignOutReason | undefined>;
}

/** The sessions of each user. It misses none that lives: each is entered, moved, removed in the session's own step. */
export interface SessionIndex {
  count(userId: string): Promise<number>;

  /** All live sessions, in batches, those that end first before the others; their data is left out. */
  pages(userId: string): AsyncIterable<readonly SessionRecord[]>;

  /** Ends a user's sessions but one, in steps of bounded length. Gives the handles that each step ended. */
  endAll(userId: string, ending: EndReason, except?: string): AsyncIterable<readonly string[]>;

  /** Ends every user's every session, likewise. */
  endEveryone(ending: EndReason): AsyncIterable<readonly string[]>;
}
