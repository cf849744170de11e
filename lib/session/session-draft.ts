import { dataOf, type LiveSession } from './live-session.js';
import type { Standing } from './rotation.js';
import type { Cookie } from './session-cookies.js';
import type { SessionId } from './session-id.js';
import { EMPTY, stringify } from './session-json.js';
import { changesBetween, type SessionRecord } from './session-record.js';

/** How a request came to its session. */
export interface Shown {
  /** What the secret was that the request showed. An offered one has taken over by now. */
  readonly standing: Standing;
  /** The cookie is signed by an older secret. */
  readonly outdated: boolean;
}

/** One session as one request works on it: what the store held, and what the handler makes of it at `req.session`. */
export class SessionDraft {
  /** It ended while the request ran: nothing of it is to be written any more. */
  ended = false;
  /** Whose data the new session was begun with. */
  inheritedFrom: string | undefined;
  /** What the store holds of it, as last read or written here; `undefined` while it holds nothing. */
  #stored: SessionRecord | undefined;
  /** The cookie's age as the application was given it: another one is its wish for an idle limit of the session's own. */
  #givenMaxAge: number | null;

  constructor(
    readonly id: SessionId,
    /** `req.session`. */
    public live: LiveSession,
    stored: SessionRecord | undefined,
    readonly shown: Shown = { standing: 'current', outdated: false },
  ) {
    this.#stored = stored;
    this.#givenMaxAge = (live.cookie as Cookie).originalMaxAge;
  }

  get stored(): SessionRecord | undefined {
    return this.#stored;
  }

  /** The user whose data it holds, logged in or (where it was kept) logged out. */
  get owner(): string | undefined {
    return this.#stored?.login?.userId ?? this.#stored?.owner ?? this.inheritedFrom;
  }

  /** What `req.session` holds, as JSON text. */
  get data(): string {
    return stringify(dataOf(this.live));
  }

  /** The idle limit that the application asked for by `req.session.cookie.maxAge`, `null` for the browser's own end. */
  get wishedIdle(): number | null | undefined {
    const { originalMaxAge } = this.live.cookie as Cookie;
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
    this.#givenMaxAge = (this.live.cookie as Cookie).originalMaxAge;
  }

  /**
   * The store holds this now, where it held `data` when this request last looked. What others wrote since belongs into
   * `req.session`, or the next save would take it for deleted.
   */
  takeIn(record: SessionRecord, data: string): void {
    for (const [key, value] of data === record.data ? [] : changesBetween(data, record.data)) {
      if (value === undefined) {
        Reflect.deleteProperty(this.live, key);
      } else {
        Reflect.set(this.live, key, value);
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
}
