import type { Clock } from '../model/clock.js';
import { withoutStaleRequest } from '../model/kept-request.js';
import { expiresAt, type Lifetime } from '../model/lifetime.js';
import { promoted, secretStatus } from '../model/rotation.js';
import { parseData } from '../model/session-data.js';
import type { EndedSession, Ending, EndReason } from '../model/session-end.js';
import type { MissingUser, RevocationReason } from '../model/session-event.js';
import { hashSecret, isHandle } from '../model/session-id.js';
import type { SessionRecord } from '../model/session-record.js';
import {
  SessionConflictException,
  SessionStoreUnavailableException,
  TooManySessionsException,
} from '../session-auth.errors.js';
import {
  type Amendment,
  type AmendResult,
  amendRecord,
  renewMerged,
  saveMerged,
  type SaveResult,
} from '../store/merged-save.js';
import type {
  AtomicSessionStore,
  FoundSession,
  LogInResult,
  NewUserSession,
  SessionIndex,
  SessionLimit,
  TrustEpochs,
} from '../store/session-store.js';
import { TimeBudget } from '../store/time-budget.js';
import { SerialQueues } from '../store/serial-queues.js';
import type { LoginBrowser, LoginMeans, SessionReporter } from './session-reporter.js';
import { onLatest } from './succession.js';

/** A session that goes on under a new id: as it was loaded, its data as the request leaves it, and what it becomes. */
type Renewing = [loaded: SessionRecord, data: string, next: (data: string, replaces: SessionRecord) => SessionRecord];

/** What a {@link SessionRepository} works with besides the store. */
export interface RepositorySettings {
  readonly lifetime: Lifetime;
  readonly clock: Clock;
  readonly reporter: SessionReporter;
  readonly maxSessions: SessionLimit | undefined;
}

/**
 * The store as requests use it. It dates each step by the lifetime, turns each failure into an event and a 503, and
 * reports each fact after it has become one.
 */
export class SessionRepository {
  constructor(
    private store: AtomicSessionStore,
    private readonly settings: RepositorySettings,
    readonly budget?: TimeBudget,
    private readonly queues = new SerialQueues(),
  ) {}

  /** Has all later requests go through what watches the store. Unwatched, it costs nothing. */
  watchStore(watched: (store: AtomicSessionStore) => AtomicSessionStore): void {
    this.store = watched(this.store);
  }

  /** For one request, or one call of the registry: all its commands together take no longer than one may. */
  withTimeBudget(): SessionRepository {
    return new SessionRepository(this.store, this.settings, new TimeBudget(), this.queues);
  }

  /** True while the store's connection is down. */
  get disconnected(): boolean {
    return this.store.disconnected === true;
  }

  /** Reports what its callers know and it does not. */
  get reporter(): SessionReporter {
    return this.settings.reporter;
  }

  /** The sessions by user, where the store keeps an index. Call it through {@link ask} and {@link steps}. */
  get index(): SessionIndex | undefined {
    return this.store.index;
  }

  /** The users' trust in their browsers, where the store keeps that. Likewise. */
  get trust(): TrustEpochs | undefined {
    return this.store.trust;
  }

  /** The session of this handle, or what remains of it after it was ended. `undefined` for what is no handle, too. */
  find(handle: string): Promise<FoundSession | EndedSession | undefined> {
    return isHandle(handle) ? this.ask('find', this.store.find(handle, this.budget)) : Promise.resolve(undefined);
  }

  /**
   * Whether a session has expired. The store may notice later than the clock, or may have stored it by a longer limit.
   */
  isExpired(record: SessionRecord): boolean {
    return this.settings.clock.now() >= this.#expiresAt(record);
  }

