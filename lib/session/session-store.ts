import type { SessionRecord } from './session-record.js';

/** Injection token of the session store in use: an `express-session` `Store`, whichever options chose it. */
export const SESSION_STORE = Symbol('nestjs-session-auth:session-store');

/** A session as it was found: its record, and its data parsed, for the finder to change. */
export interface FoundSession {
  readonly record: SessionRecord;
  readonly values: Record<string, unknown>;
}

/**
 * How a save went: written; changed by somebody since (`current` is what stands there); or ended since, by a login of the
 * same browser that replaced it (as long as the store remembers, a minute at least) or otherwise.
 */
export type SaveOutcome =
  { outcome: 'saved' } | { outcome: 'stale'; current: SessionRecord } | { outcome: 'gone' | 'replaced' };

/** For how long a store remembers that a session was replaced, in milliseconds: longer than requests run. */
export const REPLACED_FOR = 60_000;

/**
 * What the request loop asks of a store. Each method is one atomic step. All reject when the store cannot be reached;
 * "not found" is never a rejection.
 */
export interface AtomicSessionStore {
  /** The store has said that it is out of reach: it need not be asked. Stores that do not say so leave it out. */
  readonly disconnected?: boolean;

  /** The session, or `undefined` when there is none: unknown, run out, ended, or unreadable (which is then removed). */
  find(handle: string): Promise<FoundSession | undefined>;

  /** Writes a new session. Rejects when the handle is taken, and changes nothing then. */
  insert(record: SessionRecord, expiresAt: number): Promise<void>;

  /**
   * Replaces a session, only if it still exists and its version is the one before `record.version`. It never creates
   * one: what was ended while a request ran stays ended.
   */
  update(record: SessionRecord, expiresAt: number): Promise<SaveOutcome>;

  /** Notes activity and moves the expiry, whatever the version. False when the session is gone. */
  extend(record: SessionRecord, seenAt: number, expiresAt: number): Promise<boolean>;

  /** Ends a session. False when there was none. */
  remove(handle: string): Promise<boolean>;

  /** Ends a session that a login replaces: requests of it that are still running are to know. False when there was none. */
  replace(handle: string): Promise<boolean>;
}
