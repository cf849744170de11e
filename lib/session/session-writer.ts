import type { ResponseCookie } from '../http/response-cookie.js';
import { hasStaleRequest } from '../model/kept-request.js';
import { isRotationDue, isTouchDue } from '../model/lifetime.js';
import { nextSecret, type Offer } from '../model/rotation.js';
import { EMPTY } from '../model/session-data.js';
import { newRecord, type SessionRecord } from '../model/session-record.js';
import type { Amendment } from '../store/merged-save.js';
import type { EndedResult } from '../store/session-store.js';
import type { LoadedSession } from './loaded-session.js';
import type { SessionRepository } from './session-repository.js';
import type { SessionRuntime } from './session-runtime.js';

const MAX_AGE_TOO_LONG =
  'req.session.cookie.maxAge was set beyond the absolute limit of the session, which ends there all the same. To stay ' +
  "logged in for longer, log in with `remember`, as in LoginGuard('local', { remember: '30d' }), or raise lifetime.absolute.";

/**
 * Writes what a request made of its session: its data, its activity, the next secret. The cookie is only set after the
 * store has confirmed that the request's secret is still the current one. So a late response cannot put an old id over
 * a new one.
 */
export class SessionWriter {
  #isPassive = false;

  constructor(
    private readonly runtime: SessionRuntime,
    private readonly repository: SessionRepository,
    private readonly cookie: ResponseCookie,
  ) {}

  /** The request does not count as activity. */
  markPassive(): void {
    this.#isPassive = true;
  }

  /** Stores a new session, unless it is empty, its cookie cannot be sent, or that would replace a login's cookie. */
  async create(session: LoadedSession, data: string): Promise<void> {
    if (data === EMPTY || this.cookie.isAbandoned) {
      return;
    }
    const unsendable = this.cookie.whyUnsendable();
    if (unsendable !== undefined) {
      this.runtime.logOnce(unsendable);
      return;
    }
    const { id, owner } = session;
    const maxAge = this.#newMaxAge(session);
    const record = {
      ...newRecord(id, data, this.runtime.clock.now()),
      ...(maxAge !== undefined && { maxAge }),
      ...(owner !== undefined && { owner }),
    };
    if (this.cookie.isSuperseded) {
      this.repository.reporter.saveDropped(record);
      return;
    }
    await this.repository.insert(record);
    session.saved(record, data);
    this.cookie.issue(id, record);
  }

  /**
   * Saves a session's data and, in the same step, whatever else is due.
   *
   * @returns how the session has ended meanwhile, if it has: then nothing was written
   */
  async update(session: LoadedSession, loaded: SessionRecord, data: string): Promise<EndedResult | undefined> {
    const { lifetime, clock } = this.runtime;
    const now = clock.now();
    const maxAge = this.#newMaxAge(session);
    const isActivity = maxAge !== undefined || (!this.#isPassive && isTouchDue(loaded, lifetime, now));
    const needsCookie = maxAge !== undefined || session.hasOlderSignature;
    let offer: Offer | undefined;
    const result = await this.repository.save(loaded, data, (current) => {
      offer = this.#offerDue(session, current, now, needsCookie);
      return { ...(isActivity && { seenAt: now }), ...(maxAge !== undefined && { maxAge }), ...offer?.change };
    });
    if (result.outcome === 'ended') {
      return result;
    }
    session.saved(result.record, data);
    if (offer !== undefined) {
      this.#issueNext(session, result.record, offer);
    } else if (needsCookie && session.hasCurrentSecret(result.record)) {
      this.cookie.issue(session.id, result.record);
    }
    return undefined;
  }

  /**
   * For a session whose data has not changed: offers the next secret or signs the cookie anew, if that is due, and
   * writes activity down now and then, and drops a kept request whose time is over. The response waits for none of this
   * but the first two.
   */
  keepAlive(session: LoadedSession): Promise<void> | undefined {
    const { lifetime, clock } = this.runtime;
    const { record } = session;
    if (record === undefined) {
      return undefined;
    }
    const now = clock.now();
    const offer = this.#offerDue(session, record, now, session.hasOlderSignature);
    if (offer !== undefined) {
      return this.#offerNext(session, record, offer, now);
    }
    if (session.hasOlderSignature && !this.cookie.isSent) {
      return this.#signAnew(session, record, now);
    }
    if (!this.#isPassive && isTouchDue(record, lifetime, now)) {
      void this.repository.touch(record, now);
      session.touched(now);
    }
    if (hasStaleRequest(record, now)) {
      // Nobody goes on with it, and it may have what should not lie about. If that fails, the next request does it.
      const drop: Amendment = (current) => (hasStaleRequest(current, now) ? { kept: undefined } : undefined);
      void this.repository.amend(record, drop).catch(() => undefined);
    }
    return undefined;
  }

  /** The cookie's age, where the application has set another one. It does not move the absolute limit. */
  #newMaxAge({ newMaxAge, record }: LoadedSession): number | null | undefined {
    if ((newMaxAge ?? 0) > (record?.remember ?? this.runtime.lifetime.absolute)) {
      this.runtime.logOnce(MAX_AGE_TOO_LONG, 'warn');
    }
    return newMaxAge;
  }

