import type { HttpException } from '@nestjs/common';
import type { Store } from 'express-session';
import type { ExpressSession } from '../http/express-session.js';
import { attach, type AttachedSession, attachedTo, isSessionExposed } from '../http/request-properties.js';
import { ResponseCaching } from '../http/response-caching.js';
import { ResponseCookie } from '../http/response-cookie.js';
import type { SessionRequest, SessionResponse } from '../http/session-request.js';
import { parseData } from '../model/session-data.js';
import type { EndedSession } from '../model/session-end.js';
import { newAnonymousSessionId, newUserSessionId, type SessionId } from '../model/session-id.js';
import { proved, recordOfCompletedLogin, recordOfPendingLogin } from '../model/pending-login.js';
import {
  type NewLogin,
  type NewProof,
  recordOfLogin,
  recordOfStepUp,
  type SessionRecord,
} from '../model/session-record.js';
import {
  CookieNotSendableException,
  LoginIncompleteException,
  SessionStoreUnavailableException,
  type SignOutReason,
  UnauthenticatedException,
  UserLookupFailedException,
} from '../session-auth.errors.js';
import type { Amendment } from '../store/merged-save.js';
import type { FoundSession } from '../store/session-store.js';
import type { DataChange } from './data-update.js';
import { ExposedSession, type RequestParts } from './exposed-session.js';
import { LoadedSession } from './loaded-session.js';
import { OtherSessions } from './other-sessions.js';
import type { SessionRepository } from './session-repository.js';
import type { SessionRuntime } from './session-runtime.js';

/** Seconds after which a client may try again when the store or the user database has failed. */
const RETRY_AFTER = 1;

/** The session of a request, if it has one: of Node's or Express's own, or of a request that has Node's at `raw`. */
export function requestSessionOf(request: unknown): RequestSession | undefined {
  return attachedTo(request) as RequestSession | undefined; // Nothing else is ever attached.
}

/**
 * What one request does with its session and its user. The methods stand in the order in which a request calls them:
 * the loader's, then those of the services and guards, then the commit.
 */
export class RequestSession implements AttachedSession, RequestParts {
  protected readonly exposed: ExposedSession;
  protected readonly cookie: ResponseCookie;
  #user: unknown;
  /** The user whose login is pending. */
  #pendingUser: unknown;
  #failure: HttpException | undefined;
  /** The session that a login on this request has opened. */
  #opened: SessionRecord | undefined;
  #repository: SessionRepository | undefined;
  #others: OtherSessions | undefined;
  #caching: ResponseCaching | undefined;
  #spentIn: WeakSet<object> | undefined;
  #isLeaving = false;

  constructor(
    private readonly request: SessionRequest,
    readonly response: SessionResponse,
    protected readonly runtime: SessionRuntime,
  ) {
    this.cookie = new ResponseCookie(request, response, runtime);
    this.exposed = new ExposedSession(request, runtime, this.cookie, this);
    attach(request, this);
  }

