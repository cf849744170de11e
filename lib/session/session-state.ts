import type { HttpException } from '@nestjs/common';
import type { Store } from 'express-session';
import type { ExpressSession } from '../http/express-session.js';
import { attach, type AttachedSession } from '../http/request-properties.js';
import { ResponseCaching } from '../http/response-caching.js';
import { ResponseCookie } from '../http/response-cookie.js';
import type { SessionRequest, SessionResponse } from '../http/session-request.js';
import type { EndedSession } from '../model/session-end.js';
import type { SessionId } from '../model/session-id.js';
import type { SessionRecord } from '../model/session-record.js';
import {
  LoginIncompleteException,
  SessionStoreUnavailableException,
  type SignOutReason,
  UnauthenticatedException,
  UserLookupFailedException,
} from '../session-auth.errors.js';
import type { FoundSession } from '../store/session-store.js';
import { ExposedSession, type RequestParts } from './exposed-session.js';
import { LoadedSession } from './loaded-session.js';
import { OtherSessions } from './other-sessions.js';
import type { SessionRepository } from './session-repository.js';
import type { SessionRuntime } from './session-runtime.js';

/** Which session a request has, and which user. The loader finds out, and everybody else reads it here. */
export class SessionState implements AttachedSession, RequestParts {
  protected readonly exposed: ExposedSession;
  protected readonly cookie: ResponseCookie;
  #user: unknown;
  /** The user whose login is pending. */
  #pendingUser: unknown;
  #failure: HttpException | undefined;
  #repository: SessionRepository | undefined;
  #others: OtherSessions | undefined;
  /** What caches may do, where anybody has said so. */
  protected cachingRules: ResponseCaching | undefined;

  constructor(
    protected readonly request: SessionRequest,
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
    return (this.#others ??= new OtherSessions(this.request, this.runtime, this.repository, this.cookie));
  }

  get caching(): ResponseCaching {
    return (this.cachingRules ??= new ResponseCaching(this.response));
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

  /**
   * The session that the request's old cookie has become.
   *
   * @param takeBack the `Set-Cookie` value that takes the old cookie back, once the browser gets ours
   */
  resumeAdopted({ record, values }: FoundSession, id: SessionId, takeBack: string): void {
    this.cookie.leave();
    this.cookie.replaces(takeBack);
    this.exposed.expose(new LoadedSession(id, record, values, false, true));
  }

  /** Has `req.session` show these values while the work goes on. Nothing of it is stored. */
  async showing<T>(values: Record<string, unknown>, work: () => Promise<T>): Promise<T> {
    const { loaded } = this.exposed;
    this.exposed.expose(new LoadedSession(undefined, undefined, values));
    try {
      return await work();
    } finally {
      if (loaded === undefined) {
        this.exposed.remove();
      } else {
        this.exposed.expose(loaded);
      }
    }
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

  get #unauthenticated(): HttpException {
    const { pending } = this.record ?? {};
    return pending === undefined
      ? new UnauthenticatedException(this.signOutReason)
      : new LoginIncompleteException(pending.missing);
  }
}
