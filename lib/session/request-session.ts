import type { HttpException } from '@nestjs/common';
import type { Store } from 'express-session';
import {
  CookieNotSendableException,
  SessionStoreUnavailableException,
  type SignOutReason,
  UnauthenticatedException,
} from '../session-auth.errors.js';
import { LiveSession, type SessionOwner } from './live-session.js';
import { attach, isPresent, present, attachedTo, type AttachedSession } from './request-properties.js';
import { ResponseCookie } from './response-cookie.js';
import type { PresentedId } from './session-cookies.js';
import { SessionDraft, type Shown } from './session-draft.js';
import { formatSessionId, newSessionId, type SessionId, tagOfUser } from './session-id.js';
import { EMPTY } from './session-json.js';
import type { Amendment, SessionKeeper } from './session-keeper.js';
import {
  type LoginRecord,
  type NewLogin,
  recordOfLogin,
  recordOfStepUp,
  type SessionRecord,
} from './session-record.js';
import type { FoundSession } from './session-store.js';
import { SessionWriter } from './session-writer.js';
import type { SessionRuntime } from './session.runtime.js';
import type { SessionRequest, SessionResponse } from './session.types.js';
import { Turns } from './turns.js';

/** Seconds after which a client may try again, when it was the store or the user database that failed. */
const RETRY_AFTER = 1;

/** The session of a request (Node's or Express's own, or Fastify's with it at `raw`), if it has one. */
export function requestSessionOf(request: unknown): RequestSession | undefined {
  return attachedTo(request) as RequestSession | undefined; // Nothing else is ever attached.
}

/**
 * One request's dealings with its session: how it begins, what is asked of it meanwhile, and what must be written
 * before the answer goes. `session.middleware.ts` calls it in the order in which a request lives.
 */
export class RequestSession implements SessionOwner, AttachedSession {
  /** The user restored from, or logged in on, this very session. Never what other code put at `req.user`. */
  user: unknown;
  /** Why nobody can tell whose request this is. Logins answer it, and guarded routes unless `onStoreError` differs. */
  failure: HttpException | undefined;
  /** Why the session is no more that the request came with, where that came out while it was taken up. */
  reason: SignOutReason | undefined;
  /** What of the login's freshness this request has used up. */
  spentFor: object | undefined;

  #draft: SessionDraft | undefined;
  /** The session of a login on this request. */
  #begun: SessionRecord | undefined;
  /** What this request asks of the store, one after the other. */
  readonly #turns = new Turns();
  /** The store, as far as this request has time for it. */
  readonly keeper: SessionKeeper;
  readonly #cookie: ResponseCookie;
  readonly #writer: SessionWriter;

  constructor(
    private readonly request: SessionRequest,
    private readonly response: SessionResponse,
    private readonly runtime: SessionRuntime,
    /** The ids in the request's cookies. */
    private readonly presented: readonly PresentedId[],
  ) {
    this.keeper = runtime.keeper.withOneDeadline();
    this.#cookie = new ResponseCookie(request, response, runtime);
    this.#writer = new SessionWriter(runtime, this.keeper, this.#cookie);
    attach(request, this);
  }

  /** `req.sessionID`. */
  get id(): string | undefined {
    return this.#draft && formatSessionId(this.#draft.id);
  }

  /** `req.sessionStore`. */
  get store(): Store {
    return this.runtime.expressStore;
  }

  /** What the session keeps of its user. */
  get passport(): { readonly user?: unknown } | undefined {
    return this.#draft?.passport;
  }

  /** The user whose data the session holds, logged in or (where it was kept) logged out. */
  get owner(): string | undefined {
    return this.#draft?.owner;
  }

  /** What the store holds of this session. */
  get stored(): SessionRecord | undefined {
    return this.#draft?.stored;
  }

  /** What a guarded route answers a request without a user, where that is not 401. */
  get guardFailure(): HttpException | undefined {
    const tolerated =
      this.failure instanceof SessionStoreUnavailableException && this.runtime.options.onStoreError === 'anonymous';
    return tolerated ? undefined : this.failure;
  }

  /** Why the session is no more that the request's cookie names; `undefined` where nobody knows, or it lives. */
  async whySignedOut(): Promise<SignOutReason | undefined> {
    const [id] = this.presented; // Of several dead cookies only the first: a request is not to cost many commands.
    const unknown = this.reason === undefined && this.failure === undefined && this.stored === undefined;
    return unknown && id ? this.keeper.whyEnded(id) : this.reason;
  }

  /** `req.session`, made now if nobody has asked for it before. */
  show(): LiveSession | undefined {
    return this.#draft && this.#show(this.#draft);
  }

  /** The route does not count as activity. */
  markPassive(): void {
    this.#writer.passive = true;
  }

  // How a request begins. ------------------------------------------------------------------------------------------

