import type { SessionEvents } from '../events/session-events.js';
import { SessionStoreUnavailableException } from '../session-auth.errors.js';
import type { Clock } from './clock.js';
import { saveMerged } from './merged-save.js';
import type { SessionRecord } from './session-record.js';
import type { AtomicSessionStore, FoundSession } from './session-store.js';
import type { LifetimePolicy } from './lifetime-policy.js';

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
    /** Bytes of data past which a session is reported. */
    private readonly warnAtBytes: number,
  ) {}

  /** It is known that the store would not answer. */
  get disconnected(): boolean {
    return this.store.disconnected === true;
  }

  /** The live session of this handle. */
  async find(handle: string): Promise<FoundSession | undefined> {
    const found = await this.#ask('find', this.store.find(handle));
    return found && this.clock.now() < this.lifetime.expiresAt(found.record) ? found : undefined;
  }

  async insert(record: SessionRecord): Promise<void> {
    await this.#ask('insert', this.store.insert(record, this.lifetime.expiresAt(record)));
    this.#reportGrowth(0, record);
  }

  /** Saves data over what was loaded, merged with what others wrote meanwhile; or how it has ended. */
  async save(
    loaded: SessionRecord,
    data: string,
    change: Partial<Pick<SessionRecord, 'seenAt' | 'idle'>>,
  ): Promise<SessionRecord | 'gone' | 'replaced'> {
    const saved = await saveMerged({
      loaded,
      data,
      change,
      update: (record) => this.#ask('update', this.store.update(record, this.lifetime.expiresAt(record))),
    });
    if (typeof saved === 'string') {
      const { handle, login } = loaded;
      this.#report({ type: 'save-dropped', handle, ...(login && { userId: login.userId }) });
    } else {
      this.#reportGrowth(Buffer.byteLength(loaded.data), saved);
    }
    return saved;
  }

  /** Writes activity down. Never rejects: a failure is an event. True where it is certain that the session lives. */
  async touch(record: SessionRecord, seenAt: number): Promise<boolean> {
    try {
      return await this.store.extend(record, seenAt, this.lifetime.expiresAt({ ...record, seenAt }));
    } catch (error) {
      this.#report({ type: 'touch-failed', handle: record.handle, error });
      return false;
    }
  }

  /** A user's new session; then the end of the one it replaces, in another slot and so a second step. */
  async logIn(record: SessionRecord, userId: string, replaced: SessionRecord | undefined): Promise<void> {
    await this.insert(record);
    try {
      await (replaced && this.#end(replaced, this.store.replace(replaced.handle)));
    } catch (error) {
      // The login fails as a whole. Nobody was told the new id, so what a dead store may keep of it is harmless.
      this.store.remove(record.handle).catch(() => undefined);
      throw error;
    }
    const method = record.login?.method;
    this.#report({ type: 'logged-in', userId, handle: record.handle, ...(method !== undefined && { method }) });
  }

  /** Ends a session at its user's or the application's wish. False when it had ended before. */
  end(record: SessionRecord): Promise<boolean> {
    return this.#end(record, this.store.remove(record.handle));
  }

  /** Ends a session whose user is gone. */
  async dismiss({ handle }: SessionRecord): Promise<void> {
    await this.#ask('remove', this.store.remove(handle));
    this.#report({ type: 'ended', handle, reason: 'user-gone' });
  }

  async #end({ handle, login }: SessionRecord, removal: Promise<boolean>): Promise<boolean> {
    const ended = await this.#ask('remove', removal);
    if (ended && login !== undefined) {
      this.#report({ type: 'logged-out', handle, userId: login.userId });
    }
    return ended;
  }

  async #ask<T>(operation: string, answer: Promise<T>): Promise<T> {
    try {
      return await answer;
    } catch (error) {
      this.#report({ type: 'store-error', operation, error });
      throw new SessionStoreUnavailableException(error);
    }
  }

  /** Reports a session once it has grown large, and not again with each write. */
  #reportGrowth(before: number, { handle, data, login }: SessionRecord): void {
    const bytes = Buffer.byteLength(data);
    if (bytes > this.warnAtBytes && before <= this.warnAtBytes) {
      this.#report({ type: 'large-session', handle, bytes, ...(login && { userId: login.userId }) });
    }
  }

  #report(event: Parameters<SessionEvents['emit']>[0]): void {
    this.events.emit(event, this.clock.now());
  }
}
