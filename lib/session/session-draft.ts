import { dataOf, type LiveSession } from './live-session.js';
import type { Standing } from './rotation.js';
import type { Cookie } from './session-cookies.js';
import { newSessionId, type SessionId } from './session-id.js';
import { EMPTY, stringify } from './session-json.js';
import { changesBetween, type SessionRecord } from './session-record.js';

/** How a request came to its session. */
export interface Shown {
  /** What the secret was that the request showed. An offered one has taken over by now. */
  readonly standing: Standing;
  /** The cookie is signed by an older secret. */
  readonly outdated: boolean;
}

const FRESH: Shown = { standing: 'current', outdated: false };

/**
 * One session as one request works on it: what the store held, and what the handler makes of it at `req.session`. That
 * is made when somebody first asks for it: most requests never do, and then nothing of it can have changed.
 */
export class SessionDraft {
  /** It ended while the request ran: nothing of it is to be written any more. */
  ended = false;
  /** Whose data the new session was begun with. */
  inheritedFrom: string | undefined;
  #id: SessionId | undefined;
  /** What the store holds of it, as last read or written here; `undefined` while it holds nothing. */
  #stored: SessionRecord | undefined;
  /** `req.session`, where somebody has asked for it. */
  #live: LiveSession | undefined;
  /** The cookie's age as the application was given it: another is its wish for an idle limit of the session's own. */
  #givenMaxAge: number | null = null;

  /**
   * @param id a new one where there is none, once it is asked for
   * @param values what the store held, parsed
   */
  constructor(
    id: SessionId | undefined,
    stored: SessionRecord | undefined,
    private values: Record<string, unknown>,
    readonly shown: Shown = FRESH,
  ) {
    this.#id = id;
    this.#stored = stored;
  }

  get id(): SessionId {
    return (this.#id ??= newSessionId());
  }

  get stored(): SessionRecord | undefined {
    return this.#stored;
  }

  get live(): LiveSession | undefined {
    return this.#live;
  }

  /** The user whose data it holds, logged in or (where it was kept) logged out. */
  get owner(): string | undefined {
    return this.#stored?.login?.userId ?? this.#stored?.owner ?? this.inheritedFrom;
  }

  /** What stands under `passport`, as Passport has it: the user's payload. */
  get passport(): { readonly user?: unknown } | undefined {
    return this.values['passport'] as { user?: unknown } | undefined;
  }

  /** What `req.session` holds, as JSON text. */
  get data(): string {
    // A payload that is an object may be at `req.user`, and may have been changed there.
    const shared = typeof this.passport?.user === 'object';
    return this.#live === undefined && !shared ? (this.#stored?.data ?? EMPTY) : stringify(this.#values());
  }

  /** Makes `req.session`, with what it holds and its cookie. */
  show(make: (values: Record<string, unknown>) => LiveSession): LiveSession {
    if (this.#live === undefined) {
      this.#live = make(this.values);
      this.#givenMaxAge = (this.#live.cookie as Cookie).originalMaxAge;
    }
    return this.#live;
  }

  /** Takes another object of the same session for its `req.session`: a handler has put it there. */
  adopt(live: LiveSession): void {
    this.#live = live;
  }

  /** The idle limit that the application asked for by `req.session.cookie.maxAge`, `null` for the browser's own end. */
  get wishedIdle(): number | null | undefined {
    if (this.#live === undefined) {
      return undefined;
    }
    const { originalMaxAge } = this.#live.cookie as Cookie;
    if (originalMaxAge === this.#givenMaxAge) {
      return undefined;
    }
    return Number.isFinite(originalMaxAge) ? originalMaxAge : null;
  }

  /** Whether the store is to be written to, for this data. */
  differs(data: string): boolean {
    return data !== (this.#stored?.data ?? EMPTY) || (this.#stored !== undefined && this.wishedIdle !== undefined);
  }

  /** The store holds this now: this request's data, and what others wrote meanwhile. */
  written(record: SessionRecord, data: string): void {
    this.takeIn(record, data);
    if (this.#live !== undefined) {
      this.#givenMaxAge = (this.#live.cookie as Cookie).originalMaxAge;
    }
  }

  /**
   * The store holds this now, where it held `data` when this request last looked. What others wrote since belongs into
   * `req.session`, or the next save would take it for deleted.
   */
  takeIn(record: SessionRecord, data: string): void {
    for (const [key, value] of data === record.data ? [] : changesBetween(data, record.data)) {
      const target = this.#live ?? this.values;
      if (value === undefined) {
        Reflect.deleteProperty(target, key);
      } else {
        Reflect.set(target, key, value);
      }
    }
    this.#stored = record;
  }

  /** Activity has been noted. */
  seen(seenAt: number): void {
    this.#stored = this.#stored && { ...this.#stored, seenAt };
  }

  /** The session has ended, here or elsewhere. */
  end(): void {
    this.inheritedFrom = this.owner;
    this.#stored = undefined;
    this.ended = true;
  }

  #values(): Record<string, unknown> {
    return this.#live === undefined ? this.values : dataOf(this.#live);
  }
}
