import { setTimeout } from 'node:timers/promises';
import {
  SessionNotSerializableException,
  SessionStoreUnavailableException,
  UserLookupFailedException,
} from '../session-auth.errors.js';
import { commitFirst } from './commit-first.js';
import { RequestSession, requestSessionOf } from './request-session.js';
import { type RouteMatcher } from './route-matcher.js';
import { type Standing, standingOf } from './rotation.js';
import { sameHash, type SessionId } from './session-id.js';
import type { PresentedId } from './session-cookies.js';
import type { Shown } from './session-draft.js';
import type { SessionRecord } from './session-record.js';
import type { RestoredUser, SessionRuntime } from './session.runtime.js';
import type { SessionRequest, SessionResponse } from './session.types.js';

/** So long after a change of credentials it is known which session is to be kept, in milliseconds. */
const SPARED_WITHIN = 100;

/** Hands the request on, or an error to the application's error handling. */
type Next = (error?: unknown) => void;

/**
 * A request's whole story, top to bottom:
 *
 *     cookie -> verified id -> one GET -> req.session, req.user -> guards, handler -> commit -> headers
 *
 * It takes nothing but a Node request and response.
 */
export class SessionMiddleware {
  constructor(
    private readonly runtime: SessionRuntime,
    private readonly isExcluded: RouteMatcher,
  ) {}

  readonly use = (request: SessionRequest, response: SessionResponse, next: Next): void => {
    const { cookies, equip, keeper } = this.runtime;
    const hasSession = Boolean(request.session) || requestSessionOf(request) !== undefined;
    if (hasSession || this.isExcluded(request) || !cookies.covers(request)) {
      next();
      return;
    }
    const presented = cookies.read(request);
    const session = new RequestSession(request, response, this.runtime, presented);
    equip(request);
    this.commitBefore(response, session, next);
    if (presented.length === 0 && !keeper.disconnected) {
      session.begin();
      next();
      return;
    }
    void this.load(request, session, presented).then(() => {
      next();
    }, next);
  };

  /** Fills `req.session` and `req.user`. A store or a user database that fails is for the guards to answer. */
  private async load(request: SessionRequest, session: RequestSession, presented: PresentedId[]): Promise<void> {
    try {
      if (this.runtime.keeper.disconnected) {
        throw new Error('The session store is disconnected.');
      }
      if (!(await this.takeUp(session, presented))) {
        session.begin();
      } else {
        await this.restoreUser(request, session);
      }
    } catch (error) {
      if (!(error instanceof SessionStoreUnavailableException)) {
        this.runtime.logger.error('A session could not be taken up; guarded routes answer 503.', error);
      }
      session.giveUp(error);
    }
  }

  /** Takes up the first live session of which an id shows a secret: a dead cookie does not hide a live one. */
  private async takeUp(session: RequestSession, presented: PresentedId[]): Promise<boolean> {
    const { keeper } = session;
    const { clock } = this.runtime;
    for (const handle of new Set(presented.map((id) => id.handle))) {
      const found = await keeper.findEvenRunOut(handle);
      if (found === undefined) {
        continue;
      }
      const ids = presented.filter((id) => id.handle === handle);
      const shown = bestOf(ids, found.record, clock.now());
      const runOut = keeper.runOut(found.record);
      if (runOut !== undefined) {
        session.reason ??= shown && runOut;
        continue;
      }
      if (shown !== undefined) {
        const { id, standing } = shown;
        const taken = standing === 'offered' ? await keeper.takeOver(found, id.secret) : found;
        session.resume(taken, id, standing === 'offered' ? { ...shown, standing: 'current' } : shown);
        return true;
      }
      const ended = await keeper.endReused(found.record, ids[0]?.secret ?? '');
      session.signedOut('reuse_detected', ended);
    }
    return false;
  }

  /** Restores the user once per request. Gone: the session ends. Cannot be looked up: guarded routes answer 503. */
  private async restoreUser(request: SessionRequest, session: RequestSession): Promise<void> {
    const { users, logger } = this.runtime;
    const { keeper, stored, passport } = session;
    if (stored?.login === undefined || passport?.user === undefined) {
      return;
    }
    let restored: RestoredUser | undefined;
    try {
      restored = await users.restore(passport, stored.login.userId, request);
    } catch (error) {
      logger.error('deserializeUser failed; guarded routes answer 503.', error);
      session.failure = new UserLookupFailedException(error);
      return;
    }
    if (restored === undefined) {
      session.signedOut('revoked', await keeper.dismiss(stored));
    } else if (await this.credentialsHold(session, stored, restored.stamp)) {
      session.user = request.user = restored.user;
    } else {
      const ended = await keeper.revoke(stored, 'credentials_changed', 'credentials-changed');
      session.signedOut('credentials_changed', ended);
    }
  }

  /**
   * Whether the user's credentials are the ones of the login. A session from before there were stamps has none, and
   * ends. `credentialsChanged({ keep })` may be about to spare this session, so an older stamp is looked at twice.
   */
  private async credentialsHold(
    session: RequestSession,
    { handle, login }: SessionRecord,
    present: string | undefined,
  ): Promise<boolean> {
    const holds = (stamp: string | null | undefined): boolean =>
      present === undefined || stamp === null || (stamp !== undefined && sameHash(stamp, present));
    let stamp = login?.stamp;
    if (!holds(stamp)) {
      await setTimeout(SPARED_WITHIN);
      stamp = (await session.keeper.find(handle))?.record.login?.stamp;
    }
    if (stamp === null && present !== undefined) {
      await session.amend(({ login: now }) =>
        now?.stamp === null ? { login: { ...now, stamp: present } } : undefined,
      );
    }
    return holds(stamp);
  }

  /** Whoever follows a redirect or receives a 200 finds the data saved; a failed save is an error, not a 200. */
  private commitBefore(response: SessionResponse, session: RequestSession, next: Next): void {
    commitFirst(response, {
      commit: (streaming) => (streaming ? this.commitLate(session) : session.commit()),
      writeHeaders: () => {
        session.writeHeaders();
      },
      fail: (error) => {
        session.dropCookie();
        if (error instanceof SessionNotSerializableException) {
          this.runtime.logger.error(error.message, error.cause);
        }
        next(error);
      },
      refuse: next,
    });
  }

  /** The status has gone out: what a handler changes after a stream's first byte is still saved, but cannot fail it. */
  private commitLate(session: RequestSession): Promise<void> | undefined {
    const { stored } = session;
    return session.commit()?.then(
      () => {
        if (session.stored !== stored) {
          this.runtime.logger.warn('A session was changed after the answer had begun. It was saved, but late.');
        }
      },
      (error: unknown) => {
        this.runtime.logger.error('A session changed after the answer had begun could not be saved.', error);
      },
    );
  }
}

/** Of the ids that name a session, the one that opens it: an offered secret before the one that it is to replace. */
function bestOf(
  ids: readonly PresentedId[],
  record: SessionRecord,
  now: number,
): ({ id: SessionId; standing: Standing } & Shown) | undefined {
  const shown = ids.flatMap((id) => {
    const standing = standingOf(record, id.secret, now);
    return standing === undefined ? [] : { id, standing, outdated: id.outdated };
  });
  return (
    shown.find(({ standing }) => standing === 'offered') ??
    shown.find(({ standing }) => standing === 'current') ??
    shown[0]
  );
}
