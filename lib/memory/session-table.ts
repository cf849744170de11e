import type { Clock } from '../model/clock.js';
import { type EndDetails, type EndedSession, type Ending, endedSession, rememberedFor } from '../model/session-end.js';
import type { SessionRecord } from '../model/session-record.js';

/** A live session. */
export interface Entry {
  readonly record: SessionRecord;
  readonly expiresAt: number;
}

/** What remains of a session that was ended. */
interface Remains {
  readonly ended: EndedSession;
  readonly until: number;
}

/** A user's trust epoch. */
interface Trust {
  readonly epoch: string;
  readonly until: number;
}

/** After so many new sessions, expired ones are removed. */
const SWEEP_EVERY = 1000;

/**
 * The sessions, those of each user, what remains of ended ones, and the users' trust epochs. No method waits, so each call is one atomic step.
 */
export class SessionTable {
  readonly #entries = new Map<string, Entry>();
  readonly #ofUser = new Map<string, Set<string>>();
  readonly #remains = new Map<string, Remains>();
  readonly #trust = new Map<string, Trust>();
  #added = 0;

  constructor(private readonly clock: Clock) {}

  /** The live session of this handle. */
  get(handle: string): Entry | undefined {
    const entry = this.#entries.get(handle);
    if (entry !== undefined && entry.expiresAt <= this.clock.now()) {
      this.#forget(entry.record);
      return undefined;
    }
    return entry;
  }

  /** What remains of the session of this handle. */
  ended(handle: string): EndedSession | undefined {
    const remains = this.#remains.get(handle);
    return remains !== undefined && this.clock.now() < remains.until ? remains.ended : undefined;
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

  /** Ends a session. Returns false when there was none. */
  end(handle: string, ending: Ending, details?: EndDetails): boolean {
    const record = this.get(handle)?.record;
    if (record === undefined) {
      return false;
    }
    this.#forget(record);
    const keepFor = rememberedFor(record, ending);
    if (keepFor > 0) {
      const ended = endedSession(record, ending, { ...details, wasPending: record.pending !== undefined });
      this.#remains.set(handle, { ended, until: this.clock.now() + keepFor });
    }
    return true;
  }

  /** The handle under which a session goes on after step-ups; its own where there were none. */
  latest(handle: string): string {
    const successor = this.ended(handle)?.successor;
    return successor === undefined ? handle : this.latest(successor);
  }

  /** The live sessions of a user. */
  ofUser(userId: string): Entry[] {
    return [...(this.#ofUser.get(userId) ?? [])].flatMap((handle) => this.get(handle) ?? []);
  }

  /** The users who have sessions, or a trust epoch. */
  users(): string[] {
    return [...new Set([...this.#ofUser.keys(), ...this.#trust.keys()])];
  }

  /** A user's trust epoch. */
  epochOf(userId: string): string | undefined {
    return this.#trustOf(userId)?.epoch;
  }

  /** A user's trust epoch, which lives until then at least; `fresh` for who has none. */
  grantTrust(userId: string, fresh: string, until: number): string {
    const former = this.#trustOf(userId);
    const epoch = former?.epoch ?? fresh;
    this.#trust.set(userId, { epoch, until: Math.max(former?.until ?? 0, until) });
    return epoch;
  }

  endTrust(userId: string): void {
    this.#trust.delete(userId);
  }

  /** The handles of all live sessions. */
  handles(): string[] {
    this.sweep();
    return [...this.#entries.keys()];
  }

  clear(): void {
    this.#entries.clear();
    this.#ofUser.clear();
    this.#remains.clear();
    this.#trust.clear();
  }

  /** Removes what has expired. */
  sweep(): void {
    for (const handle of this.#entries.keys()) {
      this.get(handle);
    }
    for (const [handle, { until }] of this.#remains) {
      if (until <= this.clock.now()) {
        this.#remains.delete(handle);
      }
    }
    for (const userId of this.#trust.keys()) {
      this.#trustOf(userId);
    }
  }

  #trustOf(userId: string): Trust | undefined {
    const trust = this.#trust.get(userId);
    if (trust !== undefined && trust.until <= this.clock.now()) {
      this.#trust.delete(userId);
      return undefined;
    }
    return trust;
  }

  #forget({ handle, login }: SessionRecord): void {
    this.#entries.delete(handle);
    const handles = login && this.#ofUser.get(login.userId);
    handles?.delete(handle);
    if (login !== undefined && handles?.size === 0) {
      this.#ofUser.delete(login.userId);
    }
  }
}
