import { type Cookie, CookieClass, dataOf, type ExpressSession } from '../http/express-session.js';
import { changesBetween, EMPTY, parseData, stringify } from '../model/session-data.js';
import { hashSecret, newAnonymousSessionId, type SessionId } from '../model/session-id.js';
import type { SessionRecord } from '../model/session-record.js';

/** Two ages of a cookie that differ by no more than this are the same, in milliseconds. */
const TICKS = 5;

/**
 * One session as one request works on it: the record in the store, and what the handler does to it at `req.session`.
 * That object is made when somebody first asks for it. Most requests never do, and then nothing of it can have changed.
 */
export class LoadedSession {
  #id: SessionId | undefined;
  #record: SessionRecord | undefined;
  #values: Record<string, unknown> | undefined;
  #express: ExpressSession | undefined;
  #hasEnded = false;
  /** The user whose data the session had before they logged out. */
  #formerOwner: string | undefined;
  /** The cookie's age when `req.session` was made. Another one is the application's wish. */
  #givenMaxAge: number | null = null;

  /**
   * @param id left out for a new anonymous session: it gets one when that is first asked for
   * @param record the version in the store; `undefined` while the store has none
   * @param values the record's data, parsed; `undefined` to parse them when somebody asks
   * @param hasOlderSignature the cookie was signed by an older value of the option `secret`
   * @param isAdopted the request shows it by the cookie of the stack that is being moved from
   */
  constructor(
    id: SessionId | undefined,
    record: SessionRecord | undefined,
    values: Record<string, unknown> | undefined,
    readonly hasOlderSignature = false,
    readonly isAdopted = false,
  ) {
    this.#id = id;
    this.#record = record;
    this.#values = values;
  }

  private get values(): Record<string, unknown> {
    return (this.#values ??= parseData(this.#record?.data ?? EMPTY));
  }

  get id(): SessionId {
    return (this.#id ??= newAnonymousSessionId());
  }

  /** The version in the store, as last read or written by this request; `undefined` while the store has none. */
  get record(): SessionRecord | undefined {
    return this.#record;
  }

  /** It ended while the request ran. Nothing of it is written any more. */
  get hasEnded(): boolean {
    return this.#hasEnded;
  }

  /** `req.session`, if somebody has asked for it. */
  get express(): ExpressSession | undefined {
    return this.#express;
  }

  /** The user whose data it is: who is logged in or, where the data was kept at a logout, who was. */
  get owner(): string | undefined {
    return this.#record?.login?.userId ?? this.#record?.owner ?? this.#formerOwner;
  }

  /** The value of `session.passport`: the user's payload, where Passport keeps it. */
  get passport(): { readonly user?: unknown } | undefined {
    return this.values['passport'] as { user?: unknown } | undefined;
  }

  /**
   * The data of `req.session` as JSON text.
   *
   * @throws SessionNotSerializableException
   */
  get data(): string {
    if (this.#express !== undefined) {
      return stringify(dataOf(this.#express));
    }
    // A payload that is an object may be the very object at `req.user`, and may have been changed there.
    return typeof this.passport?.user === 'object' ? stringify(this.values) : (this.#record?.data ?? EMPTY);
  }

  /**
   * The data, if the store has to be written to; `undefined` where nothing has changed.
   *
   * @throws SessionNotSerializableException
   */
  get unsaved(): string | undefined {
    const { data } = this;
    const isChanged = data !== (this.#record?.data ?? EMPTY);
    return isChanged || (this.#record !== undefined && this.newMaxAge !== undefined) ? data : undefined;
  }

  /** The cookie's age, where the application has set another one by `req.session.cookie`. */
  get newMaxAge(): number | null | undefined {
    const cookie: unknown = this.#express?.cookie;
    if (!(cookie instanceof CookieClass)) {
      return undefined; // A handler may have put something else there.
    }
    const { originalMaxAge } = cookie;
    const change = Math.abs((originalMaxAge ?? Infinity) - (this.#givenMaxAge ?? Infinity));
    // The age counts from the moment that it is set, so that setting the same one may come out as a tick less.
    if (originalMaxAge === this.#givenMaxAge || change <= TICKS) {
      return undefined;
    }
    return Number.isFinite(originalMaxAge) ? originalMaxAge : null;
  }

  /** Whether the request's secret is the current one of this record. */
  hasCurrentSecret(record: SessionRecord): boolean {
    return record.secretHash === hashSecret(this.id.secret);
  }

  /** Makes `req.session`, unless that has been done. */
  expressSession(make: (values: Record<string, unknown>) => ExpressSession): ExpressSession {
    if (this.#express === undefined) {
      this.#express = make(this.values);
      this.#givenMaxAge = (this.#express.cookie as Cookie).originalMaxAge;
    }
    return this.#express;
  }

  /** A handler has put another object of this session at `req.session`. */
  replaceExpressSession(express: ExpressSession): void {
    this.#express = express;
  }

  /** The data kept at a logout stays that user's. */
  inherit(owner: string | undefined): void {
    this.#formerOwner = owner;
  }

  /**
   * The store now has this version, in which `data` is what this request knew. The changes of other requests are
   * applied to `req.session`: the next save would take a key that is missing there for deleted.
   */
  merge(record: SessionRecord, data: string): void {
    for (const [key, value] of data === record.data ? [] : changesBetween(data, record.data)) {
      const target = this.#express ?? this.values;
      if (value === undefined) {
        Reflect.deleteProperty(target, key);
      } else {
        Reflect.set(target, key, value);
      }
    }
    this.#record = record;
  }

  /** This request's data and the new age of its cookie have been saved: see {@link merge}. */
  saved(record: SessionRecord, data: string): void {
    this.merge(record, data);
    const { newMaxAge } = this;
    this.#givenMaxAge = newMaxAge === undefined ? this.#givenMaxAge : newMaxAge;
  }

  /** Activity has been written down. */
  touched(seenAt: number): void {
    this.#record = this.#record && { ...this.#record, seenAt };
  }

  /** The session has ended, here or elsewhere. */
  end(): void {
    this.#formerOwner = this.owner;
    this.#record = undefined;
    this.#hasEnded = true;
  }
}
