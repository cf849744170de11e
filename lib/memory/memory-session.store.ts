import session, { type SessionData, type Store } from 'express-session';
import type { SignOutReason } from '../session-auth.errors.js';
import type { Clock } from '../session/clock.js';
import type { Patience } from '../session/deadline.js';
import type { Expiry, LifetimePolicy } from '../session/lifetime-policy.js';
import { hashSecret, sameHash, type SessionId } from '../session/session-id.js';
import type { SessionRecord } from '../session/session-record.js';
import {
  type AtomicSessionStore,
  type Ending,
  type FoundSession,
  type LogInOutcome,
  type NewUserSession,
  REPLACED_REMEMBERED_FOR,
  type SaveOutcome,
  type SessionLimit,
} from '../session/session-store.js';
import { answer, StoreContract, type StoreCallback } from '../session/store-contract.js';
import { MemorySessionIndex } from './memory-session.index.js';
import { SessionTable } from './session-table.js';

/**
 * Sessions in this process's memory, for development and tests. Keeps the promises that the Redis store keeps, but ends
 * with the process and is shared with none.
 */
export class MemorySessionStore extends session.Store implements AtomicSessionStore {
  readonly index: MemorySessionIndex;
  readonly #table: SessionTable;
  readonly #contract: StoreContract;

  constructor(
    private readonly clock: Clock,
    lifetime: LifetimePolicy,
  ) {
    super();
    this.#table = new SessionTable(clock);
    this.#contract = new StoreContract(this, lifetime, clock);
    this.index = new MemorySessionIndex(this.#table);
  }

  find(handle: string): Promise<FoundSession | undefined> {
    const record = this.#table.get(handle)?.record;
    return Promise.resolve(record && { record, values: JSON.parse(record.data) as Record<string, unknown> });
  }

  insert(record: SessionRecord, expiry: Expiry): Promise<void> {
    if (this.#table.get(record.handle) !== undefined) {
      return Promise.reject(taken());
    }
    this.#table.put({ record, expiry });
    return Promise.resolve();
  }

  logIn({ record, expiry, limit, replaces, continues }: NewUserSession): Promise<LogInOutcome> {
    if (this.#table.get(record.handle) !== undefined) {
      return Promise.reject(taken());
    }
    const current = replaces && this.#table.get(replaces.handle)?.record;
    if (continues && current === undefined) {
      return Promise.resolve({ outcome: this.#howEnded(replaces?.handle ?? '') });
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
    const replaced = replaces !== undefined && this.#table.end(replaces.handle, 'replaced');
    this.#table.put({ record, expiry });
    return Promise.resolve({ outcome: 'created', evicted, replaced });
  }

  update(record: SessionRecord, expiry: Expiry): Promise<SaveOutcome> {
    const current = this.#table.get(record.handle);
    if (current === undefined) {
      return Promise.resolve({ outcome: this.#howEnded(record.handle) });
    }
    if (current.record.version !== record.version - 1) {
      return Promise.resolve({ outcome: 'stale', current: current.record });
    }
    const { seenAt } = current.record;
    const moved = seenAt > record.seenAt; // By a touch meanwhile: that is not moved back.
    this.#table.put({
      record: moved ? { ...record, seenAt } : record,
      expiry: moved && current.expiry.at > expiry.at ? current.expiry : expiry,
    });
    return Promise.resolve({ outcome: 'saved' });
  }

  extend(
    { handle, secretHash, version }: SessionRecord,
    seenAt: number,
    expiry: Expiry,
  ): Promise<'gone' | 'current' | 'superseded'> {
    const current = this.#table.get(handle);
    if (current === undefined) {
      return Promise.resolve('gone');
    }
    const { record } = current;
    if (record.seenAt < seenAt) {
      const moves = record.version === version || expiry.at > current.expiry.at; // Longer limits given meanwhile stay.
      this.#table.put({ record: { ...record, seenAt }, expiry: moves ? expiry : current.expiry });
    }
    return Promise.resolve(record.secretHash === secretHash ? 'current' : 'superseded');
  }

  end({ handle, login }: SessionRecord, ending: Ending, _patience?: Patience, shown?: string): Promise<boolean> {
    const ended = this.#table.end(handle, ending, shown === undefined ? [] : [shown]);
    if (login === undefined && ending === 'replaced') {
      this.#table.note(handle, { reason: ending, secrets: [], until: this.clock.now() + REPLACED_REMEMBERED_FOR });
    }
    return Promise.resolve(ended);
  }

  whyEnded({ handle, secret }: SessionId): Promise<SignOutReason | undefined> {
    const { reason, secrets = [] } = this.#table.tombstone(handle) ?? {};
    const shown = hashSecret(secret);
    if (!secrets.some((hash) => sameHash(shown, hash))) {
      return Promise.resolve(undefined);
    }
    return Promise.resolve(reason === 'replaced' ? 'logged_out' : reason);
  }

  // express-session's contract. ------------------------------------------------------------------------------------

  override get(sid: string, callback?: StoreCallback<SessionData | null>): Promise<SessionData | null | undefined> {
    return answer(this.#contract.get(sid), callback);
  }

  override set(sid: string, data: SessionData, callback?: StoreCallback<void>): Promise<void> {
    return answer(this.#contract.set(sid, data), callback);
  }

  override touch(sid: string, _data: SessionData, callback?: StoreCallback<void>): Promise<void> {
    return answer(this.#contract.touch(sid), callback);
  }

  override destroy(sid: string, callback?: StoreCallback<void>): Promise<void> {
    return answer(this.#contract.destroy(sid), callback);
  }

  override createSession(...[request, data]: Parameters<Store['createSession']>): ReturnType<Store['createSession']> {
    return this.#contract.adopt(super.createSession(request, data), data);
  }

  override all(callback?: StoreCallback<SessionData[]>): Promise<SessionData[] | undefined> {
    return answer(this.#all(), callback);
  }

  override length(callback?: StoreCallback<number>): Promise<number | undefined> {
    return answer(Promise.resolve(this.#table.handles().length), callback);
  }

  override clear(callback?: StoreCallback<void>): Promise<void> {
    this.#table.clear();
    return answer(Promise.resolve(), callback);
  }

  /** The handles of all live sessions. */
  ids(callback?: StoreCallback<string[]>): Promise<string[] | undefined> {
    return answer(Promise.resolve(this.#table.handles()), callback);
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

  #howEnded(handle: string): 'gone' | 'replaced' {
    return this.#table.tombstone(handle)?.reason === 'replaced' ? 'replaced' : 'gone';
  }

  async #all(): Promise<SessionData[]> {
    const found = await Promise.all(this.#table.handles().map((handle) => this.find(handle)));
    return found.flatMap((one) => (one ? { ...this.#contract.dataOf(one), id: one.record.handle } : []));
  }
}

function taken(): Error {
  return new Error('This session exists already.');
}
