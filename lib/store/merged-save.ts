import { setTimeout } from 'node:timers/promises';
import { applyChanges, changesBetween } from '../model/session-data.js';
import type { SessionRecord } from '../model/session-record.js';
import { SessionConflictException } from '../session-auth.errors.js';
import type { EndedResult, LogInResult, UpdateResult } from './session-store.js';

/** How often a change that met a newer version is tried again before it gives up, after about half a second. */
export const MOST_ATTEMPTS = 40;

/** What a save gave: the record that the store holds now, or the end of the session. */
export type SaveResult = { readonly outcome: 'saved'; readonly record: SessionRecord } | EndedResult;

interface Save {
  /** The version that was loaded, or last written by this request. */
  readonly loaded: SessionRecord;
  /** The data as the caller last saw it, where that differs from the loaded version's. */
  readonly before?: string;
  /** The data to save. */
  readonly data: string;
  /** What else to change in the version that is replaced. */
  readonly change: (current: SessionRecord) => Partial<SessionRecord>;
  /** The store's step. */
  readonly update: (record: SessionRecord) => Promise<UpdateResult>;
}

/**
 * Saves data over the version that was loaded. If the store holds a newer version by then, only the top-level keys that
 * the caller changed are laid over that one, and the save is tried again.
 *
 * @throws SessionConflictException (503) when others kept being faster: a change is never lost silently
 */
export async function saveMerged({ loaded, before = loaded.data, data, change, update }: Save): Promise<SaveResult> {
  let current = loaded;
  let next = before === loaded.data ? data : applyChanges(loaded.data, changesBetween(before, data));
  for (let attempt = 0; attempt < MOST_ATTEMPTS; attempt++) {
    const record: SessionRecord = { ...current, ...change(current), version: current.version + 1, data: next };
    const result = await update(record);
    if (result.outcome === 'saved') {
      return { outcome: 'saved', record };
    }
    if (result.outcome === 'ended') {
      return result;
    }
    current = result.current;
    next = applyChanges(current.data, changesBetween(before, data));
    await randomPause(attempt);
  }
  throw new SessionConflictException();
}

/** What to change in this version of a session; `undefined` to change nothing. */
export type Amendment = (current: SessionRecord) => Partial<SessionRecord> | undefined;

/** The result of an {@link Amendment}: the version in the store after it, or the end of the session. */
export type AmendResult = { readonly outcome: 'saved' | 'unchanged'; readonly record: SessionRecord } | EndedResult;

/**
 * Changes what is stored beside the data, over whichever version the store has.
 *
 * @throws SessionConflictException (503) when others kept being faster
 */
export async function amendRecord(
  loaded: SessionRecord,
  amendment: Amendment,
  update: (record: SessionRecord) => Promise<UpdateResult>,
): Promise<AmendResult> {
  let current = loaded;
  for (let attempt = 0; attempt < MOST_ATTEMPTS; attempt++) {
    const change = amendment(current);
    if (change === undefined) {
      return { outcome: 'unchanged', record: current };
    }
    const record = { ...current, ...change, version: current.version + 1 };
    const result = await update(record);
    if (result.outcome !== 'stale') {
      return result.outcome === 'saved' ? { outcome: 'saved', record } : result;
    }
    current = result.current;
  }
  throw new SessionConflictException();
}

interface Renewal {
  /** The version that was loaded, or last written by this request. */
  readonly loaded: SessionRecord;
  /** The data to go on with. */
  readonly data: string;
  /** The session under its new id, in place of this version. */
  readonly next: (data: string, replaces: SessionRecord) => SessionRecord;
  /** The store's step. */
  readonly renew: (
    record: SessionRecord,
    replaces: SessionRecord,
  ) => Promise<Exclude<LogInResult, { outcome: 'rejected' }>>;
}

/**
 * Has a session go on under another id, with its data merged as {@link saveMerged} does it.
 *
 * @throws SessionConflictException (503) when others kept being faster
 */
export async function renewMerged({ loaded, data, next, renew }: Renewal): Promise<SaveResult> {
  let replaces = loaded;
  let record = next(data, replaces);
  for (let attempt = 0; attempt < MOST_ATTEMPTS; attempt++) {
    const result = await renew(record, replaces);
    if (result.outcome !== 'stale') {
      return result.outcome === 'created' ? { outcome: 'saved', record } : result;
    }
    replaces = result.current;
    record = next(applyChanges(replaces.data, changesBetween(loaded.data, data)), replaces);
  }
  throw new SessionConflictException();
}

/** Keeps parallel saves of one session apart: the later the attempt, the longer the pause may be. */
async function randomPause(attempt: number): Promise<void> {
  if (attempt > 1) {
    await setTimeout(Math.random() * attempt);
  }
}
