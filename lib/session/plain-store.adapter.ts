import type { SessionData, Store } from 'express-session';
import type { Clock } from './clock.js';
import { type Patience, within } from './deadline.js';
import { CookieClass } from './session-cookies.js';
import type { Expiry } from './lifetime-policy.js';
import type { SessionRecord } from './session-record.js';
import type {
  AtomicSessionStore,
  Ending,
  FoundSession,
  LogInOutcome,
  NewUserSession,
  SaveOutcome,
} from './session-store.js';

/** Where a foreign store keeps what is ours and not the application's. */
const OURS = '__session';

/** How a session ended nobody can tell: a login in another tab may have replaced it, and the browser have a newer cookie. */
const ENDED = { outcome: 'replaced' } as const;

type StoredData = SessionData & { [OURS]?: Omit<SessionRecord, 'handle' | 'data'> };

/**
 * Drives any express-session store by its plain contract (`get`, `set`, `destroy`). That contract has no conditional
 * write, so what the module's own stores do in one step is a read and a write here: between the two, another process can
 * still lose a write to the same session or bring back what was ended. Nor has it room for an index of a user's sessions or
 * for the reason why one ended. Sessions are kept under their handle, so that this
 * store, too, holds no secret.
 */
export class PlainStoreAdapter implements AtomicSessionStore {
  /** The last of what is under way, by handle: within this process at least, nothing comes between a read and its write. */
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

  async find(handle: string, patience?: Patience): Promise<FoundSession | undefined> {
    const stored = await this.#call<StoredData | null | undefined>((done) => {
      this.store.get(handle, done);
    }, patience).catch(unreadable);
    if (typeof stored !== 'object' || typeof stored?.[OURS]?.secretHash !== 'string') {
      return undefined;
    }
    const { cookie: _cookie, [OURS]: ours, ...values } = stored;
    return { record: { ...ours, handle, data: JSON.stringify(values) }, values: structuredClone(values) };
  }

  insert(record: SessionRecord, { at }: Expiry, patience?: Patience): Promise<void> {
    return this.#write(record, at, patience);
  }

  async logIn({ record, expiry, replaces, continues }: NewUserSession, patience?: Patience): Promise<LogInOutcome> {
    if (replaces === undefined) {
      await this.#write(record, expiry.at, patience);
      return { outcome: 'created', evicted: [], replaced: false };
    }
    return this.#inTurn(replaces.handle, async () => {
      const current = continues ? (await this.find(replaces.handle, patience))?.record : replaces;
      if (current?.version !== replaces.version) {
        return current === undefined ? ENDED : { outcome: 'stale', current };
      }
      await this.#write(record, expiry.at, patience);
      return { outcome: 'created', evicted: [], replaced: await this.#destroy(replaces.handle, patience) };
    });
  }

  update(record: SessionRecord, { at }: Expiry, patience?: Patience): Promise<SaveOutcome> {
    return this.#inTurn(record.handle, async () => {
      const current = (await this.find(record.handle, patience))?.record;
      if (current === undefined) {
        return ENDED;
      }
      if (current.version !== record.version - 1) {
        return { outcome: 'stale', current };
      }
      await this.#write(record, at, patience);
      return { outcome: 'saved' };
    });
  }

  extend({ handle }: SessionRecord, seenAt: number, { at }: Expiry): Promise<'gone' | 'current'> {
    return this.#inTurn(handle, async () => {
      const current = (await this.find(handle))?.record;
      if (current !== undefined && current.seenAt < seenAt) {
        await this.#write({ ...current, seenAt }, at);
      }
      return current === undefined ? 'gone' : 'current';
    });
  }

  end({ handle }: SessionRecord, _ending: Ending, patience?: Patience): Promise<boolean> {
    return this.#inTurn(handle, () => this.#destroy(handle, patience));
  }

  whyEnded(): Promise<undefined> {
    return Promise.resolve(undefined);
  }

  #inTurn<T>(handle: string, work: () => Promise<T>): Promise<T> {
    const turn = (this.#underWay.get(handle) ?? Promise.resolve()).then(work, work);
    this.#underWay.set(handle, turn);
    const leave = (): void => {
      if (this.#underWay.get(handle) === turn) {
        this.#underWay.delete(handle);
      }
    };
    turn.then(leave, leave);
    return turn;
  }

  /** True: the contract does not tell whether there was one. */
  async #destroy(handle: string, patience?: Patience): Promise<true> {
    await this.#call<undefined>((done) => {
      this.store.destroy(handle, done);
    }, patience);
    return true;
  }

  async #write({ handle, data, ...ours }: SessionRecord, expiresAt: number, patience?: Patience): Promise<void> {
    // Stores take a session's time to live from its cookie, some from `expires`, some from `maxAge`.
    const cookie = new CookieClass({ maxAge: expiresAt - this.clock.now() });
    const stored: StoredData = { ...(JSON.parse(data) as object), [OURS]: ours, cookie };
    await this.#call<undefined>((done) => {
      this.store.set(handle, stored, done);
    }, patience);
  }

  /** A store's method as a promise that does not outlast the timeout. */
  #call<T>(method: (done: (error?: unknown, result?: T) => void) => void, patience?: Patience): Promise<T> {
    const result = new Promise<T>((resolve, reject) => {
      method((error, value) => {
        // Some file stores report "there is none" so; express-session takes it for that.
        if (error && (error as NodeJS.ErrnoException).code !== 'ENOENT') {
          reject(error instanceof Error ? error : new Error('The session store failed.', { cause: error }));
        } else {
          resolve(value as T);
        }
      });
    });
    return within(this.timeout, result, { patience });
  }
}

/** A store that could not parse what it holds has answered: there is no session. Any other failure stays one. */
function unreadable(error: unknown): undefined {
  if ((error as Error).name !== 'SyntaxError') {
    throw error;
  }
}
