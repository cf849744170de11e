import type { SessionRecord } from './session-record.js';

/** The part of a session that its end depends on. */
export type Lived = Pick<SessionRecord, 'createdAt' | 'seenAt' | 'idle' | 'absolute'>;

/** When a session runs out, in milliseconds since 1970, and of which of its limits. */
export interface Expiry {
  readonly at: number;
  readonly reason: 'idle_timeout' | 'absolute_timeout';
}

/** When sessions end, when activity is worth writing down and when a session's secret is due to change. */
export interface LifetimePolicy {
  /** A new session's idle limit, in milliseconds. */
  readonly idle: number;
  /** For how long an old secret is good beside the one that took over, in milliseconds. */
  readonly rotationGrace: number;
  expiresAt(session: Lived): number;
  expiryOf(session: Lived): Expiry;
  touchDue(session: Lived, now: number): boolean;
  /** Whether a new secret is to be offered: the current one is old, and none was just offered. */
  offerDue(session: Pick<SessionRecord, 'createdAt' | 'rotation'>, now: number): boolean;
}
