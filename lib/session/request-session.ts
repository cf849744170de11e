import type { HttpException } from '@nestjs/common';
import { CookieNotSendableException, SessionStoreUnavailableException } from '../session-auth.errors.js';
import { within } from './deadline.js';
import { dataOf, LiveSession, type SessionOwner } from './live-session.js';
import { ResponseCookie } from './response-cookie.js';
import type { Cookie, PresentedId } from './session-cookies.js';
import { formatSessionId, newSessionId, type SessionId, tagOfUser } from './session-id.js';
import { EMPTY, stringify } from './session-json.js';
import { changesBetween, type LoginRecord, newRecord, type SessionRecord } from './session-record.js';
import type { FoundSession } from './session-store.js';
import type { SessionRuntime } from './session.runtime.js';
import type { SessionRequest, SessionResponse } from './session.types.js';

/**
 * For so long after it was loaded, a session is taken to be alive still, in milliseconds. Later, a cookie that would only
 * be renewed needs the store's word: a login in another tab may have replaced it (expressjs/session#923).
 */
const RECENT = 50;
/** So long is that word waited for at the most; without it, the cookie is left as it is. */
const LONGEST_CONFIRMATION = 20;

/** Seconds after which a client may try again, when it was the store or the user database that failed. */
const RETRY_AFTER = 1;

/** Where a request keeps its session: a property costs the garbage collector less than a WeakMap's entry. */
const SESSION = Symbol('nestjs-session-auth:session');
type Bearer = Partial<Record<typeof SESSION, RequestSession>>;

