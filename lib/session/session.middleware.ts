import {
  SessionNotSerializableException,
  SessionStoreUnavailableException,
  UserLookupFailedException,
} from '../session-auth.errors.js';
import { commitFirst } from './commit-first.js';
import { RequestSession, requestSessionOf } from './request-session.js';
import { type RouteMatcher } from './route-matcher.js';
import { secretMatches } from './session-id.js';
import type { PresentedId } from './session-cookies.js';
import type { FoundSession } from './session-store.js';
import type { SessionRuntime } from './session.runtime.js';
import type { SessionRequest, SessionResponse } from './session.types.js';

export type Next = (error?: unknown) => void;

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
    const session = new RequestSession(request, response, this.runtime);
    equip(request);
    this.commitBefore(response, session, next);
    const presented = cookies.read(request);
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
      const found = await this.find(presented);
      if (found === undefined) {
        session.begin();
        return;
      }
      session.resume(found.session, found.id);
      await this.restoreUser(request, session, found.session);
    } catch (error) {
      if (!(error instanceof SessionStoreUnavailableException)) {
        this.runtime.logger.error('A session could not be taken up; guarded routes answer 503.', error);
      }
      session.giveUp(error);
    }
  }

  /** The first presented id that names a live session and shows its secret: a dead cookie does not hide a live one. */
  private async find(presented: PresentedId[]): Promise<{ id: PresentedId; session: FoundSession } | undefined> {
    for (const id of presented) {
      const session = await this.runtime.keeper.find(id.handle);
      if (session !== undefined && secretMatches(id.secret, session.record.secretHash)) {
        return { id, session };
      }
    }
    return undefined;
  }

  /** Restores the user once per request. Gone: the session ends. Cannot be looked up: guarded routes answer 503. */
  private async restoreUser(
    request: SessionRequest,
    session: RequestSession,
    { record, values }: FoundSession,
  ): Promise<void> {
    const passport = values['passport'] as { user?: unknown } | undefined;
    if (record.login === undefined || passport?.user === undefined) {
      return;
    }
    let user: unknown;
    try {
      user = await this.runtime.users.restore(passport, request);
    } catch (error) {
      this.runtime.logger.error('deserializeUser failed; guarded routes answer 503.', error);
      session.failure = new UserLookupFailedException(error);
      return;
    }
    if (user === undefined || user === null || user === false) {
      await session.dismiss(record);
      return;
    }
    session.user = user;
    request.user = user;
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
