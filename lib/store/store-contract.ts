import type { SessionData } from 'express-session';
import { CookieClass, ExpressSession } from '../http/express-session.js';
import type { Clock } from '../model/clock.js';
import { expiresAt, idleLimit, type Lifetime } from '../model/lifetime.js';
import { secretStatus } from '../model/rotation.js';
import { isHandle, isUserHandle, newSecret, parseSessionId } from '../model/session-id.js';
import { newRecord, type SessionRecord } from '../model/session-record.js';
import { saveMerged } from './merged-save.js';
import { type AtomicSessionStore, type FoundSession, isLive } from './session-store.js';
import { SerialQueues } from './serial-queues.js';

/** The callback of a method of an express-session store, in Node's form. */
export type StoreCallback<T = unknown> = (error?: unknown, result?: T) => void;

/**
 * Passes a promise's result to the callback of an express-session store method; returns it when there is no callback.
 */
export function settle<T>(work: Promise<T>, callback: StoreCallback<T> | undefined): Promise<T | undefined> {
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

/** What was read from the store for an object that was given out. */
interface Read {
  /** The version in the store. */
  readonly record: SessionRecord;
  /** The object's data, as JSON text. */
  readonly data: string;
}

/**
 * express-session's store contract on top of the atomic steps, for third-party code that takes `req.sessionStore` and
 * `req.sessionID`. A session is named by its handle. The whole id (`handle.secret`, as it is signed in the cookie) does
 * as well, and then the secret must be good.
 */
export class StoreContract {
  /** What was read, by the object that was given out for it. Saving such an object never creates a session. */
  readonly #read = new WeakMap<object, Read>();
  readonly #queues = new SerialQueues();

  constructor(
    private readonly store: AtomicSessionStore,
    private readonly lifetime: Lifetime,
    private readonly clock: Clock,
  ) {}

  async get(sid: string): Promise<SessionData | null> {
    const found = await this.#find(sid);
    return found ? this.dataOf(found) : null;
  }

  async set(sid: string, data: SessionData): Promise<void> {
    if (data instanceof ExpressSession) {
      await ExpressSession.save(data);
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
      await this.store.extend(found.record, seenAt, expiresAt({ ...found.record, seenAt }, this.lifetime));
    }
  }

  async destroy(sid: string): Promise<void> {
    const found = await this.#find(sid);
    if (found !== undefined) {
      await this.store.end(found.record, 'logged_out');
    }
  }

  /** A session in the form of express-session's contract: its values, and a cookie that tells when it ends. */
  dataOf({ record, values }: FoundSession): SessionData {
    const cookie = new CookieClass({ expires: new Date(expiresAt(record, this.lifetime)) });
    cookie.originalMaxAge = record.maxAge === null ? null : idleLimit(record, this.lifetime);
    const data: SessionData = { ...values, cookie };
    this.#read.set(data, { record, data: record.data });
    return data;
  }

  /** Treats a `Session` that was made of an object given out like that object. */
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
    const id = isHandle(sid) ? { handle: sid, secret: undefined } : parseSessionId(sid);
    const found = id && (await this.store.find(id.handle));
    if (!isLive(found)) {
      return undefined;
    }
    const opens = id?.secret === undefined || secretStatus(found.record, id.secret, this.clock.now()) !== undefined;
    return opens ? found : undefined;
  }

  /** Creates an anonymous session. No cookie opens it unless the caller knows its secret. */
  async #insert(sid: string, data: string, cookie: SessionData['cookie'] | undefined): Promise<void> {
    const id = isHandle(sid) ? { handle: sid, secret: newSecret() } : parseSessionId(sid);
    if (id === undefined) {
      throw new Error('The id of a session of this store is what req.sessionID gives.');
    }
    if (isUserHandle(id.handle)) {
      return; // The user's session has ended. Saving it does not bring it back.
    }
    const maxAge = cookie?.originalMaxAge;
    const record = { ...newRecord(id, data, this.clock.now()), ...(typeof maxAge === 'number' && { maxAge }) };
    await this.store.insert(record, expiresAt(record, this.lifetime));
  }

  /** The record in the store after a save over what was read; `undefined` when the session has ended. */
  async #update(read: Read, data: string): Promise<SessionRecord | undefined> {
    const result = await saveMerged({
      loaded: read.record,
      before: read.data,
      data,
      change: () => ({ seenAt: this.clock.now() }),
      update: (record) => this.store.update(record, expiresAt(record, this.lifetime)),
      queues: this.#queues,
    });
    return result.outcome === 'saved' ? result.record : undefined;
  }
}

/** The handle in a whole id, or the handle itself. */
function handleOf(sid: string): string {
  return sid.split('.', 1)[0] ?? sid;
}
