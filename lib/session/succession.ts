import type { EndedSession } from '../model/session-end.js';
import type { SessionRecord } from '../model/session-record.js';
import { MOST_ATTEMPTS } from '../store/merged-save.js';
import { type FoundSession, isLive } from '../store/session-store.js';

/** Looks sessions up: a repository. */
interface Finder {
  find(handle: string): Promise<FoundSession | EndedSession | undefined>;
}

/**
 * The live session that is meant by a handle which somebody has learnt before: a step-up gives the session another one.
 * One command where the session was not stepped up.
 */
export async function findLatest(sessions: Finder, handle: string): Promise<FoundSession | undefined> {
  let found = await sessions.find(handle);
  for (let step = 0; step < MOST_ATTEMPTS && found !== undefined && !isLive(found); step++) {
    found = found.successor === undefined ? undefined : await sessions.find(found.successor);
  }
  return isLive(found) ? found : undefined;
}

/**
 * Runs a step on a session. If it comes too late because a step-up has given the session another id, it is run again on
 * that one. No further command where the step is in time.
 *
 * @param step returns false where it found no live session
 * @returns false when the session has ended
 */
export async function onLatest(
  sessions: Finder,
  record: SessionRecord,
  step: (latest: SessionRecord) => Promise<boolean>,
): Promise<boolean> {
  let latest: SessionRecord | undefined = record;
  for (let attempt = 0; attempt < MOST_ATTEMPTS && latest !== undefined; attempt++) {
    if (await step(latest)) {
      return true;
    }
    latest = (await findLatest(sessions, latest.handle))?.record;
  }
  return false;
}
