import { hashSecret, sameHash } from './session-id.js';
import type { Rotation, SessionRecord } from './session-record.js';

/** What a secret is to its session. */
export type Standing = 'current' | 'offered' | 'grace';

/** The part of a session that its secrets are in. */
type Secrets = Pick<SessionRecord, 'createdAt' | 'secretHash' | 'rotation'>;

/** So many offers may be out at a time. More than one is where an answer was lost, or is very late. */
const MOST_OFFERS = 4;

/** What this secret is to the session; `undefined` where it opens nothing (any more). */
export function standingOf(session: Secrets, secret: string, now: number): Standing | undefined {
  const hash = hashSecret(secret);
  if (sameHash(hash, session.secretHash)) {
    return 'current';
  }
  const { offers = [], grace = [] } = session.rotation ?? {};
  const good = grace.filter((old) => now < old.until);
  if (offers.some((offer) => sameHash(hash, offer))) {
    // The current one has taken over just now: this request may have been sent before the browser had it, with an
    // earlier offer, which must not take the session back from what the browser will show from now on.
    return good.length > 0 ? 'grace' : 'offered';
  }
  return good.some((old) => sameHash(hash, old.hash)) ? 'grace' : undefined;
}

/** The session with another secret on offer. */
export function offered(session: Secrets, hash: string, now: number): { rotation: Rotation } {
  const { since, offers, grace } = rotationOf(session);
  return { rotation: { since, offers: [...offers, hash].slice(-MOST_OFFERS), offeredAt: now, grace } };
}

/** The session with an offered secret as its current one, and the old one good until `until`. */
export function takenOver(
  session: Secrets,
  hash: string,
  now: number,
  until: number,
): Pick<SessionRecord, 'secretHash' | 'rotation'> {
  const { offers, grace } = rotationOf(session);
  return {
    secretHash: hash,
    rotation: {
      since: now,
      offers: offers.filter((offer) => offer !== hash),
      offeredAt: 0,
      grace: [...grace.filter((old) => now < old.until), { hash: session.secretHash, until }],
    },
  };
}

/** Hashes of all that opens the session, or did so lately. */
export function secretsOf({ secretHash, rotation }: Secrets): string[] {
  return [secretHash, ...(rotation?.offers ?? []), ...(rotation?.grace ?? []).map(({ hash }) => hash)];
}

function rotationOf({ createdAt, rotation }: Secrets): Rotation {
  return rotation ?? { since: createdAt, offers: [], offeredAt: 0, grace: [] };
}
