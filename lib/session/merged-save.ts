import { setTimeout } from 'node:timers/promises';
import { SessionConflictException } from '../session-auth.errors.js';
import { applyChanges, changesBetween, type SessionRecord } from './session-record.js';
import type { SaveOutcome } from './session-store.js';

/** How often a save that met a newer version merges and tries again before it gives up, after about half a second. */
export const MOST_ATTEMPTS = 40;

/** A save: of what, over what, and by what step of the store. */
interface Save {
  /** What the store held when the session was loaded, or last written by this request. */
  readonly loaded: SessionRecord;
  /** The data as the saver last saw it, where that is not what the store held. */
  readonly before?: string;
  /** What it is to hold: the data, and of the rest what this changes of the version that is replaced. */
  readonly data: string;
  readonly change: (current: SessionRecord) => Partial<SessionRecord>;
  readonly update: (record: SessionRecord) => Promise<SaveOutcome>;
}

/**
 * Saves over the version that was loaded. Over a newer one, only the top-level keys that this request changed are laid
 * over what stands there, and it is tried again.
 *
 * @returns what the store holds now, or how the session ended meanwhile
 * @throws SessionConflictException (503) when others kept being faster: never a silent loss
 */
export async function saveMerged({
  loaded,
  before = loaded.data,
  data,
  change,
  update,
}: Save): Promise<SessionRecord | 'gone' | 'replaced'> {
  let current = loaded;
  let next = before === loaded.data ? data : applyChanges(loaded.data, changesBetween(before, data));
  for (let attempt = 0; attempt < MOST_ATTEMPTS; attempt++) {
    const record: SessionRecord = { ...current, ...change(current), version: current.version + 1, data: next };
    const saved = await update(record);
    if (saved.outcome === 'saved') {
      return record;
    }
    if (saved.outcome !== 'stale') {
      return saved.outcome;
    }
    current = saved.current;
    next = applyChanges(current.data, changesBetween(before, data));
    await randomPause(attempt);
  }
  throw new SessionConflictException();
}

/** Parallel saves of one session get out of each other's way: the later the attempt, the farther. */
async function randomPause(attempt: number): Promise<void> {
  if (attempt > 1) {
    await setTimeout(Math.random() * attempt);
  }
}
