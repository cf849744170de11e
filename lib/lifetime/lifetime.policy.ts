import type { ResolvedSessionAuthOptions } from '../session-auth.options.js';
import type { Expiry, LifetimePolicy, Lived } from '../session/lifetime-policy.js';
import type { SessionRecord } from '../session/session-record.js';

type Limits = ResolvedSessionAuthOptions['lifetime'];

/**
 * A session ends at the earlier of its idle and its absolute limit (NIST SP 800-63B-4, section 5.2). In whole milliseconds,
 * as all times that are stored: a limit may be a fraction, an application's `cookie.maxAge` too.
 */
export function expiresAt(session: Lived, limits: Limits): number {
  return Math.min(absoluteEnd(session, limits), Math.ceil(session.seenAt + (session.idle ?? limits.idle)));
}

/** When a session ends, and of which limit. */
function expiryOf(session: Lived, limits: Limits): Expiry {
  const at = expiresAt(session, limits);
  return { at, reason: at === absoluteEnd(session, limits) ? 'absolute_timeout' : 'idle_timeout' };
}

function absoluteEnd({ createdAt, absolute }: Lived, limits: Limits): number {
  return Math.ceil(createdAt + (absolute ?? limits.absolute));
}

/** Activity is written down every `touchEvery`; oftener where the session has a short idle limit of its own. */
function touchDue(session: Lived, limits: Limits, now: number): boolean {
  return now - session.seenAt >= Math.min(limits.touchEvery, (session.idle ?? Infinity) / 10);
}

/** A new secret is offered every `rotateEvery`; while the browser does not take it up, another one after the grace. */
function offerDue(
  { createdAt, rotation }: Pick<SessionRecord, 'createdAt' | 'rotation'>,
  { rotateEvery, rotationGrace }: Limits,
  now: number,
): boolean {
  return now - (rotation?.since ?? createdAt) >= rotateEvery && now - (rotation?.offeredAt ?? 0) >= rotationGrace;
}

/** The policy that the options set. */
export function lifetimePolicy(limits: Limits): LifetimePolicy {
  return {
    idle: limits.idle,
    rotationGrace: limits.rotationGrace,
    expiresAt: (session) => expiresAt(session, limits),
    expiryOf: (session) => expiryOf(session, limits),
    touchDue: (session, now) => touchDue(session, limits, now),
    offerDue: (session, now) => offerDue(session, limits, now),
  };
}
