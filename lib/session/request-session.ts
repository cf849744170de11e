import type { HttpException } from '@nestjs/common';
import {
  CookieNotSendableException,
  SessionConflictException,
  SessionNotSerializableException,
  SessionStoreUnavailableException,
} from '../session-auth.errors.js';
import { LiveSession, type SessionOwner, dataOf } from './live-session.js';
import { type Cookie, type PresentedId } from './session-cookies.js';
import { formatSessionId, hashSecret, newSessionId, tagOfUser, type SessionId } from './session-id.js';
import { applyChanges, changesBetween, type LoginRecord, type SessionRecord } from './session-record.js';
import type { FoundSession, SaveOutcome } from './session-store.js';
import type { SessionRuntime } from './session.runtime.js';
import type { SessionRequest, SessionResponse } from './session.types.js';

/** How often a save that met a newer version merges and tries again, before it gives up. */
const MOST_SAVE_ATTEMPTS = 20;

/** An object whose JSON is this has nothing worth storing. */
const EMPTY = '{}';

const sessions = new WeakMap<object, RequestSession>();

/** The session of a request (Node's or Express's own, or Fastify's with it at `raw`), if it has one. */
export function requestSessionOf(request: unknown): RequestSession | undefined {
  if (typeof request !== 'object' || request === null) {
    return undefined;
  }
  return sessions.get(request) ?? sessions.get((request as { raw?: object }).raw ?? request);
}

/** What a new login writes down. */
export interface NewLogin {
  readonly login: Omit<LoginRecord, 'at'>;
  /** What the new session holds from the start. */
  readonly data: Record<string, unknown>;
  /** This session's own idle and absolute limit, in milliseconds. */
  readonly remember?: number;
  readonly user: unknown;
}

/**
 * One request's dealings with its session: what the store held, what the handler made of it, and what must be written
 * before the answer goes. `session.middleware.ts` calls it in the order in which a request lives.
 */
export class RequestSession implements SessionOwner {
  /** The user restored from, or logged in on, this very session. Never what other code put at `req.user`. */
  user: unknown;
  /** Why nobody can tell who this request is from. Logins answer it, and guarded routes unless `onStoreError` differs. */
  failure: HttpException | undefined;

  #id!: SessionId;
  /** What the store holds of this session; `undefined` while it holds nothing. */
  #stored: SessionRecord | undefined;
  /** The session's data as the handler first saw it, or as it was last written. */
  #baseline = EMPTY;
  #issuedMaxAge: number | null | undefined;
  #cookie: 'keep' | 'issue' | 'expire' = 'keep';
  /** The session ended while the request ran: nothing of it is to be written any more. */
  #ended = false;
  #lastWork: Promise<unknown> = Promise.resolve();

  constructor(
    private readonly request: SessionRequest,
    private readonly response: SessionResponse,
    private readonly runtime: SessionRuntime,
  ) {
    sessions.set(request, this);
    Object.assign(request, { sessionStore: runtime.expressStore });
  }

  /** What the store holds of this session. */
  get stored(): SessionRecord | undefined {
    return this.#stored;
  }

  /** A new, empty session, of which nothing is stored until something is put into it. */
  begin(): void {
    this.#stored = undefined;
    this.#ended = false;
    this.#present(newSessionId(), EMPTY, {});
  }

  /** Takes up the session that the store holds under the cookie's id. */
  resume({ record, values }: FoundSession, presented: PresentedId): void {
    this.#stored = record;
    this.#present(presented, record.data, values);
    if (presented.outdated) {
      this.#cookie = 'issue';
    }
  }

  /** The store is out of reach: the request goes on with no session at all. */
  giveUp(error: unknown): void {
    this.failure =
      error instanceof SessionStoreUnavailableException ? error : new SessionStoreUnavailableException(error);
    this.#ended = true;
    delete this.request.session;
    delete this.request.sessionID;
  }

  /** What a guarded route answers a request without a user, where that is not 401. */
  get guardFailure(): HttpException | undefined {
    const tolerated =
      this.failure instanceof SessionStoreUnavailableException && this.runtime.options.onStoreError === 'anonymous';
    return tolerated ? undefined : this.failure;
  }

