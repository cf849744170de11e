import type { Successor } from '../model/old-session.js';
import type { SessionRecord } from '../model/session-record.js';
import type { TimeBudget } from './time-budget.js';

/** Token of the {@link OldSessions}; `null` where none are taken over. */
export const OLD_SESSIONS = Symbol.for('nestjs-session-auth:old-sessions');

/**
 * The sessions of express-session with connect-redis, and what has become of them. Each method is one atomic step. The
 * keys of one move are in different slots of a cluster, so that the move takes several steps. Any of them may be the
 * last one that is carried out, and each may be repeated.
 */
export interface OldSessions {
  /** An old session's text, and how many milliseconds it has to live; a negative number for ever. */
  find(id: string, budget?: TimeBudget): Promise<{ text: string; ttl: number } | undefined>;

  /** Deletes an old session. */
  remove(id: string, budget?: TimeBudget): Promise<void>;

  /** What an old session has become. */
  findSuccessor(place: string, budget?: TimeBudget): Promise<Successor | undefined>;

  /**
   * Writes that down. Returns false where it has been, and changes nothing then.
   *
   * @param secretHash hash of the secret that opens the successor for the holder of the old cookie
   * @param lifetime in milliseconds
   */
  noteSuccessor(
    place: string,
    successor: Successor,
    secretHash: string,
    lifetime: number,
    budget?: TimeBudget,
  ): Promise<boolean>;

  /**
   * Creates the new session. Returns false where its handle is known, by a session or by what remains of one, and
   * changes nothing then.
   */
  open(record: SessionRecord, expiresAt: number, budget?: TimeBudget): Promise<boolean>;
}
