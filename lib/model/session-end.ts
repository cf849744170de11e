import type { SignOutReason } from '../session-auth.errors.js';
import { hashSecret, isUserHandle, sameHash, type SessionId } from './session-id.js';
import { secretHashesOf } from './rotation.js';
import type { SessionRecord } from './session-record.js';

/** Why a session was ended. One that expires is not ended by anybody. */
export type EndReason = Exclude<SignOutReason, 'expired'>;

/** How a session is ended: for a reason, or because a login of the same browser replaces it. */
export type Ending = EndReason | 'replaced';

/** What a store still knows of a session that was ended. */
export interface EndedSession {
  readonly reason: EndReason;
  /** A login of the same browser replaced the session: that browser has a newer cookie by now. */
  readonly replaced: boolean;
  /** Hashes of the secrets whose holders may learn the reason. */
  readonly secretHashes: readonly string[];
  /** Nobody was logged in on the session: its login was pending. */
  readonly wasPending?: true;
  /** The handle under which the session goes on, where a step-up or the last step of a login ended this one. */
  readonly successor?: string;
}

/** What else remains of a session, beside what its record tells. */
export interface EndDetails {
  /** Hash of a secret that was not of the session and whose holder may learn the reason. */
  readonly shownHash?: string | undefined;
  readonly wasPending?: boolean | undefined;
  readonly successor?: string | undefined;
}

/** How long a store remembers why a user's session was ended: 24 h, in milliseconds. */
export const ENDED_REMEMBERED_FOR = 24 * 3_600_000;
/**
 * How long it remembers that a login replaced an anonymous session, and how a pending login ended: longer than requests
 * run. In milliseconds.
 */
export const REPLACED_REMEMBERED_FOR = 60_000;

/** How long a store remembers the end of this session, in milliseconds; 0 for not at all. */
export function rememberedFor({ login, pending }: Pick<SessionRecord, 'login' | 'pending'>, ending: Ending): number {
  if (login !== undefined) {
    return ENDED_REMEMBERED_FOR;
  }
  return ending === 'replaced' || pending !== undefined ? REPLACED_REMEMBERED_FOR : 0;
}

/** What remains of a session when it is ended. */
export function endedSession(
  record: Pick<SessionRecord, 'secretHash' | 'rotation'>,
  ending: Ending,
  { shownHash, wasPending, successor }: EndDetails = {},
): EndedSession {
  return {
    reason: ending === 'replaced' ? 'logged_out' : ending,
    replaced: ending === 'replaced',
    secretHashes: [...secretHashesOf(record), ...(shownHash === undefined ? [] : [shownHash])],
    ...(wasPending === true && { wasPending }),
    ...(successor !== undefined && { successor }),
  };
}

/** Whether it is so short since the session ended that its browser may have a newer cookie which this one must not replace. */
export function isJustReplaced(handle: string, { replaced, wasPending }: EndedSession): boolean {
  return replaced && (wasPending === true || !isUserHandle(handle));
}

/** Whether a secret is one of those whose holders may learn of the session's end. */
export function wasOpenedBy({ secretHashes }: EndedSession, secret: string): boolean {
  const shown = hashSecret(secret);
  return secretHashes.some((hash) => sameHash(hash, shown));
}

/**
 * What the holder of this id is told about a session that is not live any more.
 *
 * @param ended what the store still knows of it; `undefined` when that is nothing, as after its expiry
 * @returns `undefined` for an anonymous session, for one that goes on under another id, and for who
 * shows a secret that the session never had
 */
export function signOutReason(
  { handle, secret }: SessionId,
  ended: EndedSession | undefined,
): SignOutReason | undefined {
  if (!isUserHandle(handle)) {
    return undefined;
  }
  if (ended === undefined) {
    return 'expired';
  }
  return ended.successor === undefined && wasOpenedBy(ended, secret) ? ended.reason : undefined;
}