  /** A new, empty session, of which nothing is stored until something is put into it. */
  begin(): SessionDraft {
    return this.#present(undefined, undefined, {});
  }

  /** Takes up the session that the store holds under the cookie's id. */
  resume({ record, values }: FoundSession, id: SessionId, shown: Shown): void {
    this.#cookie.keep();
    this.#present(id, record, values, shown);
  }

  /** The store is out of reach: the request goes on with no session at all. */
  giveUp(error: unknown): void {
    this.failure =
      error instanceof SessionStoreUnavailableException ? error : new SessionStoreUnavailableException(error);
    this.#draft = undefined;
    delete this.request.session;
  }

  /**
   * The session that the request came with is no more: it goes on as anybody's.
   *
   * @param here it was this request that ended it; a login of the same browser may have replaced it before
   */
  signedOut(reason: SignOutReason, here: boolean): void {
    this.begin();
    if (here) {
      this.reason = reason;
      this.#cookie.forget();
    }
  }

  // What `req.session`, `SessionAuthService` and the guards ask for. -----------------------------------------------

  /** Asked to, writes a session that has not changed as well. */
  save(session: LiveSession): Promise<void> {
    return this.#save(session, () => true);
  }

  async reload(session: LiveSession): Promise<void> {
    const draft = this.#live(session);
    const found = draft && (await this.keeper.find(draft.id.handle));
    if (draft === undefined || found === undefined) {
      throw new Error('failed to load session');
    }
    this.#present(draft.id, found.record, found.values, { ...draft.shown, outdated: false });
  }

