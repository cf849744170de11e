import type { SessionData } from 'express-session';
import type { Clock } from './clock.js';
import { LiveSession } from './live-session.js';
import { saveMerged } from './merged-save.js';
import { CookieClass } from './session-cookies.js';
import { standingOf } from './rotation.js';
import { isHandle, parseSessionId } from './session-id.js';
import { newRecord, type SessionRecord } from './session-record.js';
import type { AtomicSessionStore, FoundSession } from './session-store.js';
import type { LifetimePolicy } from './lifetime-policy.js';

/** What a method of an express-session store calls when it is done, as Node's callbacks are. */
export type StoreCallback<T = unknown> = (error?: unknown, result?: T) => void;

/** Hands a promise's result to the callback of an express-session store method, or on, when there is none. */
export function answer<T>(work: Promise<T>, callback: StoreCallback<T> | undefined): Promise<T | undefined> {
  if (callback === undefined) {
    return work;
  }
  return work.then(
    (result) => {
      callback(null, result);
      return result;
    },
    (error: unknown) => {
      callback(error);
      return undefined;
    },
  );
}

/** What an object handed out held of a session when it was read or last saved. */
interface Read {
  /** What the store held. */
  readonly record: SessionRecord;
  /** What the object held, as JSON text. */
  readonly data: string;
}

/**
 * express-session's store contract on top of the atomic steps, for third-party code that takes `req.sessionStore` and a
 * session id (`handle.secret`). Reading an id shows its secret; a handle alone opens nothing.
 */
export class StoreContract {
  /** What was read, by the object it was handed out as: saving such an object never creates a session. */
  readonly #read = new WeakMap<object, Read>();

  constructor(
    private readonly store: AtomicSessionStore,
    private readonly lifetime: LifetimePolicy,
    private readonly clock: Clock,
  ) {}

  async get(sid: string): Promise<SessionData | null> {
    const found = await this.#find(sid);
    return found ? this.dataOf(found) : null;
  }

  async set(sid: string, data: SessionData): Promise<void> {
    if (data instanceof LiveSession) {
      await LiveSession.commit(data);
      return;
    }
    const { cookie, ...values } = data;
    const text = JSON.stringify(values);
    const known = this.#read.get(data);
    const read = known?.record.handle === handleOf(sid) ? known : await this.#current(sid);
    if (read === undefined) {
      await this.#insert(sid, text, cookie);
      return;
    }
    const record = await this.#update(read, text);
    this.#read.set(data, record ? { record, data: text } : read);
  }

  async touch(sid: string): Promise<void> {
    const found = await this.#find(sid);
    if (found !== undefined) {
      const seenAt = this.clock.now();
      await this.store.extend(found.record, seenAt, this.lifetime.expiryOf({ ...found.record, seenAt }));
    }
  }

  /** Takes a whole id or, as `ids()` gives them, a handle. */
  async destroy(sid: string): Promise<void> {
    const handle = handleOf(sid);
    const found = isHandle(handle) ? await this.store.find(handle) : undefined;
    if (found !== undefined) {
      await this.store.end(found.record, 'logged_out');
    }
  }

  /** What express-session's contract calls a session's data: its values, and a cookie that tells when it ends. */
  dataOf({ record, values }: FoundSession): SessionData {
    const cookie = new CookieClass({ expires: new Date(this.lifetime.expiresAt(record)) });
    cookie.originalMaxAge = record.idle === undefined ? this.lifetime.idle : record.idle;
    const data: SessionData = { ...values, cookie };
    this.#read.set(data, { record, data: record.data });
    return data;
  }

  /** Takes a `Session` made of what was read for the very same. */
  adopt<Made extends object>(made: Made, read: object): Made {
    const known = this.#read.get(read);
    if (known !== undefined) {
      this.#read.set(made, known);
    }
    return made;
  }

  async #current(sid: string): Promise<Read | undefined> {
    const found = await this.#find(sid);
    return found && { record: found.record, data: found.record.data };
  }

  async #find(sid: string): Promise<FoundSession | undefined> {
    const id = parseSessionId(sid);
    const found = id && (await this.store.find(id.handle));
    return found && standingOf(found.record, id.secret, this.clock.now()) ? found : undefined;
  }

  async #insert(sid: string, data: string, cookie: SessionData['cookie'] | undefined): Promise<void> {
    const id = parseSessionId(sid);
    if (id === undefined) {
      throw new Error('A session id of this store is "handle.secret", as this module issues it.');
    }
    const idle = cookie?.originalMaxAge;
    const record = { ...newRecord(id, data, this.clock.now()), ...(typeof idle === 'number' && { idle }) };
    await this.store.insert(record, this.lifetime.expiryOf(record));
  }

  /** What the store holds after a save over what was read; `undefined` when the session has ended. */
  async #update(read: Read, data: string): Promise<SessionRecord | undefined> {
    const saved = await saveMerged({
      loaded: read.record,
      before: read.data,
      data,
      change: () => ({ seenAt: this.clock.now() }),
      update: (record) => this.store.update(record, this.lifetime.expiryOf(record)),
    });
    return typeof saved === 'string' ? undefined : saved;
  }
}

/** The handle of a whole id, or of a handle alone. */
function handleOf(sid: string): string {
  return sid.split('.', 1)[0] ?? sid;
}
