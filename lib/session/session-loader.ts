import { setTimeout } from 'node:timers/promises';
import type { PresentedId } from '../http/session-cookies.js';
import type { SessionRequest } from '../http/session-request.js';
import { type SecretStatus, secretStatus } from '../model/rotation.js';
import type { LoginRecord } from '../model/login-record.js';
import type { MissingUser } from '../model/session-event.js';
import { isJustReplaced } from '../model/session-end.js';
import { sameHash } from '../model/session-id.js';
import type { SessionRecord } from '../model/session-record.js';
import { SessionStoreUnavailableException } from '../session-auth.errors.js';
import { type FoundSession, isLive } from '../store/session-store.js';
import { OldSessionLoader } from './old-session-loader.js';
import type { RequestSession } from './request-session.js';
import type { RestoredUser, SessionRuntime } from './session-runtime.js';

/**
 * How long after a change of credentials `credentialsChanged({ keep })` may still name the session to keep, and how often
 * that is looked for, in milliseconds. Where nobody calls it, a session with another stamp takes so long to end, once.
 */
const KEEP_WITHIN = 300;
const LOOK_EVERY = 100;

const USER_MISMATCH =
  'A session ended because its user was not the one who had logged in. Either its payload was changed by the ' +
  "application's code, or UserSerializer.userId() gives the restored user another id than it gave at the login.";

/** Loads a request's session by the ids in its cookies, and restores the session's user. */
export class SessionLoader {
  readonly #old: OldSessionLoader | undefined;

  constructor(private readonly runtime: SessionRuntime) {
    this.#old = runtime.adoption && new OldSessionLoader(runtime, runtime.adoption);
  }

  /**
   * Loads `req.session` and `req.user`. Never rejects: if the store or the user database fails, the guards respond to
   * that.
   *
   * @param presented the ids in the request's cookies whose signature holds
   */
  async load(request: SessionRequest, session: RequestSession, presented: readonly PresentedId[]): Promise<void> {
    try {
      if (this.runtime.repository.disconnected) {
        throw new Error('The session store is disconnected.');
      }
      const found = await this.resume(session, presented);
      const carried = isNobodys(found) ? await this.#old?.load(request, session, found) : undefined;
      const loaded = carried?.found ?? found;
      if (loaded === undefined) {
        session.begin();
      } else if (carried?.user !== undefined) {
        session.setUser(carried.user.user);
      } else {
        await this.restoreUser(request, session, loaded);
      }
    } catch (error) {
      if (!(error instanceof SessionStoreUnavailableException)) {
        this.runtime.logger.error('A session could not be loaded; guarded routes respond 503.', error);
      }
      session.giveUp(error);
    }
  }

  /** Resumes the first live session that one of the ids opens. The cookie of an ended one does not hide a live one. */
  private async resume(session: RequestSession, presented: readonly PresentedId[]): Promise<FoundSession | undefined> {
    const { repository } = session;
    let isSuperseded = false;
    const handles = [...new Set(presented.map((id) => id.handle))];
    for (const [place, handle] of handles.entries()) {
      const ids = presented.filter((id) => id.handle === handle);
      const found = await repository.find(handle);
      if (!isLive(found) || repository.isExpired(found.record)) {
        const ended = isLive(found) ? undefined : found;
        session.noteEnd(ids, ended);
        isSuperseded ||= ended !== undefined && isJustReplaced(handle, ended);
        continue;
      }
      const best = bestOf(ids, found.record, this.runtime.clock.now());
      if (best !== undefined) {
        const promotes = best.status === 'pending';
        const promoted = promotes ? await repository.promote(found, best.id.secret) : found;
        session.resume(promoted, best.id, best.id.hasOlderSignature);
        if (place + 1 < handles.length) {
          const others = handles.slice(place + 1);
          session.others.addIds(presented.filter((id) => others.includes(id.handle)));
        }
        return promoted;
      }
      const wasLive = await repository.endReused(found.record, ids[0]?.secret ?? '');
      session.signedOut('reuse_detected', wasLive);
      const ended = wasLive ? undefined : await repository.find(handle); // Another request was faster.
      if (ended !== undefined && !isLive(ended)) {
        session.noteEnd(ids, ended);
      }
    }
    if (isSuperseded) {
      session.superseded();
    }
    return undefined;
  }

