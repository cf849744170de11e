import { setTimeout as pause } from 'node:timers/promises';
import { applyChanges, changesBetween } from '../model/session-data.js';
import type { SessionRecord } from '../model/session-record.js';
import { SessionConflictException } from '../session-auth.errors.js';
import type { EndedResult, LogInResult, UpdateResult } from './session-store.js';
import type { SerialQueues } from './serial-queues.js';

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
  readonly queues: SerialQueues;
}

/**
 * Saves data over the version that was loaded. If the store holds a newer version by then, only the top-level keys that
 * the caller changed are laid over that one, and the save is tried again.
 *
 * @throws SessionConflictException (503) when others kept being faster: a change is never lost silently
 */
export function saveMerged(save: Save): Promise<SaveResult> {
  const { loaded, before = loaded.data, data, change, update, queues } = save;
  let current = loaded;
  let next = before === loaded.data ? data : applyChanges(loaded.data, changesBetween(before, data));
  return untilCurrent(loaded, queues, async () => {
    const record: SessionRecord = { ...current, ...change(current), version: current.version + 1, data: next };
    const result = await update(record);
    if (result.outcome !== 'stale') {
      return result.outcome === 'saved' ? { outcome: 'saved', record } : result;
    }
    current = result.current;
    next = applyChanges(current.data, changesBetween(before, data));
    return undefined;
  });
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
export function amendRecord(
  loaded: SessionRecord,
  amendment: Amendment,
  { update, queues }: Pick<Save, 'update' | 'queues'>,
): Promise<AmendResult> {
  let current = loaded;
  return untilCurrent(loaded, queues, async () => {
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
    return undefined;
  });
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
  ) => Promise<Exclude<LogInResult, { outcome: 'rejected' | 'untrusted' }>>;
  readonly queues: SerialQueues;
}

/**
 * Has a session go on under another id, with its data merged as {@link saveMerged} does it.
 *
 * @throws SessionConflictException (503) when others kept being faster
 */
export function renewMerged({ loaded, data, next, renew, queues }: Renewal): Promise<SaveResult> {
  let replaces = loaded;
  let record = next(data, replaces);
  return untilCurrent(loaded, queues, async () => {
    const result = await renew(record, replaces);
    if (result.outcome !== 'stale') {
      return result.outcome === 'created' ? { outcome: 'saved', record } : result;
    }
    replaces = result.current;
    record = next(applyChanges(replaces.data, changesBetween(loaded.data, data)), replaces);
    return undefined;
  });
}

/**
 * Makes the attempt until it has a result. Where other requests of this process compete for the session, it waits in
 * their queue. Between processes, pauses spread the attempts: the later the attempt, the longer the pause may be.
 */
async function untilCurrent<Result>(
  { handle }: SessionRecord,
  queues: SerialQueues,
  attempt: () => Promise<Result | undefined>,
): Promise<Result> {
  const retry = async (): Promise<Result> => {
    for (let retries = 1; retries < MOST_ATTEMPTS; retries++) {
      const result = await attempt();
      if (result !== undefined) {
        return result;
      }
      await pause(Math.random() * retries);
    }
    throw new SessionConflictException();
  };
  const result = queues.isBusy(handle) ? undefined : await attempt();
  return result ?? queues.run(handle, retry);
}
