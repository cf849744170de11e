import type { ResolvedSessionAuthOptions } from '../session-auth.options.js';
import type { LifetimePolicy, Lived } from '../session/lifetime-policy.js';

type Limits = ResolvedSessionAuthOptions['lifetime'];

/** A session ends at the earlier of its idle and its absolute limit (NIST SP 800-63B-4, section 5.2). */
export function expiresAt(session: Lived, limits: Limits): number {
  return Math.min(
    session.createdAt + (session.absolute ?? limits.absolute),
    session.seenAt + (session.idle ?? limits.idle),
  );
}

/** Activity is written down every `touchEvery`; oftener where the session has a short idle limit of its own. */
export function touchDue(session: Lived, limits: Limits, now: number): boolean {
  return now - session.seenAt >= Math.min(limits.touchEvery, (session.idle ?? Infinity) / 10);
}

/** The policy that the options set. */
export function lifetimePolicy(limits: Limits): LifetimePolicy {
  return {
    idle: limits.idle,
    expiresAt: (session) => expiresAt(session, limits),
    touchDue: (session, now) => touchDue(session, limits, now),
  };
}
