import type { RevocationReason, SessionEvents } from '../events/session-events.js';
import {
  type SignOutReason,
  SessionConflictException,
  SessionStoreUnavailableException,
  TooManySessionsException,
} from '../session-auth.errors.js';
import type { Clock } from './clock.js';
import { Patience } from './deadline.js';
import type { LifetimePolicy } from './lifetime-policy.js';
import { MOST_ATTEMPTS, saveMerged } from './merged-save.js';
import { offered, standingOf, takenOver } from './rotation.js';
import { hashSecret, isHandle, type SessionId } from './session-id.js';
import { applyChanges, changesBetween, type SessionRecord } from './session-record.js';
import type {
  AtomicSessionStore,
  EndReason,
  FoundSession,
  LogInOutcome,
  NewUserSession,
  SaveOutcome,
  SessionIndex,
  SessionLimit,
} from './session-store.js';

/** What is to change of a session that stands as `current`; `undefined` where nothing is (any more). */
export type Amendment = (current: SessionRecord) => Partial<SessionRecord> | undefined;

/**
 * The store as requests use it: each step dated by the lifetime policy, each failure a 503 and an event, each fact
 * reported after it is one.
 */
export class SessionKeeper {
  constructor(
    private readonly store: AtomicSessionStore,
    private readonly lifetime: LifetimePolicy,
    private readonly clock: Clock,
    private readonly events: SessionEvents,
    private readonly options: {
      /** Bytes of data past which a session is reported. */
      readonly warnAtBytes: number;
      readonly maxSessions: SessionLimit | undefined;
    },
    private readonly patience?: Patience,
  ) {}

  /** For one request, or one call of the registry: its commands together take no longer than one may. */
  withOneDeadline(): SessionKeeper {
    return new SessionKeeper(this.store, this.lifetime, this.clock, this.events, this.options, new Patience());
  }

  /** It is known that the store would not answer. */
  get disconnected(): boolean {
    return this.store.disconnected === true;
  }

  /** The sessions by user, where the store keeps such an index. Its own calls are made by way of `ask` and `steps`. */
  get index(): SessionIndex | undefined {
    return this.store.index;
  }

  /** The live session of this handle; none for what is no handle. */
  async find(handle: string): Promise<FoundSession | undefined> {
    const found = isHandle(handle) ? await this.findEvenRunOut(handle) : undefined;
    return found && this.runOut(found.record) === undefined ? found : undefined;
  }

  /** The session of this handle, though it may have run out: the store may notice later, or by another policy. */
  findEvenRunOut(handle: string): Promise<FoundSession | undefined> {
    return this.ask('find', this.store.find(handle, this.patience));
  }

  /** Of which limit a session has run out; `undefined` when it lives. */
  runOut(record: SessionRecord): SignOutReason | undefined {
    return this.clock.now() < this.lifetime.expiresAt(record) ? undefined : this.lifetime.expiryOf(record).reason;
  }

  async insert(record: SessionRecord): Promise<void> {
    await this.ask('insert', this.store.insert(record, this.lifetime.expiryOf(record), this.patience));
    this.#reportGrowth(0, record);
  }

  /** Saves data over what was loaded, merged with what others wrote meanwhile; or how it has ended. */
  async save(
    loaded: SessionRecord,
    data: string,
    change: (current: SessionRecord) => Partial<SessionRecord>,
  ): Promise<SessionRecord | 'gone' | 'replaced'> {
    const update = (record: SessionRecord): Promise<SaveOutcome> => this.#update(record);
    const saved = await saveMerged({ loaded, data, change, update }).catch((error: unknown) => {
      throw error instanceof SessionConflictException ? this.#conflict() : error;
    });
    if (typeof saved === 'string') {
      this.#report({ type: 'save-dropped', ...named(loaded) });
    } else {
      this.#reportGrowth(Buffer.byteLength(loaded.data), saved);
    }
    return saved;
  }

  /**
   * Changes what stands beside the data, as long as that is wanted of what stands there.
   *
   * @returns what the store holds then; `undefined` when this call wrote nothing
   */
  async amend(loaded: SessionRecord, amendment: Amendment): Promise<SessionRecord | undefined> {
    let current = loaded;
    for (let attempt = 0; attempt < MOST_ATTEMPTS; attempt++) {
      const change = amendment(current);
      if (change === undefined) {
        return undefined;
      }
      const record = { ...current, ...change, version: current.version + 1 };
      const saved = await this.#update(record);
      if (saved.outcome !== 'stale') {
        return saved.outcome === 'saved' ? record : undefined;
      }
      current = saved.current;
    }
    throw this.#conflict();
  }

