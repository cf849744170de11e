import { createHmac } from 'node:crypto';
import { hashSecret, sameHash } from './session-id.js';
import type { Rotation, SessionRecord } from './session-record.js';

/** What a secret is to its session. */
export type SecretStatus = 'current' | 'pending' | 'grace';

/** The part of a session that its secrets are in. */
type Secrets = Pick<SessionRecord, 'createdAt' | 'secretHash' | 'rotation'>;

/** Keys of the application's own, for deriving the next secret from the current one. */
export type RotationKeys = readonly [Buffer, ...Buffer[]];

/** One key for each of the option `secret`'s values, in their order. */
export function rotationKeys([first, ...others]: readonly [string, ...string[]]): RotationKeys {
  return [rotationKey(first), ...others.map(rotationKey)];
}

function rotationKey(secret: string): Buffer {
  return createHmac('sha256', secret).update('nestjs-session-auth rotation').digest();
}

/** The status of a secret; `undefined` when it opens nothing (any more). */
export function secretStatus(session: Secrets, secret: string, now: number): SecretStatus | undefined {
  const hash = hashSecret(secret);
  if (sameHash(hash, session.secretHash)) {
    return 'current';
  }
  const { pending, grace = [] } = session.rotation ?? {};
  if (pending !== undefined && sameHash(hash, pending)) {
    return 'pending';
  }
  return grace.some((former) => now < former.until && sameHash(hash, former.hash)) ? 'grace' : undefined;
}

/** The next secret of a session, for the holder of the current one. */
export interface Offer {
  readonly secret: string;
  /** What has to be stored before the secret is given out; `undefined` where that has been done. */
  readonly change: { readonly rotation: Rotation } | undefined;
}

/**
 * The secret to offer to the holder of the current one: the pending one, if a key still derives it, else a new one.
 *
 * @param keys the first one derives new offers; the others find offers that were made before the option `secret`
 * changed
 */
export function nextSecret({ createdAt, rotation }: Secrets, current: string, keys: RotationKeys): Offer {
  const pending = rotation?.pending;
  if (pending !== undefined) {
    const offered = keys.map((key) => derive(key, current)).find((secret) => sameHash(hashSecret(secret), pending));
    if (offered !== undefined) {
      return { secret: offered, change: undefined };
    }
  }
  const secret = derive(keys[0], current);
  return { secret, change: { rotation: { since: createdAt, grace: [], ...rotation, pending: hashSecret(secret) } } };
}

function derive(key: Buffer, current: string): string {
  return createHmac('sha256', key).update(current).digest('base64url');
}

/** The session with its pending secret as the current one, and the former current one good until `graceUntil`. */
export function promoted(
  { secretHash, rotation }: Secrets,
  pending: string,
  now: number,
  graceUntil: number,
): Pick<SessionRecord, 'secretHash' | 'rotation'> {
  const grace = (rotation?.grace ?? []).filter(({ until }) => now < until);
  return {
    secretHash: pending,
    rotation: { since: now, grace: [...grace, { hash: secretHash, until: graceUntil }] },
  };
}

/** Hashes of all secrets that open the session, or did so lately. */
export function secretHashesOf({ secretHash, rotation }: Pick<Secrets, 'secretHash' | 'rotation'>): string[] {
  const { pending, grace = [] } = rotation ?? {};
  return [secretHash, ...(pending === undefined ? [] : [pending]), ...grace.map(({ hash }) => hash)];
}
