import type { SessionRecord } from './session-record.js';

/** The part of a session that its end depends on. */
export type Lived = Pick<SessionRecord, 'createdAt' | 'seenAt' | 'idle' | 'absolute'>;

/** When sessions end, and when activity is worth writing down. */
export interface LifetimePolicy {
  /** A new session's idle limit, in milliseconds. */
  readonly idle: number;
  expiresAt(session: Lived): number;
  touchDue(session: Lived, now: number): boolean;
}
