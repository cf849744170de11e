import type { SessionData, Store } from 'express-session';
import { CookieClass } from '../http/express-session.js';
import type { Clock } from '../model/clock.js';
import type { Ending } from '../model/session-end.js';
import type { SessionRecord } from '../model/session-record.js';
import {
  type AtomicSessionStore,
  type EndedResult,
  type FoundSession,
  isLive,
  type LogInResult,
  type NewUserSession,
  type UpdateResult,
} from './session-store.js';
import { type TimeBudget, within } from './time-budget.js';

/** The key under which a foreign store keeps the module's own part of a session. */
const OURS = '__session';

/**
 * The contract does not tell how a session ended. It counts as replaced by a login in another tab, after which the
 * browser may have a newer cookie: a wrong guess then signs nobody out.
 */
const ENDED: EndedResult = { outcome: 'ended', ended: { reason: 'logged_out', replaced: true, secretHashes: [] } };

type StoredData = SessionData & { [OURS]?: Omit<SessionRecord, 'handle' | 'data'> };

/**
 * Drives any express-session store by its plain contract (`get`, `set`, `destroy`). That contract has no conditional
 * write. What the module's own stores do in one step is a read and a write here, and between the two another process
 * can lose a write to the same session, or bring back a session that was ended. The contract has no index of a user's
 * sessions and remembers no reason either: the browser of a session that is gone is told `expired`. Sessions are stored
 * under their handle, so that this store holds no secret either.
 */
export class ForeignStoreAdapter implements AtomicSessionStore {
  /** The last operation under way, by handle: within this process, nothing comes between a read and its write. */
  readonly #underWay = new Map<string, Promise<unknown>>();

  #disconnected = false;

  constructor(
    private readonly store: Store,
    private readonly clock: Clock,
    private readonly timeout: number,
  ) {
    // The two events by which express-session's contract has a store say whether it can be reached.
    (store as Partial<Store>).on?.('disconnect', () => {
      this.#disconnected = true;
    });
    (store as Partial<Store>).on?.('connect', () => {
      this.#disconnected = false;
    });
  }

  get disconnected(): boolean {
    return this.#disconnected;
  }

  async find(handle: string, budget?: TimeBudget): Promise<FoundSession | undefined> {
    const stored = await this.#call<StoredData | null | undefined>((done) => {
      this.store.get(handle, done);
    }, budget).catch(unreadable);
    if (typeof stored !== 'object' || typeof stored?.[OURS]?.secretHash !== 'string') {
      return undefined;
    }
    const { cookie: _cookie, [OURS]: ours, ...values } = stored;
    return { record: { ...ours, handle, data: JSON.stringify(values) }, values: structuredClone(values) };
  }

  insert(record: SessionRecord, expiresAt: number, budget?: TimeBudget): Promise<void> {
    return this.#write(record, expiresAt, budget);
  }

  async logIn({ record, expiresAt, replaces, continues }: NewUserSession, budget?: TimeBudget): Promise<LogInResult> {
    if (replaces === undefined) {
      await this.#write(record, expiresAt, budget);
      return { outcome: 'created', evicted: [], replaced: false };
    }
    return this.#oneAtATime(replaces.handle, async () => {
      const current = continues ? (await this.find(replaces.handle, budget))?.record : replaces;
      if (current?.version !== replaces.version) {
        return current === undefined ? ENDED : { outcome: 'stale', current };
      }
      await this.#write(record, expiresAt, budget);
      return { outcome: 'created', evicted: [], replaced: await this.#destroy(replaces.handle, budget) };
    });
  }

  update(record: SessionRecord, expiresAt: number, budget?: TimeBudget): Promise<UpdateResult> {
    return this.#oneAtATime(record.handle, async () => {
      const found = await this.find(record.handle, budget);
      if (!isLive(found)) {
        return ENDED;
      }
      if (found.record.version !== record.version - 1) {
        return { outcome: 'stale', current: found.record };
      }
      await this.#write(record, expiresAt, budget);
      return { outcome: 'saved' };
    });
  }

  extend(
    { handle }: SessionRecord,
    seenAt: number,
    expiresAt: number,
    budget?: TimeBudget,
  ): Promise<'ended' | 'current'> {
    return this.#oneAtATime(handle, async () => {
      const found = await this.find(handle, budget);
      if (found !== undefined && found.record.seenAt < seenAt) {
        await this.#write({ ...found.record, seenAt }, expiresAt, budget);
      }
      return found === undefined ? 'ended' : 'current';
    });
  }

  end({ handle }: SessionRecord, _ending: Ending, budget?: TimeBudget): Promise<boolean> {
    return this.#oneAtATime(handle, () => this.#destroy(handle, budget));
  }

  #oneAtATime<T>(handle: string, work: () => Promise<T>): Promise<T> {
    const operation = (this.#underWay.get(handle) ?? Promise.resolve()).then(work, work);
    this.#underWay.set(handle, operation);
    const forget = (): void => {
      if (this.#underWay.get(handle) === operation) {
        this.#underWay.delete(handle);
      }
    };
    operation.then(forget, forget);
    return operation;
  }

  /** Always true: the contract does not tell whether there was a session. */
  async #destroy(handle: string, budget?: TimeBudget): Promise<true> {
    await this.#call<undefined>((done) => {
      this.store.destroy(handle, done);
    }, budget);
    return true;
  }

  async #write({ handle, data, ...ours }: SessionRecord, expiresAt: number, budget?: TimeBudget): Promise<void> {
    // Stores take a session's time to live from its cookie, some from `expires`, some from `maxAge`.
    const cookie = new CookieClass({ maxAge: expiresAt - this.clock.now() });
    const stored: StoredData = { ...(JSON.parse(data) as object), [OURS]: ours, cookie };
    await this.#call<undefined>((done) => {
      this.store.set(handle, stored, done);
    }, budget);
  }

  /** A store's method as a promise that settles within the timeout. */
  #call<T>(method: (done: (error?: unknown, result?: T) => void) => void, budget?: TimeBudget): Promise<T> {
    const result = new Promise<T>((resolve, reject) => {
      method((error, value) => {
        // Some file stores report a missing session by this error, and express-session accepts that.
        if (error && (error as NodeJS.ErrnoException).code !== 'ENOENT') {
          reject(error instanceof Error ? error : new Error('The session store failed.', { cause: error }));
        } else {
          resolve(value as T);
        }
      });
    });
    return within(this.timeout, result, { budget });
  }
}

/** A store that cannot parse what it holds has replied: there is no session. Any other failure stays one. */
function unreadable(error: unknown): undefined {
  if ((error as Error).name !== 'SyntaxError') {
    throw error;
  }
}
