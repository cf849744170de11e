import type { ResolvedSessionAuthOptions } from '../session-auth.options.js';
import { ENDED_REMEMBERED_FOR } from './session-end.js';
import type { SessionRecord } from './session-record.js';

/** The option `lifetime` with every default filled in, in milliseconds. */
export type Lifetime = ResolvedSessionAuthOptions['lifetime'];

/** How long a login may miss a step, in milliseconds. Activity does not postpone that. */
export const PENDING_FOR = 600_000;

/** The part of a session that its end depends on. */
export type Lived = Pick<SessionRecord, 'createdAt' | 'seenAt' | 'remember' | 'maxAge' | 'login' | 'pending'>;

/**
 * When a session expires: at the earlier of its idle and its absolute limit (NIST SP 800-63B-4, section 5.2). In whole
 * milliseconds, as all times that are stored: a limit may be a fraction.
 */
export function expiresAt(session: Lived, lifetime: Lifetime): number {
  return Math.min(absoluteEnd(session, lifetime), Math.ceil(session.seenAt + idleLimit(session, lifetime)));
}

/** How long a session may go unused, in milliseconds. */
export function idleLimit({ remember, maxAge }: Lived, { idle }: Lifetime): number {
  return maxAge ?? remember ?? idle;
}

/**
 * When the browser drops the cookie; `null` for when it closes. The cookie of a login outlives the session by as long
 * as the store remembers how that ended, so that the browser can still be told. It follows from no activity: a response
 * that sets no cookie cannot put an old one over a new one.
 */
export function cookieExpiresAt(session: Lived, lifetime: Lifetime, now: number): number | null {
  if (session.maxAge !== undefined) {
    return session.maxAge === null ? null : now + session.maxAge;
  }
  return absoluteEnd(session, lifetime) + (session.login === undefined ? 0 : ENDED_REMEMBERED_FOR);
}

/**
 * Whether activity is to be written down: every `touchEvery`, or more often where the session has a short limit of its
 * own.
 */
export function isTouchDue(session: Lived, lifetime: Lifetime, now: number): boolean {
  const ownLimit = session.maxAge ?? session.remember ?? Infinity;
  return now - session.seenAt >= Math.min(lifetime.touchEvery, ownLimit / 10);
}

/**
 * Whether the next secret is to be offered: the current one has been in use for `rotateEvery`. Not while the secret
 * before it is in its grace: a late response could otherwise leave a browser with a secret that is two promotions old.
 */
export function isRotationDue(
  { createdAt, rotation }: Pick<SessionRecord, 'createdAt' | 'rotation'>,
  { rotateEvery }: Lifetime,
  now: number,
): boolean {
  const { since = createdAt, grace = [] } = rotation ?? {};
  return now - since >= rotateEvery && !grace.some(({ until }) => now < until);
}

function absoluteEnd({ createdAt, remember, pending }: Lived, { absolute }: Lifetime): number {
  return Math.ceil(createdAt + Math.min(remember ?? absolute, pending === undefined ? Infinity : PENDING_FOR));
}