  /**
   * Writes activity down. Never rejects: a failure is an event.
   *
   * @returns true where it is certain that the session lives by this secret
   */
  async touch(record: SessionRecord, seenAt: number): Promise<boolean> {
    try {
      return (await this.store.extend(record, seenAt, this.lifetime.expiryOf({ ...record, seenAt }))) === 'current';
    } catch (error) {
      this.#report({ type: 'touch-failed', ...named(record), error });
      return false;
    }
  }

  /**
   * Puts another secret on offer, with what else is to change, if still due. Never rejects: a failure is an event.
   *
   * @returns what the store holds then; `undefined` when another request was faster, or the session has ended
   */
  async offer(loaded: SessionRecord, hash: string, also: Partial<SessionRecord>): Promise<SessionRecord | undefined> {
    const now = this.clock.now();
    const { secretHash } = loaded;
    return this.amend(loaded, (current) =>
      current.secretHash === secretHash && this.lifetime.offerDue(current, now)
        ? { ...also, ...offered(current, hash, now) }
        : undefined,
    ).catch(() => undefined);
  }

  /** The browser has shown an offered secret: it takes over. If that cannot be written, the session is good as is. */
  async takeOver(found: FoundSession, secret: string): Promise<FoundSession> {
    const now = this.clock.now();
    let latest = found.record;
    const taken = await this.amend(found.record, (current) => {
      latest = current;
      return standingOf(current, secret, now) === 'offered'
        ? takenOver(current, hashSecret(secret), now, now + this.lifetime.rotationGrace)
        : undefined;
    }).catch(() => undefined);
    if (taken !== undefined) {
      this.#report({ type: 'rotated', ...named(taken) });
    }
    const record = taken ?? latest;
    const changed = record.data !== found.record.data;
    return { record, values: changed ? (JSON.parse(record.data) as Record<string, unknown>) : found.values };
  }

