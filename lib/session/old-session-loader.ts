import type { SessionRequest } from '../http/session-request.js';
import { expiresAt } from '../model/lifetime.js';
import {
  type OldId,
  parseOldSession,
  recordOfAdopted,
  type Successor,
  successorKnownFor,
} from '../model/old-session.js';
import { secretStatus } from '../model/rotation.js';
import { isJustReplaced } from '../model/session-end.js';
import { type FoundSession, isLive } from '../store/session-store.js';
import type { RequestSession } from './request-session.js';
import type { AdoptedUser, Adoption, SessionRuntime } from './session-runtime.js';

/** An old session's new one, and its user where this request has asked for them. */
export interface CarriedOver {
  readonly found: FoundSession;
  readonly user?: AdoptedUser | undefined;
}

/**
 * Carries a session of express-session over, step by step:
 *
 *     old session -> is it known what it has become? -> user -> new session -> that is written down -> old one deleted
 *
 * Requests of one browser that do so at the same time, in whichever process, open the same session: its handle and its
 * first secret are derived from the old id, and only the first one creates it. If a step fails, the old session is still
 * there, and the next request begins anew. Once it is written down what an old session has become, it becomes nothing
 * else any more: not when that has ended, nor when an instance of the old stack writes the old one again.
 *
 * The holder of the old cookie holds the new session's first secret, and each response offers them the next one, as in a
 * rotation. So a browser that has lost the response is not signed out, a connection that can set no cookie can carry a
 * session over, and the old cookie opens nothing any more `rotationGrace` after the new one was first shown.
 */
export class OldSessionLoader {
  constructor(
    private readonly runtime: SessionRuntime,
    private readonly adoption: Adoption,
  ) {}

  /**
   * @param own the anonymous session of ours that the request shows as well. The old one replaces it if somebody is logged
   * in there
   * @returns `undefined` where the request shows no old session, or none that is live
   */
  async load(
    request: SessionRequest,
    session: RequestSession,
    own: FoundSession | undefined,
  ): Promise<CarriedOver | undefined> {
    const old = this.adoption.cookies.read(request);
    if (old === undefined) {
      return undefined;
    }
    const { sessions } = this.adoption;
    const { repository } = session;
    const { budget } = repository;
    // In this order: a request that deletes the old one has written down before what it has become.
    const stored = await repository.ask('adopt', sessions.find(old.id, budget));
    const known = await repository.ask('adopt', sessions.findSuccessor(old.place, budget));
    if (known !== undefined) {
      await (stored && repository.ask('adopt', sessions.remove(old.id, budget)));
      return this.#resume(session, old, known, own);
    }
    return stored && this.#carryOver(request, session, old, stored, own);
  }

  async #carryOver(
    request: SessionRequest,
    session: RequestSession,
    old: OldId,
    stored: { text: string; ttl: number },
    own: FoundSession | undefined,
  ): Promise<CarriedOver | undefined> {
    const { clock, lifetime, rotationKeys, logger } = this.runtime;
    const { sessions } = this.adoption;
    const { repository } = session;
    const { budget, reporter } = repository;
    const parsed = parseOldSession(stored.text, clock.now());
    const { payload, data = {}, cookie = {} } = parsed ?? {};
    if (payload === undefined && (own !== undefined || Object.keys(data).length === 0)) {
      return undefined; // There is nothing to carry over.
    }
    let user: AdoptedUser | undefined;
    try {
      user =
        payload === undefined
          ? undefined
          : await session.showing({ ...data, passport: { user: payload } }, () =>
              this.adoption.restore(payload, request),
            );
    } catch (error) {
      logger.error('The user of an old session could not be restored; guarded routes respond 503.', error);
      session.userLookupFailed(error);
      return undefined;
    }
    if (payload !== undefined && user === undefined) {
      await repository.ask('adopt', sessions.remove(old.id, budget));
      return undefined;
    }
    const whole = user === undefined ? data : { ...data, passport: user.passport };
    const record = recordOfAdopted(old, user?.login, whole, rotationKeys, clock.now());
    const isFirst = await repository.ask('adopt', sessions.open(record, expiresAt(record, lifetime), budget));
    if (isFirst) {
      reporter.adopted(record);
    }
    const successor = { handle: record.handle, cookie };
    const knownFor = successorKnownFor(parsed, stored.ttl, lifetime.absolute);
    const noting = sessions.noteSuccessor(old.place, successor, record.secretHash, knownFor, budget);
    const isNoted = await repository.ask('adopt', noting);
    await repository.ask('adopt', sessions.remove(old.id, budget));
    const known = isNoted ? successor : await repository.ask('adopt', sessions.findSuccessor(old.place, budget));
    if (known?.handle !== record.handle) {
      await repository.logOut(record); // The browser has logged out meanwhile, or in again.
      return undefined;
    }
    const carried = await this.#resume(session, old, successor, own);
    return carried && { ...carried, user: isFirst ? user : undefined };
  }

  async #resume(
    session: RequestSession,
    old: OldId,
    { handle, cookie }: Successor,
    own: FoundSession | undefined,
  ): Promise<CarriedOver | undefined> {
    const { repository } = session;
    const id = { handle, secret: old.secret };
    const found = await repository.find(handle);
    if (!isLive(found) || repository.isExpired(found.record)) {
      const ended = isLive(found) ? undefined : found;
      session.noteEnd([id], ended);
      if (ended !== undefined && isJustReplaced(handle, ended)) {
        session.superseded();
      }
      return undefined;
    }
    if (secretStatus(found.record, id.secret, this.runtime.clock.now()) === undefined) {
      return undefined; // The browser has shown the new cookie long ago. Who shows the old one alone is not known.
    }
    if (own !== undefined && found.record.login === undefined) {
      return undefined; // Both are nobody's. That of our own cookie is the newer one.
    }
    if (own !== undefined) {
      await repository.logOut(own.record, 'replaced');
    }
    session.resumeAdopted(found, id, this.adoption.cookies.takeBack(cookie));
    return { found };
  }
}