  get repository(): SessionRepository {
    return (this.#repository ??= this.runtime.repository.withTimeBudget());
  }

  /** The request's time for the store begins anew. */
  protected renewTimeBudget(): void {
    this.#repository = undefined;
  }

  get others(): OtherSessions {
    return (this.#others ??= new OtherSessions(this.repository, this.runtime.clock));
  }

  get caching(): ResponseCaching {
    return (this.#caching ??= new ResponseCaching(this.response));
  }

  /** `req.sessionID` and `req.session.id`: the session's public name, which is the same when its secret changes. */
  get handle(): string | undefined {
    return this.exposed.loaded?.id.handle;
  }

  /** `req.sessionStore`. */
  get store(): Store {
    return this.runtime.expressStore;
  }

  /** Makes `req.session`, unless that has been done. */
  expressSession(): ExpressSession | undefined {
    return this.exposed.expressSession();
  }

  /** The version in the store; `undefined` while the store has none. */
  get record(): SessionRecord | undefined {
    return this.exposed.record;
  }

  /** The value of `session.passport`: the user's payload. */
  get passport(): { readonly user?: unknown } | undefined {
    return this.exposed.loaded?.passport;
  }

  /** The user whose data the session has: who is logged in or, where the data was kept at a logout, who was. */
  get owner(): string | undefined {
    return this.exposed.loaded?.owner;
  }

  /** The user restored from this very session, or logged in on it. Never what other code has put at `req.user`. */
  get user(): unknown {
    return this.record?.login === undefined ? undefined : this.#user;
  }

  /** The user whose login on this session is not complete. The session is nobody's until it is. */
  get pendingUser(): unknown {
    return this.record?.pending === undefined ? undefined : this.#pendingUser;
  }

  /** Whether a value is that user. */
  isPendingUser(value: unknown): boolean {
    const { pending } = this.record ?? {};
    return pending !== undefined && this.runtime.users.isUserOf(pending.login, value);
  }

  /** Whether the session's pending login is one of this user and waits for this method. */
  waitsFor(method: string, user: unknown): boolean {
    return this.isPendingUser(user) && this.record?.pending?.missing.includes(method) === true;
  }

  /** Whether a value is that user. Other code may have replaced `req.user` by a copy, or by somebody else. */
  isUser(value: unknown): boolean {
    const login = this.record?.login;
    const isOther = login !== undefined && value !== this.#user && !this.runtime.users.isUserOf(login, value);
    return this.user !== undefined && !isOther;
  }

  /** Why it cannot be told now whose request this is: the store or the user database has failed. */
  get failure(): HttpException | undefined {
    return this.#failure;
  }

  /** What a guarded route responds to a request without a user. */
  get denial(): HttpException {
    const { onStoreError } = this.runtime.options;
    const isStoreFailure = this.failure instanceof SessionStoreUnavailableException;
    return (isStoreFailure && onStoreError === 'anonymous' ? undefined : this.failure) ?? this.#unauthenticated;
  }

  /** Why the session of the request's cookie is not live any more; `undefined` where it is, or nobody knows. */
  get signOutReason(): SignOutReason | undefined {
    return this.exposed.signOutReason;
  }

  // For the loader. ------------------------------------------------------------------------------------------------

  /** A new, empty session. */
  begin(): void {
    this.exposed.begin();
  }

  /** The session that the request's cookie names. */
  resume({ record, values }: FoundSession, id: SessionId, hasOlderSignature: boolean): void {
    this.cookie.leave();
    this.exposed.expose(new LoadedSession(id, record, values, hasOlderSignature));
  }

  /** The request's user from now on; `undefined` for nobody, though the session stays as it is. */
  setUser(user: unknown): void {
    this.#user = this.request.user = user;
  }

  /** The user whose login is pending. */
  setPendingUser(user: unknown): void {
    this.#pendingUser = user;
  }

  /** The session that these ids of the request name is not live any more. */
  noteEnd(ids: readonly SessionId[], ended: EndedSession | undefined): void {
    this.exposed.noteEnd(ids, ended);
  }

  /** A login has just replaced the request's anonymous session. */
  superseded(): void {
    this.cookie.supersede();
  }

  /**
   * The request's session is over, so it goes on as an anonymous one.
   * @param wasLive this request has ended it; else another tab may have given the browser a newer cookie
   */
  signedOut(reason: SignOutReason, wasLive: boolean): void {
    this.begin();
    if (wasLive) {
      this.exposed.noteSignOut(reason);
      this.cookie.clear();
    }
  }

  /** The store has failed: the request goes on without any session. */
  giveUp(error: unknown): void {
    const isKnown = error instanceof SessionStoreUnavailableException;
    this.#failure = isKnown ? error : new SessionStoreUnavailableException(error);
    this.exposed.remove();
  }

  /** The user could not be looked up: the request goes on without a user. */
  userLookupFailed(error: unknown): void {
    this.#failure = new UserLookupFailedException(error);
  }

  /** The request ends its session by itself: it logs out, or in again. */
  get isLeaving(): boolean {
    return this.#isLeaving;
  }

  // For services and guards. ---------------------------------------------------------------------------------------

  /** The request does not count as activity. */
  markPassive(): void {
    this.exposed.markPassive();
  }

  /** Opens a session for this user under a new id. When it resolves, that is stored and the former one has ended. */
  logIn(newLogin: NewLogin, user: unknown): Promise<void> {
    return this.exposed.run(async () => {
      this.#checkLogInPossible();
      this.#isLeaving = true;
      const { userId } = newLogin.login;
      const id = newUserSessionId(userId);
      const record = recordOfLogin(id, newLogin, this.runtime.clock.now());
      await this.repository.logIn(record, userId, [this.record ?? [], await this.others.take()].flat());
      await this.#open(id, record, user);
    });
  }

  /** Opens a session for a login of which these methods are missing. It is nobody's until they are proved. */
  logInPending(newLogin: NewLogin, missing: readonly string[], user: unknown): Promise<void> {
    return this.exposed.run(async () => {
      this.#checkLogInPossible();
      const id = newAnonymousSessionId();
      const record = recordOfPendingLogin(id, newLogin, missing, this.runtime.clock.now());
      await this.repository.logInPending(record, [this.record ?? [], await this.others.take()].flat());
      await this.#open(id, record, undefined);
      this.#pendingUser = user;
    });
  }

  /**
   * One of the missing methods was proved. With the last one the user is logged in, under a new id: of requests that
   * prove it at the same time, one logs in.
   */
  proveMethod(method: string): Promise<void> {
    return this.exposed.run(async () => {
      this.#checkLogInPossible();
      const { clock } = this.runtime;
      const hasProved = await this.amend(({ pending }) => {
        const next = pending && proved(pending, method, clock.now());
        return next && { pending: next };
      });
      const { record, pendingUser } = this;
      if (!hasProved || record?.pending === undefined) {
        throw this.denial;
      }
      if (record.pending.missing.length > 0) {
        this.repository.reporter.loginPending(record);
        return;
      }
      const { userId } = record.pending.login;
      const id = newUserSessionId(userId);
      const completed = recordOfCompletedLogin(
        id,
        this.exposed.loaded?.data ?? record.data,
        record.pending,
        clock.now(),
      );
      if (!(await this.repository.replace(record))) {
        throw this.denial; // It was logged out of meanwhile.
      }
      await this.repository.logIn(completed, userId, await this.others.take());
      await this.#open(id, completed, pendingUser);
    });
  }

  /** Gives the session a new id after a new proof of who the user is. It keeps its data and its limits. */
  reauthenticate(proof: NewProof, user: unknown): Promise<void> {
    return this.exposed.run(async () => {
      this.#checkLogInPossible();
      const { loaded } = this.exposed;
      const former = loaded?.record;
      if (loaded === undefined || former?.login === undefined) {
        throw new UnauthenticatedException();
      }
      const id = newUserSessionId(former.login.userId);
      const result = await this.repository.reauthenticate(former, loaded.data, (data, replaced) =>
        recordOfStepUp(id, data, replaced, proof, this.runtime.clock.now()),
      );
      if (result.outcome === 'ended') {
        this.exposed.lose(loaded, result);
        this.setUser(undefined);
        throw new UnauthenticatedException(this.signOutReason);
      }
      await this.#open(id, result.record, user);
    });
  }

  /** Ends the session. When it resolves, the store has ended it, and the response clears the browser's cookie. */
  logOut(keep: Record<string, unknown> = {}): Promise<void> {
    return this.exposed.run(async () => {
      if (this.failure instanceof SessionStoreUnavailableException) {
        throw this.failure;
      }
      this.#isLeaving = true;
      const { loaded } = this.exposed;
      const owner = loaded?.owner;
      const wasLive = loaded !== undefined && (await this.exposed.end(loaded));
      this.exposed.begin().inherit(owner);
      if (Object.keys(keep).length > 0) {
        Object.assign(this.request.session ?? {}, keep);
      }
      // A session that had ended before left the browser then, or a login in another tab has replaced its cookie.
      if (wasLive) {
        this.cookie.clear();
      }
    });
  }

  /** Changes the session's data. When it resolves, that is stored. */
  update(change: DataChange): Promise<void> {
    return this.exposed.run(async () => {
      if (this.failure instanceof SessionStoreUnavailableException) {
        throw this.failure;
      }
      if (!(await this.exposed.update(change))) {
        throw new UnauthenticatedException(this.signOutReason);
      }
    });
  }

  /** Changes what is stored beside the session's data. Returns false when nothing was changed. */
  amend(amendment: Amendment): Promise<boolean> {
    return this.exposed.amend(amendment);
  }

  /** The executions that a proof of the login has been used up for: a request, each message, each GraphQL field. */
  get spentIn(): WeakSet<object> {
    return (this.#spentIn ??= new WeakSet());
  }

  /** Stores what has to be stored before the response may go out; `undefined` when that is nothing. */
  commit(): Promise<void> | undefined {
    const committing = this.exposed.commit();
    if (this.#opened === undefined || this.cookie.isSent) {
      return committing;
    }
    if (committing === undefined) {
      this.#endIfAbandoned();
    }
    return committing?.then(() => {
      this.#endIfAbandoned();
    });
  }

  /** Whether {@link writeHeaders} may set any. */
  get hasHeaders(): boolean {
    return this.response.statusCode === 503 || this.cookie.hasHeader || this.#caching?.hasHeaders === true;
  }

  /** Sets the response's headers: the cookie, what caches may do and, on a 503, when to try again. */
  writeHeaders(): void {
    if (this.response.statusCode === 503 && (this.exposed.hasFailed || this.#failure !== undefined)) {
      this.response.setHeader('Retry-After', RETRY_AFTER);
    }
    this.cookie.writeHeader(isSessionExposed(this.request));
    this.#caching?.writeHeaders();
  }

  /** The response failed, or nobody waits for it. Its cookie is not sent, and a session that it opened ends. */
  discard(): void {
    this.cookie.leave();
    this.#caching?.discard();
    if (this.#opened !== undefined) {
      this.repository.logOut(this.#opened).catch(() => undefined); // Otherwise it expires unused.
    }
  }

  get #unauthenticated(): HttpException {
    const { pending } = this.record ?? {};
    return pending === undefined
      ? new UnauthenticatedException(this.signOutReason)
      : new LoginIncompleteException(pending.missing);
  }

  async #open(id: SessionId, record: SessionRecord, user: unknown): Promise<void> {
    if (this.cookie.isAbandoned || this.cookie.isSent) {
      await this.repository.logOut(record); // Meanwhile: no browser gets its id.
      throw new CookieNotSendableException('The client has hung up, or the response has begun.');
    }
    this.exposed.expose(new LoadedSession(id, record, parseData(record.data)));
    this.cookie.issue(id, record);
    this.#opened = record;
    this.setUser(user);
  }

  #endIfAbandoned(): void {
    if (this.cookie.isAbandoned) {
      this.discard();
    }
  }

  #checkLogInPossible(): void {
    if (this.failure instanceof SessionStoreUnavailableException) {
      throw this.failure;
    }
    // Otherwise the login would end other sessions of this browser or user, for one whose id no browser gets.
    this.cookie.checkSendable();
  }
}
