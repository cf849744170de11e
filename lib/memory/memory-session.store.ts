import session, { type SessionData, type Store } from 'express-session';
import type { Clock } from '../session/clock.js';
import type { SessionRecord } from '../session/session-record.js';
import {
  type AtomicSessionStore,
  type FoundSession,
  REPLACED_FOR,
  type SaveOutcome,
} from '../session/session-store.js';
import type { LifetimePolicy } from '../session/lifetime-policy.js';
import { answer, StoreContract, type StoreCallback } from '../session/store-contract.js';

interface Entry {
  readonly record: SessionRecord;
  readonly expiresAt: number;
}

/** After so many new sessions the ones that have run out are swept away. */
const SWEEP_EVERY = 1000;

/**
 * Sessions in this process's memory, for development and tests. Keeps the promises that the Redis store keeps, but ends
 * with the process and is shared with none.
 */
export class MemorySessionStore extends session.Store implements AtomicSessionStore {
  readonly #entries = new Map<string, Entry>();
  /** Until when it is remembered that a session was replaced. */
  readonly #replaced = new Map<string, number>();
  readonly #contract: StoreContract;
  #inserted = 0;

  constructor(
    private readonly clock: Clock,
    lifetime: LifetimePolicy,
  ) {
    super();
    this.#contract = new StoreContract(this, lifetime, clock);
  }

  find(handle: string): Promise<FoundSession | undefined> {
    const record = this.#live(handle)?.record;
    return Promise.resolve(record && { record, values: JSON.parse(record.data) as Record<string, unknown> });
  }

  insert(record: SessionRecord, expiresAt: number): Promise<void> {
    if (this.#live(record.handle) !== undefined) {
      return Promise.reject(new Error('This session exists already.'));
    }
    this.#entries.set(record.handle, { record, expiresAt });
    if (++this.#inserted % SWEEP_EVERY === 0) {
      this.#sweep();
    }
    return Promise.resolve();
  }

  update(record: SessionRecord, expiresAt: number): Promise<SaveOutcome> {
    const current = this.#live(record.handle);
    if (current === undefined) {
      return Promise.resolve({ outcome: this.#replaced.has(record.handle) ? 'replaced' : 'gone' });
    }
    if (current.record.version !== record.version - 1) {
      return Promise.resolve({ outcome: 'stale', current: current.record });
    }
    const { seenAt } = current.record;
    const moved = seenAt > record.seenAt; // By a touch meanwhile: that is not moved back.
    this.#entries.set(record.handle, {
      record: moved ? { ...record, seenAt } : record,
      expiresAt: moved ? Math.max(expiresAt, current.expiresAt) : expiresAt,
    });
    return Promise.resolve({ outcome: 'saved' });
  }

  extend({ handle }: SessionRecord, seenAt: number, expiresAt: number): Promise<boolean> {
    const current = this.#live(handle)?.record;
    if (current !== undefined && current.seenAt < seenAt) {
      this.#entries.set(handle, { record: { ...current, seenAt }, expiresAt });
    }
    return Promise.resolve(current !== undefined);
  }

  remove(handle: string): Promise<boolean> {
    return Promise.resolve(this.#live(handle) !== undefined && this.#entries.delete(handle));
  }

  async replace(handle: string): Promise<boolean> {
    this.#replaced.set(handle, this.clock.now() + REPLACED_FOR);
    return this.remove(handle);
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
    this.#sweep();
    return answer(Promise.resolve(this.#entries.size), callback);
  }

  override clear(callback?: StoreCallback<void>): Promise<void> {
    this.#entries.clear();
    this.#replaced.clear();
    return answer(Promise.resolve(), callback);
  }

  /** The handles of all live sessions. */
  ids(callback?: StoreCallback<string[]>): Promise<string[] | undefined> {
    this.#sweep();
    return answer(Promise.resolve([...this.#entries.keys()]), callback);
  }

  async #all(): Promise<SessionData[]> {
    this.#sweep();
    const found = await Promise.all([...this.#entries.keys()].map((handle) => this.find(handle)));
    return found.flatMap((one) => (one ? { ...this.#contract.dataOf(one), id: one.record.handle } : []));
  }

  #live(handle: string): Entry | undefined {
    const entry = this.#entries.get(handle);
    if (entry !== undefined && entry.expiresAt <= this.clock.now()) {
      this.#entries.delete(handle);
      return undefined;
    }
    return entry;
  }

  #sweep(): void {
    for (const handle of this.#entries.keys()) {
      this.#live(handle);
    }
    for (const [handle, until] of this.#replaced) {
      if (until <= this.clock.now()) {
        this.#replaced.delete(handle);
      }
    }
  }
}