  /**
   * Restores the user who is logged in, or whose login is pending, once per request. Without a user the session ends; if
   * the lookup fails, guarded routes respond 503.
   */
  private async restoreUser(
    request: SessionRequest,
    session: RequestSession,
    { record, values }: FoundSession,
  ): Promise<void> {
    const { users, logger } = this.runtime;
    const { repository } = session;
    const { pending, login = pending?.login } = record;
    const passport = (pending ?? values).passport as { user?: unknown } | undefined;
    if (login === undefined || passport?.user === undefined) {
      return;
    }
    let restored: RestoredUser | MissingUser;
    try {
      restored = await users.restore(passport, login, request);
    } catch (error) {
      logger.error('deserializeUser failed; guarded routes respond 503.', error);
      session.userLookupFailed(error);
      return;
    }
    if (restored === 'user_mismatch') {
      this.runtime.logOnce(USER_MISMATCH);
    }
    if (typeof restored === 'string') {
      session.signedOut('revoked', await repository.endWithoutUser(record, restored));
    } else if (!(await this.hasValidCredentials(session, record.handle, login.stamp, restored.stamp))) {
      const wasLive = await repository.revoke(record, 'credentials_changed', 'credentials_changed');
      session.signedOut('credentials_changed', wasLive);
    } else if (pending === undefined) {
      session.setUser(restored.user);
    } else {
      session.setPendingUser(restored.user);
    }
  }

  /**
   * Whether the user's credential stamp is still that of the login. A session from before the serializer had stamps has
   * none, and ends. `credentialsChanged({ keep })` may be about to spare this session, so another stamp is compared
   * again.
   */
  private async hasValidCredentials(
    session: RequestSession,
    handle: string,
    former: LoginRecord['stamp'],
    present: string | undefined,
  ): Promise<boolean> {
    const matches = (stamp: string | null | undefined): boolean =>
      present === undefined || stamp === null || (stamp !== undefined && sameHash(stamp, present));
    let stamp = former;
    for (let waited = 0; !matches(stamp) && waited < KEEP_WITHIN; waited += LOOK_EVERY) {
      await setTimeout(LOOK_EVERY);
      const found = await session.repository.find(handle);
      if (!isLive(found)) {
        return false;
      }
      stamp = (found.record.login ?? found.record.pending?.login)?.stamp;
    }
    if (stamp === null && present !== undefined) {
      await session.amend(({ login: current }) =>
        current?.stamp === null ? { login: { ...current, stamp: present } } : undefined,
      );
    }
    return matches(stamp);
  }
}

function isNobodys(found: FoundSession | undefined): boolean {
  return found?.record.login === undefined && found?.record.pending === undefined;
}

/** A browser that has several cookies of one session shows the pending secret beside the one that it replaces. */
const PREFERENCE: readonly SecretStatus[] = ['pending', 'current', 'grace'];

/** Of the ids of one session, the one that opens it; `undefined` where none does. */
function bestOf(
  ids: readonly PresentedId[],
  record: SessionRecord,
  now: number,
): { id: PresentedId; status: SecretStatus } | undefined {
  let best: { id: PresentedId; status: SecretStatus } | undefined;
  for (const id of ids) {
    const status = secretStatus(record, id.secret, now);
    const isBetter = best === undefined || (status && PREFERENCE.indexOf(status) < PREFERENCE.indexOf(best.status));
    if (status !== undefined && isBetter) {
      best = { id, status };
    }
  }
  return best;
}
