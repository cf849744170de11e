import type { SignOutReason } from '../session-auth.errors.js';
import type { Expiry } from '../session/lifetime-policy.js';
import { secretsOf } from '../session/rotation.js';
import { hashSecret, sameHash } from '../session/session-id.js';
import type { SessionRecord } from '../session/session-record.js';

/** Width of a tombstone's reason: the scripts write it in place. */
export const REASON_WIDTH = 'credentials_changed'.length;

/**
 * What is left of a user's session, beside it while it lives and in its place afterwards:
 *
 *     1767225600000 idle_timeout        <hash of a secret> <hash of another> ...
 *
 * It says why the session ended, or of which limit it will run out at that time, for Redis tells nobody when it expires a
 * key. The scripts change what stands before the hashes.
 */
export function tombstoneOf(record: SessionRecord, { reason, at }: Expiry): string {
  return [at, reason.padEnd(REASON_WIDTH), ...secretsOf(record).map(shortHash)].join(' ');
}

/** What a hash is abbreviated to: 132 bits are enough to tell the holder of a secret that opens nothing any more. */
export function shortHash(hash: string): string {
  return hash.slice(0, 22);
}

/** Why the session ended, for the holder of one of its secrets. */
export function readTombstone(text: unknown, secret: string, now: number): SignOutReason | undefined {
  const [at, reason, ...hashes] = typeof text === 'string' ? text.split(/ +/) : [];
  const shown = shortHash(hashSecret(secret));
  if (reason === undefined || now < Number(at) || !hashes.some((hash) => sameHash(shown, hash))) {
    return undefined;
  }
  return reason === 'replaced' ? 'logged_out' : (reason as SignOutReason);
}
