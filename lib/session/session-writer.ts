import { within } from './deadline.js';
import type { ResponseCookie } from './response-cookie.js';
import { offered } from './rotation.js';
import type { SessionDraft } from './session-draft.js';
import { hashSecret, newSecret, type SessionId } from './session-id.js';
import { EMPTY } from './session-json.js';
import type { SessionKeeper } from './session-keeper.js';
import { newRecord, type SessionRecord } from './session-record.js';
import type { SessionRuntime } from './session.runtime.js';

/**
 * For so long after it was loaded, a session is taken to be alive still, in milliseconds. Later, a cookie that would
 * only be renewed needs the store's word: a login in another tab may have replaced it (expressjs/session#923).
 */
const RECENT = 50;
/** So long is that word waited for at the most; without it, the cookie is left as it is. */
const LONGEST_CONFIRMATION = 20;

/** Writes what a request made of its session: its data, that it was used, a new secret; and has the cookie say so. */
export class SessionWriter {
  /** The route does not count as activity. */
  passive = false;

  readonly #begunAt: number;

  constructor(
    private readonly runtime: SessionRuntime,
    private readonly keeper: SessionKeeper,
    private readonly cookie: ResponseCookie,
  ) {
    this.#begunAt = runtime.clock.now();
  }

  /** Stores a new session, unless nothing is in it, or its cookie could not be sent. */
  async create(draft: SessionDraft, data: string): Promise<void> {
    if (data === EMPTY) {
      return;
    }
    const unsendable = this.cookie.whyUnsendable();
    if (unsendable !== undefined) {
      this.runtime.logOnce(unsendable);
      return;
    }
    const { wishedIdle: idle, owner } = draft;
    const { clock } = this.runtime;
    const record = {
      ...newRecord(draft.id, data, clock.now()),
      ...(idle !== undefined && { idle }),
      ...(owner !== undefined && { owner }),
    };
    await this.keeper.insert(record);
    draft.written(record, data);
    this.cookie.issue(draft.id);
  }

  /**
   * Saves a session's data and, in the same step, whatever else is due.
   *
   * @returns how the session has ended meanwhile, if it has: nothing was written then
   */
  async update(draft: SessionDraft, data: string, loaded: SessionRecord): Promise<'gone' | 'replaced' | undefined> {
    const { lifetime, clock } = this.runtime;
    const now = clock.now();
    const { wishedIdle: idle } = draft;
    const renew = idle !== undefined || (!this.passive && lifetime.touchDue(loaded, now));
    const offer = this.#offerDue(draft, loaded, now) ? newSecret() : undefined;
    const saved = await this.keeper.save(loaded, data, (current) => ({
      ...(renew && { seenAt: now }),
      ...(idle !== undefined && { idle }),
      ...(offer && this.#offerDue(draft, current, now) && offered(current, offer.hash, now)),
    }));
    if (typeof saved === 'string') {
      return saved;
    }
    draft.written(saved, data);
    if (offer !== undefined && saved.rotation?.offers.includes(offer.hash) === true) {
      this.cookie.issue({ handle: draft.id.handle, secret: offer.secret });
    } else if ((renew || draft.shown.outdated) && this.#mayRenew(draft, saved, now)) {
      this.cookie.issue(draft.id);
    }
    return undefined;
  }

  /**
   * For a session whose data is as it was: offers a new secret when that is due. Notes activity once in a while, off
   * the answer's path, and renews the cookie with it; signs it anew where that is due.
   */
  renew(draft: SessionDraft): Promise<void> | undefined {
    const { lifetime, clock } = this.runtime;
    const { stored, shown } = draft;
    const now = clock.now();
    if (stored === undefined) {
      return undefined;
    }
    if (this.#offerDue(draft, stored, now)) {
      return this.#offer(draft, stored, now);
    }
    let alive: Promise<boolean> | undefined;
    if (!this.passive && lifetime.touchDue(stored, now)) {
      alive = this.keeper.touch(stored, now);
      draft.seen(now);
    }
    if (this.cookie.gone || (alive === undefined && !shown.outdated) || !this.#mayRenew(draft, stored, now)) {
      return undefined;
    }
    if (now - this.#begunAt < RECENT) {
      this.cookie.issue(draft.id);
      return undefined;
    }
    return alive && this.#issueOnceConfirmed(alive, draft.id);
  }

  async #offer(draft: SessionDraft, stored: SessionRecord, now: number): Promise<void> {
    const { secret, hash } = newSecret();
    const { lifetime } = this.runtime;
    const saved = await this.keeper.offer(stored, hash, this.passive ? {} : { seenAt: now });
    if (saved !== undefined) {
      draft.takeIn(saved, stored.data);
      this.cookie.issue({ handle: draft.id.handle, secret });
    } else if (!this.passive && lifetime.touchDue(stored, now)) {
      void this.keeper.touch(stored, now); // The request that was faster need not have been activity.
    }
  }

  async #issueOnceConfirmed(alive: Promise<boolean>, id: SessionId): Promise<void> {
    if (await within(LONGEST_CONFIRMATION, alive).catch(() => false)) {
      this.cookie.issue(id);
    }
  }

  /** Whether this answer is to offer a new secret: only the holder of the current one is offered another. */
  #offerDue(draft: SessionDraft, record: SessionRecord, now: number): boolean {
    return !this.cookie.gone && this.runtime.lifetime.offerDue(record, now) && isCurrent(draft, record);
  }

  /**
   * Whether the cookie may go out again as it is. Not while a new secret is on offer, nor shortly before: the answer
   * may arrive late, and must not put the old secret over the new one.
   */
  #mayRenew(draft: SessionDraft, record: SessionRecord, now: number): boolean {
    const { lifetime } = this.runtime;
    const onOffer = (record.rotation?.offeredAt ?? 0) > 0;
    return !onOffer && !lifetime.offerDue(record, now + lifetime.rotationGrace) && isCurrent(draft, record);
  }
}

/** Whether the secret that the request works with is the one that the store holds for current. */
function isCurrent({ id, shown }: SessionDraft, record: SessionRecord): boolean {
  return shown.standing === 'current' && record.secretHash === hashSecret(id.secret);
}