  destroy(session: LiveSession): Promise<void> {
    const draft = this.#live(session);
    delete this.request.session;
    return this.#turns.take(async () => {
      await (draft && this.#endStored(draft));
    });
  }

  regenerate(session: LiveSession): Promise<void> {
    return this.#turns.take(async () => {
      const draft = this.#live(session);
      await (draft && this.#endStored(draft));
      const there = this.request.session as LiveSession | undefined;
      if (there === session || there === undefined) {
        this.begin();
      }
    });
  }

  /** A new session under a new id for this user, stored when it resolves; the old one has ended then. */
  logIn(newLogin: NewLogin, user: unknown): Promise<void> {
    return this.#turns.take(async () => {
      this.#refuseLogInIfVain();
      const { userId } = newLogin.login;
      const id = newSessionId(tagOfUser(userId));
      const record = recordOfLogin(id, newLogin, this.runtime.clock.now());
      await this.keeper.logIn(record, userId, this.stored);
      this.#loggedIn(id, record, user);
    });
  }

  /** The same session under a new id, with its data and its limits and a new proof of who the user is. */
  reauthenticate(proof: Pick<LoginRecord, 'method' | 'stamp'>, user: unknown): Promise<void> {
    return this.#turns.take(async () => {
      this.#refuseLogInIfVain();
      const { stored, data = EMPTY } = this.#draft ?? {};
      if (stored?.login === undefined) {
        throw new UnauthenticatedException();
      }
      const { userId, device } = stored.login;
      const id = newSessionId(tagOfUser(userId));
      const login = { ...proof, userId, ...(device !== undefined && { device }) };
      const record = await this.keeper.reauthenticate(stored, data, (next) =>
        recordOfStepUp(id, next, stored, login, this.runtime.clock.now()),
      );
      if (typeof record === 'string') {
        this.#lose(stored, record);
        this.user = this.request.user = undefined;
        throw new UnauthenticatedException(await this.whySignedOut());
      }
      this.#loggedIn(id, record, user);
    });
  }

  /** Ends the session and has the browser forget the cookie; resolved means that the store has forgotten it. */
  logOut(keep: Record<string, unknown> = {}): Promise<void> {
    return this.#turns.take(async () => {
      if (this.failure instanceof SessionStoreUnavailableException) {
        throw this.failure;
      }
      const { owner } = this;
      const ended = this.#draft !== undefined && (await this.#endStored(this.#draft));
      this.begin().inheritedFrom = owner;
      if (Object.keys(keep).length > 0) {
        Object.assign(this.request.session ?? {}, keep);
      }
      // One that had ended before has left the browser, or was replaced there by a login in another tab.
      if (ended) {
        this.#cookie.forget();
      }
    });
  }

  /** Changes what the store keeps beside the session's data. False when that was not, or no longer, to be changed. */
  async amend(amendment: Amendment): Promise<boolean> {
    const draft = this.#draft;
    const amended = draft?.stored && (await this.keeper.amend(draft.stored, amendment));
    if (amended !== undefined) {
      draft?.takeIn(amended, draft.stored?.data ?? EMPTY);
    }
    return amended !== undefined;
  }

  // How a request ends. --------------------------------------------------------------------------------------------

  /** What has to reach the store before the answer may go; `undefined` when that is nothing. */
  commit(): Promise<void> | undefined {
    const { underWay } = this.#turns;
    if (underWay !== undefined) {
      return underWay.then(() => this.commit()); // A save or a logout that the handler did not wait for.
    }
    const draft = this.#current();
    if (draft === undefined) {
      return undefined;
    }
    return this.#mustSave(draft)
      ? this.#save(this.#show(draft), (data) => draft.differs(data))
      : this.#writer.renew(draft);
  }

  /** Adds to the answer's headers: the cookie, when it is sent, renewed or taken back; on a 503, when to return. */
  writeHeaders(): void {
    if (this.response.statusCode === 503 && (this.#turns.failed || this.failure !== undefined)) {
      this.response.setHeader('Retry-After', RETRY_AFTER);
    }
    this.#cookie.write(isPresent(this.request) ? this.#draft : undefined);
  }

  /** The answer failed: whatever cookie was to go with it does not. A login on it ends, for nobody will ever show its id. */
  dropCookie(): void {
    this.#cookie.keep();
    if (this.#begun !== undefined) {
      this.keeper.logOut(this.#begun).catch(() => undefined); // What is left of it then runs out unused.
    }
  }

  // ----------------------------------------------------------------------------------------------------------------

  /** What this object is the request's present session of; `undefined` when it is not, or that has ended. */
  #live(session: LiveSession): SessionDraft | undefined {
    const draft = this.#draft;
    const { id } = this;
    const stands = this.request.session === session && session.id === id && this.request.sessionID === id;
    if (!stands || draft?.ended !== false) {
      return undefined;
    }
    draft.adopt(session);
    return draft;
  }

  /** The session that stands at `req.session`, unless that was taken away or has ended. */
  #current(): SessionDraft | undefined {
    const draft = this.#draft;
    if (!isPresent(this.request) || draft?.ended !== false) {
      return undefined;
    }
    return draft.live === undefined ? draft : this.#live(this.request.session as LiveSession);
  }

  /** Puts a session under this id at `req.session`. */
  #present(
    id: SessionId | undefined,
    stored: SessionRecord | undefined,
    values: Record<string, unknown>,
    shown?: Shown,
  ): SessionDraft {
    present(this.request);
    this.#draft = new SessionDraft(id, stored, values, shown);
    return this.#draft;
  }

  #show(draft: SessionDraft): LiveSession {
    return draft.show((values) => {
      const now = this.runtime.clock.now();
      const session = new LiveSession(this.request, this, values);
      session.cookie = this.#cookie.of(draft.stored ?? { createdAt: now, seenAt: now });
      return session;
    });
  }

  #loggedIn(id: SessionId, record: SessionRecord, user: unknown): void {
    this.#present(id, record, JSON.parse(record.data) as Record<string, unknown>);
    this.#cookie.issue(id);
    this.#begun = record;
    this.user = this.request.user = user;
  }

  #save(session: LiveSession, worthwhile: (data: string) => boolean): Promise<void> {
    return this.#turns.take(async () => {
      const draft = this.#live(session);
      if (draft === undefined) {
        return;
      }
      const { data, stored } = draft;
      if (stored === undefined) {
        await this.#writer.create(draft, data);
      } else if (worthwhile(data)) {
        const ended = await this.#writer.update(draft, data, stored);
        if (ended !== undefined) {
          this.#lose(stored, ended);
        }
      }
    });
  }

  #mustSave(draft: SessionDraft): boolean {
    try {
      return draft.differs(draft.data);
    } catch {
      return true; // Which then fails, and says why.
    }
  }

  /** The session ended while this request ran. The handler's answer goes out; its writes do not. */
  #lose({ login }: SessionRecord, how: 'gone' | 'replaced'): void {
    this.#draft?.end();
    // Replaced by a login in another tab, the browser has a newer cookie; an anonymous session may have been.
    if (login !== undefined && how === 'gone') {
      this.#cookie.forget();
    }
  }

  /** False when the store had nothing of the session to end. */
  async #endStored(draft: SessionDraft): Promise<boolean> {
    if (draft.stored === undefined) {
      return false;
    }
    const ended = await this.keeper.logOut(draft.stored);
    draft.end();
    this.user = undefined;
    return ended;
  }

  #refuseLogInIfVain(): void {
    if (this.failure instanceof SessionStoreUnavailableException) {
      throw this.failure;
    }
    if (this.#cookie.forNobody) {
      // It would end the browser's session, or others of the user's by `maxSessions`, for one that nobody gets.
      throw new CookieNotSendableException('The client has hung up.');
    }
    const unsendable = this.#cookie.whyUnsendable();
    if (unsendable !== undefined) {
      this.runtime.logOnce(unsendable);
      throw new CookieNotSendableException(unsendable);
    }
  }
}
