import { type OldId, parseOldSession, type Successor, successorKnownFor } from '../model/old-session.js';
import { hashSecret, newAnonymousSessionId } from '../model/session-id.js';
import type { SessionRepository } from './session-repository.js';
import type { Adoption, SessionRuntime } from './session-runtime.js';

/**
 * Ends a session of the old stack, as its browser logs out, or in. It is written down that it has become one that does
 * not exist: so a request that carries it over at the same time opens nothing, nor does it come back when an instance of
 * the old stack writes it again.
 *
 * @returns what it has become before, or that; `undefined` where nobody knows it
 */
export async function endOldSession(
  old: OldId,
  repository: SessionRepository,
  { sessions }: Adoption,
  { clock, lifetime }: SessionRuntime,
): Promise<Successor | undefined> {
  const { budget } = repository;
  const stored = await repository.ask('adopt', sessions.find(old.id, budget));
  const known = await repository.ask('adopt', sessions.findSuccessor(old.place, budget));
  if (stored === undefined) {
    return known;
  }
  const parsed = parseOldSession(stored.text, clock.now());
  const none = { handle: newAnonymousSessionId().handle, cookie: parsed?.cookie ?? {} };
  const knownFor = successorKnownFor(parsed, stored.ttl, lifetime.absolute);
  const noting = () => sessions.noteSuccessor(old.place, none, hashSecret(old.secret), knownFor, budget);
  const isNoted = known === undefined && (await repository.ask('adopt', noting()));
  await repository.ask('adopt', sessions.remove(old.id, budget));
  return isNoted ? none : (known ?? (await repository.ask('adopt', sessions.findSuccessor(old.place, budget))));
}