  /** A user's new session; then the end of the one it replaces, where that lies in another slot: a second step. */
  async logIn(record: SessionRecord, userId: string, replaced: SessionRecord | undefined): Promise<void> {
    const replaces = replaced?.login?.userId === userId ? replaced : undefined;
    const created = await this.#logIn({ record, replaces });
    if (replaces !== undefined && created.outcome === 'created' && created.replaced) {
      this.#report({ type: 'logged-out', userId, handle: replaces.handle });
    }
    try {
      await (replaced && replaces === undefined && this.#logOut(replaced, 'replaced'));
    } catch (error) {
      // The login fails as a whole. Nobody was told the new id, so what a dead store may keep of it is harmless.
      this.store.end(record, 'logged_out').catch(() => undefined);
      throw error;
    }
    const method = record.login?.method;
    this.#report({ type: 'logged-in', userId, handle: record.handle, ...(method !== undefined && { method }) });
    this.#reportGrowth(0, record);
  }

  /**
   * The same user's session under a new id, with its data as this request leaves it and as others wrote it meanwhile.
   *
   * @returns the new session, or how the old one has ended
   */
  async reauthenticate(
    loaded: SessionRecord,
    data: string,
    next: (data: string) => SessionRecord,
  ): Promise<SessionRecord | 'gone' | 'replaced'> {
    let record = next(data);
    let replaces = loaded;
    for (let attempt = 0; attempt < MOST_ATTEMPTS; attempt++) {
      const created = await this.#logIn({ record, replaces, continues: true });
      if (created.outcome === 'created') {
        const method = record.login?.method;
        const by = method !== undefined && { method };
        this.#report({ type: 'reauthenticated', ...named(record), previous: loaded.handle, ...by });
        return record;
      }
      if (created.outcome !== 'stale') {
        return created.outcome;
      }
      replaces = created.current;
      record = next(applyChanges(replaces.data, changesBetween(loaded.data, data)));
    }
    throw this.#conflict();
  }

  /** Ends a session at its user's or the application's wish. False when it had ended before. */
  logOut(record: SessionRecord): Promise<boolean> {
    return this.#logOut(record, 'logged_out');
  }

  /** Ends a session whose user is gone. False when it had ended before. */
  async dismiss(record: SessionRecord): Promise<boolean> {
    const ended = await this.ask('end', this.store.end(record, 'revoked', this.patience));
    if (ended) {
      this.#report({ type: 'ended', ...named(record), reason: 'user-gone' });
    }
    return ended;
  }

  /** Ends a session at the wish of somebody who is not its own request. False when it had ended before. */
  async revoke(record: SessionRecord, ending: EndReason, reason: RevocationReason): Promise<boolean> {
    const ended = await this.ask('end', this.store.end(record, ending, this.patience));
    if (ended) {
      this.reportRevoked(record.login?.userId, [record.handle], reason);
    }
    return ended;
  }

  /**
   * A copy of an old cookie was shown: nobody can tell who is the thief, so the session ends for both.
   *
   * @returns false when it had ended before
   */
  async endReused(record: SessionRecord, secret: string): Promise<boolean> {
    const ended = await this.ask('end', this.store.end(record, 'reuse_detected', this.patience, hashSecret(secret)));
    if (ended) {
      this.#report({ type: 'reuse-detected', ...named(record) });
    }
    return ended;
  }

  /** Why the store has no session of this id any more, for its secret's holder. Never rejects: then nobody knows. */
  async whyEnded(id: SessionId): Promise<SignOutReason | undefined> {
    return this.ask('find', this.store.whyEnded(id, this.patience)).catch(() => undefined);
  }

  /** A store's answer. A failure is an event and a 503. */
  ask<T>(operation: string, answer: Promise<T>): Promise<T> {
    return answer.catch((error: unknown) => {
      this.#report({ type: 'store-error', operation, error });
      throw new SessionStoreUnavailableException(error);
    });
  }

  /** A store's answers, step by step, likewise. */
  async *steps<T>(operation: string, steps: AsyncIterable<T>): AsyncGenerator<T> {
    const iterator = steps[Symbol.asyncIterator]();
    for (;;) {
      const step = await this.ask(operation, iterator.next());
      if (step.done === true) {
        return;
      }
      yield step.value;
    }
  }

  /** Reports sessions that were ended by somebody else. */
  reportRevoked(userId: string | undefined, handles: readonly string[], reason: RevocationReason): void {
    for (const handle of handles) {
      this.#report({ type: 'revoked', handle, reason, ...(userId !== undefined && { userId }) });
    }
  }

  async #logIn(
    session: Omit<NewUserSession, 'expiry' | 'limit'>,
  ): Promise<Exclude<LogInOutcome, { outcome: 'rejected' }>> {
    const { record } = session;
    const expiry = this.lifetime.expiryOf(record);
    const limit = session.continues ? undefined : this.options.maxSessions; // A step-up makes them no more.
    const created = await this.ask('insert', this.store.logIn({ ...session, expiry, limit }, this.patience));
    if (created.outcome === 'rejected') {
      throw new TooManySessionsException();
    }
    if (created.outcome === 'created') {
      this.reportRevoked(record.login?.userId, created.evicted, 'limit');
    }
    return created;
  }

  async #logOut(record: SessionRecord, ending: 'logged_out' | 'replaced'): Promise<boolean> {
    const ended = await this.ask('end', this.store.end(record, ending, this.patience));
    if (ended && record.login !== undefined) {
      this.#report({ type: 'logged-out', handle: record.handle, userId: record.login.userId });
    }
    return ended;
  }

  #update(record: SessionRecord): Promise<SaveOutcome> {
    return this.ask('update', this.store.update(record, this.lifetime.expiryOf(record), this.patience));
  }

  /** Others kept being faster, and nothing was written. */
  #conflict(): SessionConflictException {
    const error = new SessionConflictException();
    this.#report({ type: 'store-error', operation: 'update', error });
    return error;
  }

  /** Reports a session once it has grown large, and not again with each write. */
  #reportGrowth(before: number, record: SessionRecord): void {
    const bytes = Buffer.byteLength(record.data);
    if (bytes > this.options.warnAtBytes && before <= this.options.warnAtBytes) {
      this.#report({ type: 'large-session', ...named(record), bytes });
    }
  }

  #report(event: Parameters<SessionEvents['emit']>[0]): void {
    this.events.emit(event, this.clock.now());
  }
}

/** Whose session an event is about, and which. */
function named({ handle, login }: SessionRecord): { userId?: string; handle: string } {
  return { ...(login && { userId: login.userId }), handle };
}
