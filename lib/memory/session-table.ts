import type { Clock } from '../session/clock.js';
import type { Expiry } from '../session/lifetime-policy.js';
import { secretsOf } from '../session/rotation.js';
import type { SessionRecord } from '../session/session-record.js';
import { type Ending, ENDED_REMEMBERED_FOR, RUN_OUT_REMEMBERED_FOR } from '../session/session-store.js';

export interface Entry {
  readonly record: SessionRecord;
  readonly expiry: Expiry;
}

/** What is remembered of a session that is no more. */
export interface Tombstone {
  readonly reason: Ending | Expiry['reason'];
  /** Hashes of the secrets whose holders may know. */
  readonly secrets: readonly string[];
  readonly until: number;
}

/** After so many new sessions the ones that have run out are swept away. */
const SWEEP_EVERY = 1000;

/** The sessions, those of each user, and what is remembered of ended ones. Nothing here waits, so each call is one step. */
export class SessionTable {
  readonly #entries = new Map<string, Entry>();
  readonly #ofUser = new Map<string, Set<string>>();
  readonly #tombstones = new Map<string, Tombstone>();
  #added = 0;

  constructor(private readonly clock: Clock) {}

  get(handle: string): Entry | undefined {
    const entry = this.#entries.get(handle);
    if (entry !== undefined && entry.expiry.at <= this.clock.now()) {
      this.#forget(entry.record);
      this.#remember(entry.record, entry.expiry.reason, entry.expiry.at + RUN_OUT_REMEMBERED_FOR);
      return undefined;
    }
    return entry;
  }

  put(entry: Entry): void {
    const { handle, login } = entry.record;
    this.#entries.set(handle, entry);
    if (login !== undefined) {
      const handles = this.#ofUser.get(login.userId) ?? new Set();
      this.#ofUser.set(login.userId, handles.add(handle));
    }
    if (++this.#added % SWEEP_EVERY === 0) {
      this.sweep();
    }
  }

  /** Ends a session. False when there was none. */
  end(handle: string, ending: Ending, shown: string[] = []): boolean {
    const entry = this.get(handle);
    if (entry !== undefined) {
      this.#forget(entry.record);
      this.#remember(entry.record, ending, this.clock.now() + ENDED_REMEMBERED_FOR, shown);
    }
    return entry !== undefined;
  }

  note(handle: string, tombstone: Tombstone): void {
    this.#tombstones.set(handle, tombstone);
  }

  tombstone(handle: string): Tombstone | undefined {
    this.get(handle);
    const tombstone = this.#tombstones.get(handle);
    return tombstone !== undefined && this.clock.now() < tombstone.until ? tombstone : undefined;
  }

  /** The live sessions of a user. */
  ofUser(userId: string): Entry[] {
    return [...(this.#ofUser.get(userId) ?? [])].flatMap((handle) => this.get(handle) ?? []);
  }

  users(): string[] {
    return [...this.#ofUser.keys()];
  }

  handles(): string[] {
    this.sweep();
    return [...this.#entries.keys()];
  }

  clear(): void {
    this.#entries.clear();
    this.#ofUser.clear();
    this.#tombstones.clear();
  }

  sweep(): void {
    for (const handle of this.#entries.keys()) {
      this.get(handle);
    }
    for (const [handle, { until }] of this.#tombstones) {
      if (until <= this.clock.now()) {
        this.#tombstones.delete(handle);
      }
    }
  }

  #forget({ handle, login }: SessionRecord): void {
    this.#entries.delete(handle);
    const handles = login && this.#ofUser.get(login.userId);
    handles?.delete(handle);
    if (login !== undefined && handles?.size === 0) {
      this.#ofUser.delete(login.userId);
    }
  }

  #remember(record: SessionRecord, reason: Tombstone['reason'], until: number, shown: string[] = []): void {
    if (record.login !== undefined) {
      this.#tombstones.set(record.handle, { reason, secrets: [...secretsOf(record), ...shown], until });
    }
  }
}