/** The session of a request (Node's or Express's own, or Fastify's with it at `raw`), if it has one. */
export function requestSessionOf(request: unknown): RequestSession | undefined {
  if (typeof request !== 'object' || request === null) {
    return undefined;
  }
  return (request as Bearer)[SESSION] ?? (request as { raw?: Bearer }).raw?.[SESSION];
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
  /** What the store holds of this session, as last read or written here; `undefined` while it holds nothing. */
  #stored: SessionRecord | undefined;
  /** Whose data the new session was begun with. */
  #inheritedFrom: string | undefined;
  /** The session ended while the request ran: nothing of it is to be written any more. */
  #ended = false;
  /** Something that this request asked of the store was not done. */
  #failed = false;
  /** The cookie's age as the application was given it: another one is its wish for an idle limit of the session's own. */
  #givenMaxAge: number | null = null;
  /** The cookie is signed by an older secret. */
  #outdated = false;
  #lastWork: Promise<unknown> = Promise.resolve();
  /** How many pieces of work wait or run. */
  #working = 0;
  readonly #begunAt: number;
  readonly #cookie: ResponseCookie;

  constructor(
    private readonly request: SessionRequest,
    private readonly response: SessionResponse,
    private readonly runtime: SessionRuntime,
  ) {
    this.#cookie = new ResponseCookie(request, response, runtime);
    this.#begunAt = runtime.clock.now();
    Object.assign(request, { [SESSION]: this, sessionStore: runtime.expressStore });
  }

  /** The user whose data the session holds, logged in or (where it was kept) logged out. */
  get owner(): string | undefined {
    return this.#stored?.login?.userId ?? this.#stored?.owner ?? this.#inheritedFrom;
  }

  /** What the store holds of this session. */
  get stored(): SessionRecord | undefined {
    return this.#stored;
  }

  /** What a guarded route answers a request without a user, where that is not 401. */
  get guardFailure(): HttpException | undefined {
    const tolerated =
      this.failure instanceof SessionStoreUnavailableException && this.runtime.options.onStoreError === 'anonymous';
    return tolerated ? undefined : this.failure;
  }

  // How a request begins. ------------------------------------------------------------------------------------------

  /** A new, empty session, of which nothing is stored until something is put into it. */
  begin(): void {
    this.#present(newSessionId(), undefined, {});
  }

  /** Takes up the session that the store holds under the cookie's id. */
  resume({ record, values }: FoundSession, presented: PresentedId): void {
    this.#present(presented, record, values);
    this.#outdated = presented.outdated;
  }

  /** The store is out of reach: the request goes on with no session at all. */
  giveUp(error: unknown): void {
    this.failure =
      error instanceof SessionStoreUnavailableException ? error : new SessionStoreUnavailableException(error);
    this.#ended = true;
    delete this.request.session;
    delete this.request.sessionID;
  }

  /** Ends the session whose user is gone; the request goes on as anybody's. */
  async dismiss(session: SessionRecord): Promise<void> {
    await this.runtime.keeper.dismiss(session);
    this.begin();
    this.#cookie.forget();
  }

  // What `req.session` and `SessionAuthService` ask for. -----------------------------------------------------------

  /** Asked to, writes a session that has not changed as well. */
  save(session: LiveSession): Promise<void> {
    return this.#save(session, () => true);
  }

  async reload(session: LiveSession): Promise<void> {
    const found = this.#isLive(session) ? await this.runtime.keeper.find(this.#id.handle) : undefined;
    if (found === undefined) {
      throw new Error('failed to load session');
    }
    this.#present(this.#id, found.record, found.values);
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
      }
      const present = this.request.session as LiveSession | undefined;
      if (present === session || present === undefined) {
        this.begin();
      }
    });
  }

  /** A new session under a new id for this user, stored when it resolves; the old one has ended then. */
  logIn({ login, data, remember, user }: NewLogin): Promise<void> {
    return this.#inTurn(async () => {
      this.#refuseLogInIfVain();
      const { keeper, clock } = this.runtime;
      const id = newSessionId(tagOfUser(login.userId));
      const record: SessionRecord = {
        ...newRecord(id, stringify(data), clock.now()),
        ...(remember !== undefined && { idle: remember, absolute: remember }),
        login: { ...login, at: clock.now() },
      };
      await keeper.logIn(record, login.userId, this.#stored);
      this.#present(id, record, JSON.parse(record.data) as Record<string, unknown>);
      this.#cookie.issue();
      this.user = this.request.user = user;
    });
  }

  /** Ends the session and has the browser forget the cookie; resolved means that the store has forgotten it. */
  logOut(keep: Record<string, unknown> = {}): Promise<void> {
    return this.#inTurn(async () => {
      if (this.failure instanceof SessionStoreUnavailableException) {
        throw this.failure;
      }
      const { owner } = this;
      const ended = await this.#endStored();
      this.begin();
      this.#inheritedFrom = owner;
      Object.assign(this.request.session ?? {}, keep);
      // One that had ended before has left the browser, or was replaced there by a login in another tab.
      if (ended) {
        this.#cookie.forget();
      }
    });
  }

  // How a request ends. --------------------------------------------------------------------------------------------

  /** What has to reach the store before the answer may go; `undefined` when that is nothing. */
  commit(): Promise<void> | undefined {
    if (this.#working > 0) {
      return this.#lastWork.then(() => this.commit()); // A save or a logout that the handler did not wait for.
    }
    const { session } = this.request;
    if (!(session instanceof LiveSession) || !this.#isLive(session)) {
      return undefined;
    }
    if (this.#mustSave(session)) {
      return this.#save(session, (data) => this.#mustWrite(session, data));
    }
    return this.#renew();
  }

  /** Adds to the answer's headers: the cookie, when it is to be sent, renewed or taken back; on a 503, when to return. */
  writeHeaders(): void {
    if (this.response.statusCode === 503 && (this.#failed || this.failure !== undefined)) {
      this.response.setHeader('Retry-After', RETRY_AFTER);
    }
    const { session } = this.request;
    this.#cookie.write(this.#id, session instanceof LiveSession ? session : undefined, this.#stored);
  }

  /** The answer failed: whatever cookie was to go with it does not. */
  dropCookie(): void {
    this.#cookie.keep();
  }

  // ----------------------------------------------------------------------------------------------------------------

  /** Lets this request's own writes follow one another; between requests the store's versions decide. */
  #inTurn(work: () => Promise<void>): Promise<void> {
    this.#working++;
    const turn = this.#lastWork.then(work);
    this.#lastWork = turn
      .catch(() => {
        this.#failed = true;
      })
      .finally(() => {
        this.#working--;
      });
    return turn;
  }

  /** Whether this object is the request's present session, and that has not ended. */
  #isLive(session: LiveSession): boolean {
    return this.request.session === session && session.id === this.request.sessionID && !this.#ended;
  }

  /** Puts a session under this id at `req.session`. */
  #present(id: SessionId, stored: SessionRecord | undefined, values: Record<string, unknown>): void {
    this.#id = id;
    this.#stored = stored;
    this.#ended = false;
    this.#inheritedFrom = undefined;
    this.#outdated = false;
    const now = this.runtime.clock.now();
    this.request.sessionID = formatSessionId(id);
    const session = new LiveSession(this.request, this, values);
    const cookie = this.#cookie.of(stored ?? { createdAt: now, seenAt: now });
    session.cookie = cookie;
    this.#givenMaxAge = cookie.originalMaxAge;
    Object.assign(this.request, { session });
  }

  #save(session: LiveSession, worthwhile: (data: string) => boolean): Promise<void> {
    return this.#inTurn(async () => {
      if (!this.#isLive(session)) {
        return;
      }
      const data = stringify(dataOf(session));
      if (this.#stored === undefined) {
        await this.#create(session, data);
      } else if (worthwhile(data)) {
        await this.#update(session, data, this.#stored);
      }
    });
  }

  #mustSave(session: LiveSession): boolean {
    try {
      return this.#mustWrite(session, stringify(dataOf(session)));
    } catch {
      return true; // Which then fails, and says why.
    }
  }

  #mustWrite(session: LiveSession, data: string): boolean {
    return (
      data !== (this.#stored?.data ?? EMPTY) || (this.#stored !== undefined && this.#wishedIdle(session) !== undefined)
    );
  }

  /** The idle limit that the application asked for by `req.session.cookie.maxAge`, `null` for the browser's own end. */
  #wishedIdle(session: LiveSession): number | null | undefined {
    const { originalMaxAge } = session.cookie as Cookie;
    if (originalMaxAge === this.#givenMaxAge) {
      return undefined;
    }
    return Number.isFinite(originalMaxAge) ? originalMaxAge : null;
  }

  async #create(session: LiveSession, data: string): Promise<void> {
    if (data === EMPTY) {
      return;
    }
    const unsendable = this.#cookie.whyUnsendable();
    if (unsendable !== undefined) {
      this.runtime.logOnce(unsendable);
      return;
    }
    const idle = this.#wishedIdle(session);
    const { keeper, clock } = this.runtime;
    const { owner } = this;
    const record = {
      ...newRecord(this.#id, data, clock.now()),
      ...(idle !== undefined && { idle }),
      ...(owner !== undefined && { owner }),
    };
    await keeper.insert(record);
    this.#written(session, record);
    this.#cookie.issue();
  }

  async #update(session: LiveSession, data: string, loaded: SessionRecord): Promise<void> {
    const { lifetime, keeper, clock } = this.runtime;
    const now = clock.now();
    const idle = this.#wishedIdle(session);
    const renew = idle !== undefined || lifetime.touchDue(loaded, now);
    const change = { ...(renew && { seenAt: now }), ...(idle !== undefined && { idle }) };
    const saved = await keeper.save(loaded, data, change);
    if (typeof saved === 'string') {
      this.#lose(loaded, saved);
      return;
    }
    // What other requests wrote meanwhile belongs into the live session, or the next save would take it for deleted.
    for (const [key, value] of changesBetween(data, saved.data)) {
      if (value === undefined) {
        Reflect.deleteProperty(session, key);
      } else {
        Reflect.set(session, key, value);
      }
    }
    this.#written(session, saved);
    if (renew || this.#outdated) {
      this.#cookie.issue();
    }
  }

  #written(session: LiveSession, record: SessionRecord): void {
    this.#stored = record;
    this.#givenMaxAge = (session.cookie as Cookie).originalMaxAge;
  }

  /** The session ended while this request ran. The handler's answer goes out; its writes do not. */
  #lose({ login }: SessionRecord, how: 'gone' | 'replaced'): void {
    this.#inheritedFrom = this.owner;
    this.#ended = true;
    this.#stored = undefined;
    // Replaced by a login in another tab, the browser has a newer cookie; an anonymous session may have been.
    if (login !== undefined && how === 'gone') {
      this.#cookie.forget();
    }
  }

  /** Notes activity once in a while, off the answer's path, and renews the cookie with it; signs it anew where that is due. */
  #renew(): Promise<void> | undefined {
    const { lifetime, clock, keeper } = this.runtime;
    const now = clock.now();
    const recent = now - this.#begunAt < RECENT;
    let alive: Promise<boolean> | undefined;
    if (this.#stored !== undefined && lifetime.touchDue(this.#stored, now)) {
      alive = keeper.touch(this.#stored, now);
      this.#stored = { ...this.#stored, seenAt: now };
    }
    if (recent && (alive !== undefined || this.#outdated)) {
      this.#cookie.issue();
      return undefined;
    }
    return alive && this.#issueOnceConfirmed(alive);
  }

  async #issueOnceConfirmed(alive: Promise<boolean>): Promise<void> {
    if (await within(LONGEST_CONFIRMATION, alive).catch(() => false)) {
      this.#cookie.issue();
    }
  }

  /** False when the store had nothing of the session to end. */
  async #endStored(): Promise<boolean> {
    if (this.#stored === undefined) {
      return false;
    }
    const ended = await this.runtime.keeper.end(this.#stored);
    this.#stored = undefined;
    this.#ended = true;
    this.user = undefined;
    return ended;
  }

  #refuseLogInIfVain(): void {
    if (this.failure instanceof SessionStoreUnavailableException) {
      throw this.failure;
    }
    const unsendable = this.#cookie.whyUnsendable();
    if (unsendable !== undefined) {
      this.runtime.logOnce(unsendable);
      throw new CookieNotSendableException(unsendable);
    }
  }
}