  async #offerNext(session: LoadedSession, loaded: SessionRecord, due: Offer, now: number): Promise<void> {
    if (due.change === undefined) {
      if (await this.#confirm(session, loaded, now)) {
        this.#issueNext(session, loaded, due);
      }
      return;
    }
    let offer: Offer | undefined;
    const result = await this.repository
      .amend(loaded, (current) => {
        offer = this.#offerDue(session, current, now, session.hasOlderSignature);
        return offer?.change && { ...(!this.#isPassive && { seenAt: now }), ...offer.change };
      })
      .catch(() => undefined); // An event has reported it. The next request offers again.
    if (result === undefined || result.outcome === 'ended') {
      return;
    }
    session.merge(result.record, loaded.data);
    // "Unchanged": a parallel request was faster, but perhaps its request was no activity.
    if (offer !== undefined && (result.outcome === 'saved' || (await this.#confirm(session, result.record, now)))) {
      this.#issueNext(session, result.record, offer);
    }
  }

  async #signAnew(session: LoadedSession, record: SessionRecord, now: number): Promise<void> {
    if (session.hasCurrentSecret(record) && (await this.#confirm(session, record, now))) {
      this.cookie.issue(session.id, record);
    }
  }

  /** Writes activity down, and tells whether the store still has the record's secret for the current one. */
  async #confirm(session: LoadedSession, record: SessionRecord, now: number): Promise<boolean> {
    const seenAt = this.#isPassive ? record.seenAt : now;
    const isCurrent = await this.repository.confirm(record, seenAt);
    if (isCurrent) {
      session.touched(seenAt);
    }
    return isCurrent;
  }

  /**
   * The next secret, if it is due: for the holder of the current one, and while a cookie can still be set. Who shows an
   * old cookie holds the current one, but has no cookie of ours.
   *
   * @param needsCookie the response sets the cookie anyway. Then a rotation that is due soon is not waited for: its
   * cookie could be overtaken by one with the present secret.
   */
  #offerDue(session: LoadedSession, record: SessionRecord, now: number, needsCookie: boolean): Offer | undefined {
    const { lifetime, rotationKeys } = this.runtime;
    const at = needsCookie ? now + lifetime.rotationGrace : now;
    const isDue = (session.isAdopted || isRotationDue(record, lifetime, at)) && !this.cookie.isSent;
    return isDue && session.hasCurrentSecret(record) ? nextSecret(record, session.id.secret, rotationKeys) : undefined;
  }

  #issueNext({ id }: LoadedSession, record: SessionRecord, { secret }: Offer): void {
    this.cookie.issue({ handle: id.handle, secret }, record);
  }
}