  /** Stores a new anonymous session. */
  async insert(record: SessionRecord): Promise<void> {
    await this.ask('insert', this.store.insert(record, this.#expiresAt(record), this.budget));
    this.reporter.saved(record, 0);
  }

  /** Saves data over the version that was loaded, merged with what other requests have written meanwhile. */
  async save(
    loaded: SessionRecord,
    data: string,
    change: (current: SessionRecord) => Partial<SessionRecord>,
  ): Promise<SaveResult> {
    const update = this.#update.bind(this);
    const { queues } = this;
    const result = await saveMerged({ loaded, data, change, update, queues }).catch(this.#reportConflict);
    if (result.outcome === 'ended') {
      this.reporter.saveDropped(loaded);
    } else {
      this.reporter.saved(result.record, Buffer.byteLength(loaded.data));
    }
    return result;
  }

  /**
   * Changes what is stored beside the data. The amendment is evaluated again after a conflict; `undefined` stops it.
   */
  amend(loaded: SessionRecord, amendment: Amendment): Promise<AmendResult> {
    const update = this.#update.bind(this);
    return amendRecord(loaded, amendment, { update, queues: this.queues }).catch(this.#reportConflict);
  }

  /** Writes activity down. No response waits for it, and it never rejects: a failure is an event. */
  async touch(record: SessionRecord, seenAt: number): Promise<void> {
    await this.#extend(record, seenAt);
  }

  /**
   * Writes activity down, and tells whether the record's secret is still the current one. False where nobody can tell.
   */
  async confirm(record: SessionRecord, seenAt: number): Promise<boolean> {
    return (await this.#extend(record, seenAt, this.budget)) === 'current';
  }

  /**
   * The browser has shown the pending secret: it becomes the current one. If that cannot be written, a later request
   * does it.
   */
  async promote(found: FoundSession, secret: string): Promise<FoundSession> {
    const now = this.settings.clock.now();
    const graceUntil = now + this.settings.lifetime.rotationGrace;
    const result = await this.amend(found.record, (current) =>
      secretStatus(current, secret, now) === 'pending'
        ? promoted(current, hashSecret(secret), now, graceUntil)
        : undefined,
    ).catch(() => undefined);
    if (result === undefined || result.outcome === 'ended') {
      return found;
    }
    const { record } = result;
    if (result.outcome === 'saved') {
      this.reporter.rotated(record);
    }
    return { record, values: record.data === found.record.data ? found.values : parseData(record.data) };
  }

  /**
   * Opens a user's session and ends those that it replaces: one of the same user in the same step, since that is in the
   * same slot, and the others after it. Returns false, and does nothing, where the trust has ended by which the login was
   * spared a method.
   */
  async logIn(
    record: SessionRecord,
    userId: string,
    replaced: readonly SessionRecord[],
    browser: LoginBrowser,
  ): Promise<boolean> {
    const replaces = replaced.find(({ login }) => login?.userId === userId);
    const result = await this.#logIn({ record, replaces, epoch: browser.spared?.epoch }).catch(undefinedIfTrustEnded);
    if (result === undefined) {
      return false;
    }
    const isReplaced = result.outcome === 'created' && result.replaced;
    if (replaces !== undefined && isReplaced) {
      this.reporter.loggedOut(replaces);
    }
    try {
      for (const one of replaced) {
        await ((one !== replaces || !isReplaced) && this.logOut(one, 'replaced'));
      }
    } catch (error) {
      // The login fails as a whole. Nobody was given the new id: if the store keeps the session, nobody can use it.
      this.store.end(record, 'logged_out').catch(() => undefined);
      throw error;
    }
    this.reporter.loggedIn(record, userId, browser);
    this.reporter.saved(record, 0);
    return true;
  }

  /** Opens a session that keeps a login of which steps are missing, in the place of others. */
  async logInPending(record: SessionRecord, replaced: readonly SessionRecord[], means: LoginMeans): Promise<void> {
    await this.ask('insert', this.store.insert(record, this.#expiresAt(record), this.budget));
    try {
      for (const one of replaced) {
        await this.logOut(one, 'replaced');
      }
    } catch (error) {
      this.store.end(record, 'logged_out').catch(() => undefined); // As a login that fails.
      throw error;
    }
    this.reporter.loginPending(record, means);
    this.reporter.saved(record, 0);
  }

  /**
   * The last step of a login: in one step of the store the session on which it was pending ends, and goes on as the
   * user's under a new id. `undefined`, and nothing is done, where the trust has ended by which a method was spared.
   */
  async completeLogin(
    loaded: SessionRecord,
    data: string,
    next: Renewing[2],
    browser: LoginBrowser,
  ): Promise<SaveResult | undefined> {
    const result = await this.#renew(loaded, data, next, browser.spared?.epoch).catch(undefinedIfTrustEnded);
    if (result?.outcome === 'saved') {
      this.reporter.loggedIn(result.record, result.record.login?.userId ?? '', browser, loaded.handle);
    }
    return result;
  }

  /** The session under a new id, with its data as this request leaves it and as others have written it meanwhile. */
  async reauthenticate(means: LoginMeans, ...renewal: Renewing): Promise<SaveResult> {
    const result = await this.#renew(...renewal);
    if (result.outcome === 'saved') {
      this.reporter.reauthenticated(result.record, renewal[0].handle, means);
    }
    return result;
  }

  /** Ends a session by its own request, after step-ups too. Returns false when it had ended before. */
  logOut(record: SessionRecord, ending: 'logged_out' | 'replaced' = 'logged_out'): Promise<boolean> {
    return onLatest(this, record, async (latest) => {
      const wasLive = await this.#end(latest, ending);
      if (wasLive) {
        this.reporter.loggedOut(latest);
      }
      return wasLive;
    });
  }

  /** Ends a session whose user does not exist any more, or is another one. Returns false when it had ended before. */
  async endWithoutUser(record: SessionRecord, reason: MissingUser): Promise<boolean> {
    const wasLive = await this.#end(record, 'revoked');
    if (wasLive) {
      this.reporter.endedWithoutUser(record, reason);
    }
    return wasLive;
  }

  /** Ends a session for somebody else than its own request. Returns false when it had ended before. */
  async revoke(record: SessionRecord, ending: EndReason, reason: RevocationReason): Promise<boolean> {
    const wasLive = await this.#end(record, ending);
    if (wasLive) {
      this.reporter.revoked(record.login?.userId, [record.handle], reason);
    }
    return wasLive;
  }

  /**
   * A request has shown a secret that is no longer good. Nobody can tell its owner from a thief, so the session ends
   * for both. Returns false when it had ended before.
   */
  async endReused(record: SessionRecord, secret: string): Promise<boolean> {
    const wasLive = await this.#end(record, 'reuse_detected', hashSecret(secret));
    if (wasLive) {
      this.reporter.reuseDetected(record);
    }
    return wasLive;
  }

  /** The result of an operation of the store. A failure is an event and a 503. */
  ask<T>(operation: string, result: Promise<T>): Promise<T> {
    return result.catch((error: unknown) => {
      this.reporter.storeFailed(operation, error);
      throw new SessionStoreUnavailableException(error);
    });
  }

  /** The results of an operation in steps, likewise. */
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

  async #logIn(
    session: Omit<NewUserSession, 'expiresAt' | 'limit'>,
  ): Promise<Exclude<LogInResult, { outcome: 'rejected' | 'untrusted' }>> {
    const { record, replaces, continues } = session;
    const isStepUp = continues === true && replaces?.login !== undefined;
    const limit = isStepUp ? undefined : this.settings.maxSessions; // A step-up opens no further session.
    const whole = { ...session, expiresAt: this.#expiresAt(record), limit };
    const result = await this.ask('insert', this.store.logIn(whole, this.budget));
    if (result.outcome === 'rejected') {
      throw new TooManySessionsException();
    }
    if (result.outcome === 'untrusted') {
      throw new TrustEndedError();
    }
    if (result.outcome === 'created') {
      this.reporter.revoked(record.login?.userId, result.evicted, 'limit');
    }
    return result;
  }

  async #renew(loaded: SessionRecord, data: string, next: Renewing[2], epoch?: string): Promise<SaveResult> {
    const renew = (record: SessionRecord, replaces: SessionRecord) =>
      this.#logIn({ record, replaces, continues: true, epoch });
    const { queues } = this;
    const result = await renewMerged({ loaded, data, next, renew, queues }).catch(this.#reportConflict);
    if (result.outcome === 'saved') {
      this.reporter.saved(result.record, Buffer.byteLength(loaded.data));
    }
    return result;
  }

  #end(record: SessionRecord, ending: Ending, shownHash?: string): Promise<boolean> {
    return this.ask('end', this.store.end(record, ending, this.budget, shownHash));
  }

  async #extend(record: SessionRecord, seenAt: number, budget?: TimeBudget): Promise<string | undefined> {
    try {
      return await this.store.extend(record, seenAt, this.#expiresAt({ ...record, seenAt }), budget);
    } catch (error) {
      this.reporter.touchFailed(record, error);
      return undefined;
    }
  }

  #update(record: SessionRecord) {
    const current = withoutStaleRequest(record, this.settings.clock.now());
    return this.ask('update', this.store.update(current, this.#expiresAt(record), this.budget));
  }

  #expiresAt(record: SessionRecord): number {
    return expiresAt(record, this.settings.lifetime);
  }

  /** Reports that other requests kept being faster, and that nothing was written. */
  readonly #reportConflict = (error: unknown): never => {
    if (error instanceof SessionConflictException) {
      this.reporter.storeFailed('update', error);
    }
    throw error;
  };
}

/** The trust has ended by which a login was to be spared a method. Nothing was done. */
class TrustEndedError extends Error {}

function undefinedIfTrustEnded(error: unknown): undefined {
  if (!(error instanceof TrustEndedError)) {
    throw error;
  }
}