  /** Ends the session whose user is gone; the request goes on as anybody's. */
  async dismiss(): Promise<void> {
    const handle = this.#id.handle;
    await this.ask('remove', this.runtime.store.remove(handle));
    this.runtime.events.emit({ type: 'ended', handle, reason: 'user-gone' }, this.#now());
    this.begin();
    this.#cookie = 'expire';
  }

  // What `req.session` and `SessionAuthService` ask for. -----------------------------------------------------------

  save(session: LiveSession): Promise<void> {
    return this.#inTurn(async () => {
      if (this.#isLive(session)) {
        await this.#write(session, this.#serialize(session));
      }
    });
  }

  async reload(session: LiveSession): Promise<void> {
    const { handle } = this.#id;
    const found = this.#isLive(session) ? await this.ask('find', this.runtime.store.find(handle)) : undefined;
    if (found === undefined) {
      throw new Error('failed to load session');
    }
    this.#stored = found.record;
    this.#present(this.#id, found.record.data, found.values);
  }

  destroy(session: LiveSession): Promise<void> {
    const ends = this.#isLive(session);
    delete this.request.session;
    return this.#inTurn(async () => {
      if (ends) {
        await this.#endStored();
      }
    });
  }

  regenerate(session: LiveSession): Promise<void> {
    return this.#inTurn(async () => {
      if (this.#isLive(session)) {
        await this.#endStored();
        this.begin();
      }
    });
  }

  /** A new session under a new id for this user, stored when it resolves; the old one has ended then. */
  logIn({ login, data, remember, user }: NewLogin): Promise<void> {
    return this.#inTurn(async () => {
      this.#refuseIfNotUsable();
      const now = this.#now();
      const id = newSessionId(tagOfUser(login.userId));
      const record: SessionRecord = {
        handle: id.handle,
        secretHash: hashSecret(id.secret),
        version: 1,
        createdAt: now,
        seenAt: now,
        ...(remember !== undefined && { idle: remember, absolute: remember }),
        login: { ...login, at: now },
        data: stringify(data),
      };
      await this.#insert(record);
      await this.#endReplaced(record);
      this.#stored = record;
      this.#ended = false;
      this.#present(id, record.data, JSON.parse(record.data) as Record<string, unknown>);
      this.#cookie = 'issue';
      this.user = user;
      this.request.user = user;
      const { userId, method } = login;
      this.runtime.events.emit(
        { type: 'logged-in', userId, handle: id.handle, ...(method !== undefined && { method }) },
        now,
      );
    });
  }

  /** Ends the session and has the browser forget the cookie; resolved means that the store has forgotten it. */
  logOut(keep: Record<string, unknown> = {}): Promise<void> {
    return this.#inTurn(async () => {
      if (this.failure instanceof SessionStoreUnavailableException) {
        throw this.failure;
      }
      const hadCookie = this.#stored !== undefined || this.#ended;
      await this.#endStored();
      this.begin();
      Object.assign(this.request.session ?? {}, keep);
      if (hadCookie) {
        this.#cookie = 'expire';
      }
    });
  }

  // What the request loop asks for. --------------------------------------------------------------------------------

  /**
   * What has to reach the store before the answer may go, `undefined` when that is nothing. Settles the cookie too,
   * which {@link writeCookie} then sends.
   */
  commit(): Promise<void> | undefined {
    const session = this.request.session;
    if (!(session instanceof LiveSession) || !this.#isLive(session)) {
      return undefined;
    }
    try {
      if (this.#mustWrite(session, this.#serialize(session))) {
        return this.save(session);
      }
    } catch (error) {
      return Promise.reject(error as Error);
    }
    this.#touch();
    return undefined;
  }

  /** The answer failed: whatever cookie was to go with it does not. */
  dropCookie(): void {
    this.#cookie = 'keep';
  }

  /** Sends, renews or expires the cookie with this answer, if that is due. */
  writeCookie(): void {
    if (this.#cookie === 'keep') {
      return;
    }
    const { cookies } = this.runtime;
    const cookie = this.request.session?.cookie as Cookie | undefined;
    const value =
      this.#cookie === 'issue' && cookie !== undefined && this.#stored !== undefined
        ? cookies.issue(this.#id, this.#datedCookie(cookie, this.#stored))
        : cookies.expire(cookies.for(this.request));
    if (cookies.sendable(cookie ?? cookies.for(this.request), this.request)) {
      const others = [this.response.getHeader('Set-Cookie') ?? []].flat().map(String);
      this.response.setHeader('Set-Cookie', [...others.filter((one) => !cookies.isOurs(one)), value]);
      // Nobody else may get this answer from a cache, and the cookie with it (RFC 6265, section 8.1; RFC 9111, 7.3).
      this.response.setHeader('Cache-Control', 'no-store');
    }
  }

  /** Asks the store; an answer that does not come is a 503 and an event. */
  async ask<T>(operation: string, answer: Promise<T>): Promise<T> {
    try {
      return await answer;
    } catch (error) {
      this.runtime.events.emit({ type: 'store-error', operation, error }, this.#now());
      throw new SessionStoreUnavailableException(error);
    }
  }

  // ----------------------------------------------------------------------------------------------------------------

  #now(): number {
    return this.runtime.clock.now();
  }

  /** Lets this request's own writes follow one another; between requests the store's versions decide. */
  #inTurn(work: () => Promise<void>): Promise<void> {
    const turn = this.#lastWork.then(work, work);
    this.#lastWork = turn.catch(() => undefined);
    return turn;
  }

  /** Whether this object is the request's present session, and that has not ended. */
  #isLive(session: LiveSession): boolean {
    return session.id === this.request.sessionID && this.request.session === session && !this.#ended;
  }

  /** Puts a session under this id at `req.session`. */
  #present(id: SessionId, data: string, values: Record<string, unknown>): void {
    this.#id = id;
    this.#baseline = data;
    this.request.sessionID = formatSessionId(id);
    const session = new LiveSession(this.request, this, values);
    const cookie = this.runtime.cookies.for(this.request);
    session.cookie = cookie;
    this.request.session = session;
    const now = this.#now();
    this.#datedCookie(cookie, this.#stored ?? { createdAt: now, seenAt: now });
    this.#issuedMaxAge = cookie.originalMaxAge;
  }

  /** Has the cookie end with the session. */
  #datedCookie(cookie: Cookie, lived: Pick<SessionRecord, 'createdAt' | 'seenAt' | 'idle' | 'absolute'>): Cookie {
    const { lifetime } = this.runtime;
    cookie.expires = lived.idle === null ? null : new Date(lifetime.expiresAt(lived));
    cookie.originalMaxAge = lived.idle === undefined ? lifetime.idle : lived.idle;
    return cookie;
  }

  #serialize(session: LiveSession): string {
    return stringify(dataOf(session));
  }

  #mustWrite(session: LiveSession, data: string): boolean {
    return data !== this.#baseline || (this.#stored !== undefined && this.#ownIdle(session) !== this.#stored.idle);
  }

  /** The idle limit that `req.session.cookie.maxAge` asks for, where the application changed it. */
  #ownIdle(session: LiveSession): number | null | undefined {
    const maxAge = (session.cookie as Cookie).originalMaxAge;
    if (maxAge === this.#issuedMaxAge) {
      return this.#stored?.idle;
    }
    return typeof maxAge === 'number' ? maxAge : null;
  }

  async #write(session: LiveSession, data: string): Promise<void> {
    if (this.#stored === undefined) {
      await this.#create(session, data);
    } else if (this.#mustWrite(session, data)) {
      await this.#update(session, data, this.#stored);
    }
  }

  async #create(session: LiveSession, data: string): Promise<void> {
    if (data === EMPTY) {
      return;
    }
    const unsendable = this.#whyUnsendable();
    if (unsendable !== undefined) {
      this.runtime.logOnce(unsendable);
      return;
    }
    const now = this.#now();
    const idle = this.#ownIdle(session);
    const record: SessionRecord = {
      handle: this.#id.handle,
      secretHash: hashSecret(this.#id.secret),
      version: 1,
      createdAt: now,
      seenAt: now,
      ...(idle !== undefined && { idle }),
      data,
    };
    await this.#insert(record);
    this.#written(record);
    this.#cookie = 'issue';
  }

  #insert(record: SessionRecord): Promise<void> {
    return this.ask('insert', this.runtime.store.insert(record, this.runtime.lifetime.expiresAt(record)));
  }

  /** Saves over the version that was loaded; over a newer one, only the keys that this request changed. */
  async #update(session: LiveSession, data: string, loaded: SessionRecord): Promise<void> {
    const now = this.#now();
    const idle = this.#ownIdle(session);
    const renew = idle !== loaded.idle || this.runtime.lifetime.touchDue(loaded, now);
    let current = loaded;
    let next = data;
    for (let attempt = 0; attempt < MOST_SAVE_ATTEMPTS; attempt++) {
      const record: SessionRecord = {
        ...current,
        version: current.version + 1,
        seenAt: renew ? now : current.seenAt,
        ...(idle !== loaded.idle && { idle }),
        data: next,
      };
      const outcome = await this.#save(record);
      if (outcome.outcome === 'saved') {
        this.#refresh(session, data, record.data);
        this.#written(record);
        this.#cookie = renew ? 'issue' : this.#cookie;
        return;
      }
      if (outcome.outcome === 'gone') {
        this.#lose(loaded);
        return;
      }
      current = outcome.current;
      next = applyChanges(current.data, changesBetween(this.#baseline, data));
    }
    throw new SessionConflictException();
  }

  #save(record: SessionRecord): Promise<SaveOutcome> {
    return this.ask('update', this.runtime.store.update(record, this.runtime.lifetime.expiresAt(record)));
  }

  /** Brings what other requests wrote meanwhile into the live session, or the next save would take it for deleted. */
  #refresh(session: LiveSession, written: string, merged: string): void {
    for (const [key, value] of changesBetween(written, merged)) {
      if (value === undefined) {
        Reflect.deleteProperty(session, key);
      } else {
        Reflect.set(session, key, value);
      }
    }
  }

  #written(record: SessionRecord): void {
    this.#stored = record;
    this.#baseline = record.data;
    this.#issuedMaxAge = (this.request.session?.cookie as Cookie | undefined)?.originalMaxAge;
  }

  /** The session ended while this request ran. The handler's answer goes out; its writes do not. */
  #lose(loaded: SessionRecord): void {
    this.#ended = true;
    this.#stored = undefined;
    // The cookie of an anonymous session stays: a login in another tab may just have replaced it.
    this.#cookie = loaded.login === undefined ? 'keep' : 'expire';
    const userId = loaded.login?.userId;
    this.runtime.events.emit(
      { type: 'save-dropped', handle: loaded.handle, ...(userId !== undefined && { userId }) },
      this.#now(),
    );
  }

  /** Writes activity down, off the answer's path. The cookie is renewed with it. */
  #touch(): void {
    const { lifetime, store, events } = this.runtime;
    const record = this.#stored;
    const now = this.#now();
    if (record === undefined || !lifetime.touchDue(record, now)) {
      return;
    }
    const seen = { ...record, seenAt: now };
    this.#stored = seen;
    this.#cookie = 'issue';
    const { handle } = record;
    store.extend(record, now, lifetime.expiresAt(seen)).catch((error: unknown) => {
      events.emit({ type: 'touch-failed', handle, error }, now);
      this.runtime.logger.warn(`Activity of session ${handle} could not be written down.`);
    });
  }

  async #endStored(): Promise<void> {
    const record = this.#stored;
    if (record === undefined) {
      return;
    }
    await this.ask('remove', this.runtime.store.remove(record.handle));
    this.#stored = undefined;
    this.#ended = true;
    this.user = undefined;
    this.#reportLogOut(record);
  }

  /** Ends the session that a login replaces: another slot, so a second step. */
  async #endReplaced(by: SessionRecord): Promise<void> {
    const old = this.#stored;
    if (old === undefined) {
      return;
    }
    try {
      await this.ask('remove', this.runtime.store.remove(old.handle));
    } catch (error) {
      // The login fails as a whole; nobody was told the new id, so an entry left behind by a dead store is harmless.
      await this.runtime.store.remove(by.handle).catch(() => undefined);
      throw error;
    }
    this.#reportLogOut(old);
  }

  #reportLogOut({ handle, login }: SessionRecord): void {
    if (login !== undefined) {
      this.runtime.events.emit({ type: 'logged-out', handle, userId: login.userId }, this.#now());
    }
  }

  #refuseIfNotUsable(): void {
    if (this.failure instanceof SessionStoreUnavailableException) {
      throw this.failure;
    }
    const unsendable = this.#whyUnsendable();
    if (unsendable !== undefined) {
      this.runtime.logOnce(unsendable);
      throw new CookieNotSendableException(unsendable);
    }
  }

  /** Why a cookie issued now would not reach the browser. */
  #whyUnsendable(): string | undefined {
    if (this.response.headersSent) {
      return 'The session cookie cannot be sent any more: the answer has begun. Log in before it does.';
    }
    const cookie = (this.request.session?.cookie as Cookie | undefined) ?? this.runtime.cookies.for(this.request);
    return this.runtime.cookies.sendable(cookie, this.request)
      ? undefined
      : 'The session cookie is Secure, but this connection is not, so it cannot be sent and nothing is stored. Behind ' +
          'a proxy that ends TLS, tell Express to trust it: app.set("trust proxy", 1).';
  }
}

/** The data's JSON; an error that names the key where there is none. */
function stringify(data: Record<string, unknown>): string {
  try {
    return JSON.stringify(data);
  } catch (error) {
    const culprit = Object.keys(data).find((key) => !serializes(data[key]));
    throw new SessionNotSerializableException(culprit ?? '?', error);
  }
}

function serializes(value: unknown): boolean {
  try {
    JSON.stringify(value);
    return true;
  } catch {
    return false;
  }
}
