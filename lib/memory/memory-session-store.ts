import session, { type SessionData, type Store } from 'express-session';
import type { Clock } from '../model/clock.js';
import type { Lifetime } from '../model/lifetime.js';
import { parseData } from '../model/session-data.js';
import type { EndedSession, Ending } from '../model/session-end.js';
import type { SessionRecord } from '../model/session-record.js';
import {
  type AtomicSessionStore,
  type EndedResult,
  type FoundSession,
  isLive,
  type LogInResult,
  type NewUserSession,
  type SessionLimit,
  type UpdateResult,
} from '../store/session-store.js';
import { settle, StoreContract, type StoreCallback } from '../store/store-contract.js';
import type { TimeBudget } from '../store/time-budget.js';
import { MemorySessionIndex } from './memory-session-index.js';
import { MemoryTrustEpochs } from './memory-trust-epochs.js';
import { SessionTable } from './session-table.js';

/**
 * Sessions in this process's memory, for development and tests. It keeps the promises of the Redis store, but ends with
 * the process, and no other process sees it.
 */
export class MemorySessionStore extends session.Store implements AtomicSessionStore {
  readonly index: MemorySessionIndex;
  readonly trust: MemoryTrustEpochs;
  readonly #table: SessionTable;
  readonly #contract: StoreContract;

  constructor(clock: Clock, lifetime: Lifetime) {
    super();
    this.#table = new SessionTable(clock);
    this.#contract = new StoreContract(this, lifetime, clock);
    this.index = new MemorySessionIndex(this.#table);
    this.trust = new MemoryTrustEpochs(this.#table, clock);
  }

  find(handle: string): Promise<FoundSession | EndedSession | undefined> {
    const record = this.#table.get(handle)?.record;
    return Promise.resolve(record ? { record, values: parseData(record.data) } : this.#table.ended(handle));
  }

  insert(record: SessionRecord, expiresAt: number): Promise<void> {
    if (this.#isTaken(record.handle)) {
      return Promise.reject(handleTakenError());
    }
    this.#table.put({ record, expiresAt });
    return Promise.resolve();
  }

  logIn({ record, expiresAt, limit, replaces, continues, epoch }: NewUserSession): Promise<LogInResult> {
    if (this.#isTaken(record.handle)) {
      return Promise.reject(handleTakenError());
    }
    if (epoch !== undefined && this.#table.epochOf(record.login?.userId ?? '') !== epoch) {
      return Promise.resolve({ outcome: 'untrusted' });
    }
    const current = replaces && this.#table.get(replaces.handle)?.record;
    if (continues && current === undefined) {
      return Promise.resolve(this.#endedResult(replaces?.handle ?? ''));
    }
    if (continues && current !== undefined && current.version !== replaces?.version) {
      return Promise.resolve({ outcome: 'stale', current });
    }
    const evicted = this.#overflowing(record, limit, replaces);
    if (evicted.length > 0 && limit?.overflow === 'reject') {
      return Promise.resolve({ outcome: 'rejected' });
    }
    for (const handle of evicted) {
      this.#table.end(handle, 'limit');
    }
    const successor = continues ? record.handle : undefined;
    const replaced = replaces !== undefined && this.#table.end(replaces.handle, 'replaced', { successor });
    this.#table.put({ record, expiresAt });
    return Promise.resolve({ outcome: 'created', evicted, replaced });
  }

  update(record: SessionRecord, expiresAt: number): Promise<UpdateResult> {
    const current = this.#table.get(record.handle);
    if (current === undefined) {
      return Promise.resolve(this.#endedResult(record.handle));
    }
    if (current.record.version !== record.version - 1) {
      return Promise.resolve({ outcome: 'stale', current: current.record });
    }
    const { seenAt } = current.record;
    const wasTouched = seenAt > record.seenAt; // Meanwhile: that does not move back.
    this.#table.put({
      record: wasTouched ? { ...record, seenAt } : record,
      expiresAt: wasTouched ? Math.max(current.expiresAt, expiresAt) : expiresAt,
    });
    return Promise.resolve({ outcome: 'saved' });
  }

  extend(
    { handle, secretHash, version }: SessionRecord,
    seenAt: number,
    expiresAt: number,
  ): Promise<'ended' | 'current' | 'superseded'> {
    const current = this.#table.get(handle);
    if (current === undefined) {
      return Promise.resolve('ended');
    }
    const { record } = current;
    if (record.seenAt < seenAt) {
      const moves = record.version === version || expiresAt > current.expiresAt; // Longer limits given meanwhile stay.
      this.#table.put({ record: { ...record, seenAt }, expiresAt: moves ? expiresAt : current.expiresAt });
    }
    return Promise.resolve(record.secretHash === secretHash ? 'current' : 'superseded');
  }

  end({ handle }: SessionRecord, ending: Ending, _budget?: TimeBudget, shownHash?: string): Promise<boolean> {
    return Promise.resolve(this.#table.end(handle, ending, { shownHash }));
  }

  // express-session's contract. ------------------------------------------------------------------------------------

  override get(sid: string, callback?: StoreCallback<SessionData | null>): Promise<SessionData | null | undefined> {
    return settle(this.#contract.get(sid), callback);
  }

  override set(sid: string, data: SessionData, callback?: StoreCallback<void>): Promise<void> {
    return settle(this.#contract.set(sid, data), callback);
  }

  override touch(sid: string, _data: SessionData, callback?: StoreCallback<void>): Promise<void> {
    return settle(this.#contract.touch(sid), callback);
  }

  override destroy(sid: string, callback?: StoreCallback<void>): Promise<void> {
    return settle(this.#contract.destroy(sid), callback);
  }

  override createSession(...[request, data]: Parameters<Store['createSession']>): ReturnType<Store['createSession']> {
    return this.#contract.adopt(super.createSession(request, data), data);
  }

  override all(callback?: StoreCallback<SessionData[]>): Promise<SessionData[] | undefined> {
    return settle(this.#all(), callback);
  }

  override length(callback?: StoreCallback<number>): Promise<number | undefined> {
    return settle(Promise.resolve(this.#table.handles().length), callback);
  }

  override clear(callback?: StoreCallback<void>): Promise<void> {
    this.#table.clear();
    return settle(Promise.resolve(), callback);
  }

  /** The handles of all live sessions. */
  ids(callback?: StoreCallback<string[]>): Promise<string[] | undefined> {
    return settle(Promise.resolve(this.#table.handles()), callback);
  }

  /** The user's least recently seen sessions that are too many beside a new one. */
  #overflowing(
    { login }: SessionRecord,
    limit: SessionLimit | undefined,
    replaces: SessionRecord | undefined,
  ): string[] {
    if (limit === undefined) {
      return [];
    }
    const others = this.#table
      .ofUser(login?.userId ?? '')
      .filter((other) => other.record.handle !== replaces?.handle)
      .sort((a, b) => a.record.seenAt - b.record.seenAt);
    return others.slice(0, Math.max(0, others.length + 1 - limit.limit)).map((other) => other.record.handle);
  }

  #isTaken(handle: string): boolean {
    return this.#table.get(handle) !== undefined || this.#table.ended(handle) !== undefined;
  }

  #endedResult(handle: string): EndedResult {
    return { outcome: 'ended', ended: this.#table.ended(handle) };
  }

  async #all(): Promise<SessionData[]> {
    const found = await Promise.all(this.#table.handles().map((handle) => this.find(handle)));
    return found.filter(isLive).map((one) => ({ ...this.#contract.dataOf(one), id: one.record.handle }));
  }
}

function handleTakenError(): Error {
  return new Error('This session exists already.');
}
