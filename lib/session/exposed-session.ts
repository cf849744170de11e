import { ExpressSession, type SessionOwner } from '../http/express-session.js';
import { exposeSession, isSessionExposed, isSessionReplaced } from '../http/request-properties.js';
import type { ResponseCookie } from '../http/response-cookie.js';
import type { SessionRequest } from '../http/session-request.js';
import { changesBetween, EMPTY } from '../model/session-data.js';
import { type EndedSession, signOutReason, wasOpenedBy } from '../model/session-end.js';
import type { SessionId } from '../model/session-id.js';
import type { SessionRecord } from '../model/session-record.js';
import type { SignOutReason } from '../session-auth.errors.js';
import type { Amendment } from '../store/merged-save.js';
import { type EndedResult, isLive } from '../store/session-store.js';
import { changed, type DataChange, updateData } from './data-update.js';
import { LoadedSession } from './loaded-session.js';
import type { OtherSessions } from './other-sessions.js';
import { SerialQueue } from './serial-queue.js';
import type { SessionRepository } from './session-repository.js';
import type { SessionRuntime } from './session-runtime.js';
import { SessionWriter } from './session-writer.js';

const REPLACED =
  'req.session was replaced by an object that is no session: nothing of it was stored, and the session stays as it was. ' +
  'Change it in place, by Object.assign(req.session, values), or call req.session.regenerate() for an empty one.';

/** What a request makes when it is first needed: most anonymous requests need none of it. */
export interface RequestParts {
  /** The store, for the time that this request may still wait for it. */
  readonly repository: SessionRepository;
  /** What else the request's cookies open. A login or a logout ends these sessions too. */
  readonly others: OtherSessions;
}

/**
 * The session that a request exposes at `req.session`: which one that is, and how it is written and ended. It carries
 * out the methods of `req.session`.
 */
export class ExposedSession implements SessionOwner {
  #loaded: LoadedSession | undefined;
  #signOutReason: SignOutReason | undefined;
  #queue: SerialQueue | undefined;
  #writer: SessionWriter | undefined;

  constructor(
    private readonly request: SessionRequest,
    private readonly runtime: SessionRuntime,
    private readonly cookie: ResponseCookie,
    private readonly parts: RequestParts,
  ) {}

  get loaded(): LoadedSession | undefined {
    return this.#loaded;
  }

  /** The version in the store; `undefined` while the store has none. */
  get record(): SessionRecord | undefined {
    return this.#loaded?.record;
  }

  /** Why the session of the request's cookie is not live any more; `undefined` where it is, or nobody knows. */
  get signOutReason(): SignOutReason | undefined {
    return this.#signOutReason;
  }

  /** Whether something that the request wanted to write or to end could not be. */
  get hasFailed(): boolean {
    return this.#queue?.hasFailed === true;
  }

  /** Exposes this session at `req.session`. */
  expose(loaded: LoadedSession): void {
    this.#loaded = loaded;
    exposeSession(this.request);
  }

  /** Exposes a new, empty session. Nothing of it is stored until something is put into it. */
  begin(): LoadedSession {
    const loaded = new LoadedSession(undefined, undefined, {});
    this.expose(loaded);
    return loaded;
  }

  /** Takes `req.session` away: the request has no session at all. */
  remove(): void {
    this.#loaded = undefined;
    delete this.request.session;
  }

  /** Remembers why the session of a cookie is not live any more. Of several reasons the first counts. */
  noteSignOut(reason: SignOutReason | undefined): void {
    this.#signOutReason ??= reason;
  }

  /**
   * Remembers how a session has ended that the request shows these ids of: why, for the first one that may learn it, or
   * under which handle a step-up has it go on.
   */
  noteEnd(ids: readonly SessionId[], ended: EndedSession | undefined): void {
    this.noteSignOut(ids.map((id) => signOutReason(id, ended)).find((reason) => reason !== undefined));
    if (ended?.successor !== undefined && ids.some(({ secret }) => wasOpenedBy(ended, secret))) {
      this.parts.others.addSuccessor(ended.successor);
    }
  }

  /** The request does not count as activity. */
  markPassive(): void {
    this.#ownWriter().markPassive();
  }

  /** Runs an operation on the session after those that this request has begun before. */
  run(operation: () => Promise<void>): Promise<void> {
    return (this.#queue ??= new SerialQueue()).run(operation);
  }

  // `req.session` and its methods. ---------------------------------------------------------------------------------

  /** Makes `req.session`, unless that has been done. */
  expressSession(): ExpressSession | undefined {
    const loaded = this.#loaded;
    return loaded?.expressSession((values) => {
      const now = this.runtime.clock.now();
      const session = new ExpressSession(this.request, this, values);
      session.cookie = this.cookie.describe(loaded.record ?? { createdAt: now, seenAt: now });
      return session;
    });
  }

  /** Stores the session even where nothing has changed. */
  save(session: ExpressSession): Promise<void> {
    return this.run(async () => {
      const loaded = this.#loadedFor(session);
      await (loaded && this.#write(loaded, loaded.data));
    });
  }

  async reload(session: ExpressSession): Promise<void> {
    const loaded = this.#loadedFor(session);
    const found = loaded && (await this.parts.repository.find(loaded.id.handle));
    if (loaded === undefined || !isLive(found) || this.parts.repository.isExpired(found.record)) {
      throw new Error('failed to load session'); // express-session's own words.
    }
    this.expose(new LoadedSession(loaded.id, found.record, found.values));
  }

  destroy(session: ExpressSession): Promise<void> {
    const loaded = this.#loadedFor(session);
    delete this.request.session;
    return this.run(async () => {
      await (loaded && this.end(loaded));
    });
  }

  regenerate(session: ExpressSession): Promise<void> {
    return this.run(async () => {
      const loaded = this.#loadedFor(session);
      await (loaded && this.end(loaded));
      const exposed = this.request.session as ExpressSession | undefined;
      if (exposed === session || exposed === undefined) {
        this.begin();
      }
    });
  }

  // How it is written and ended. -----------------------------------------------------------------------------------

  /** Stores what has to be stored before the response may go out; `undefined` when that is nothing. */
  commit(): Promise<void> | undefined {
    const underWay = this.#queue?.underWay;
    if (underWay !== undefined) {
      return underWay.then(() => this.commit()); // A save or a logout that the handler did not wait for.
    }
    const loaded = this.#exposed();
    if (loaded === undefined) {
      return undefined;
    }
    let data: string | undefined;
    try {
      data = loaded.unsaved;
    } catch (error) {
      return this.run(() => {
        throw error;
      });
    }
    if (data === undefined) {
      return loaded.record && this.#ownWriter().keepAlive(loaded);
    }
    const changed = data;
    return this.run(() => this.#write(loaded, changed));
  }

  /** Changes what is stored beside the session's data. Returns false when nothing was changed. */
  async amend(amendment: Amendment): Promise<boolean> {
    const loaded = this.#loaded;
    const former = loaded?.record;
    const result = former && (await this.parts.repository.amend(former, amendment));
    if (loaded === undefined || former === undefined || result?.outcome !== 'saved') {
      return false;
    }
    loaded.merge(result.record, former.data);
    return true;
  }

  /**
   * Changes the session's data and stores that, with what the request has changed before. Returns false when the session
   * has ended.
   */
  async update(change: DataChange): Promise<boolean> {
    const loaded = this.#exposed();
    if (loaded === undefined) {
      return false;
    }
    const { data, record } = loaded;
    if (record === undefined) {
      return this.#createChanged(loaded, data, changed(data, change));
    }
    const result = await updateData(this.parts.repository, record, change, changesBetween(record.data, data));
    if (result.outcome === 'ended') {
      this.lose(loaded, result);
      return false;
    }
    loaded.merge(result.record, data);
    return true;
  }

  /** Ends a session in the store, and the others that the request shows. Returns false when none was live. */
  async end(loaded: LoadedSession): Promise<boolean> {
    let wasLive = false;
    if (loaded.record !== undefined) {
      wasLive = await this.parts.repository.logOut(loaded.record);
      loaded.end();
      this.cookie.leave();
    }
    for (const other of await this.parts.others.take()) {
      wasLive = (await this.parts.repository.logOut(other)) || wasLive;
    }
    return wasLive;
  }

  /**
   * A session ended while this request ran. The response goes out; what it wanted to store is dropped. The cookie
   * stays: by now it may be that of a login in another tab, and otherwise the next request learns from it why the
   * session ended.
   */
  lose(loaded: LoadedSession, { ended }: EndedResult): void {
    loaded.end();
    this.noteEnd([loaded.id], ended);
  }

  /** @throws CookieNotSendableException when nobody would get the new session's id */
  async #createChanged(loaded: LoadedSession, before: string, data: string): Promise<boolean> {
    this.cookie.checkSendable();
    await this.#ownWriter().create(loaded, data);
    if (loaded.record === undefined) {
      return data === EMPTY; // Otherwise a login in another tab has replaced it.
    }
    loaded.merge(loaded.record, before);
    return true;
  }

  async #write(loaded: LoadedSession, data: string): Promise<void> {
    if (loaded.record === undefined) {
      await this.#ownWriter().create(loaded, data);
      return;
    }
    const ended = await this.#ownWriter().update(loaded, loaded.record, data);
    if (ended !== undefined) {
      this.lose(loaded, ended);
    }
  }

  #ownWriter(): SessionWriter {
    return (this.#writer ??= new SessionWriter(this.runtime, this.parts.repository, this.cookie));
  }

  /** The session at `req.session`; `undefined` where a handler has taken that away, or the session has ended. */
  #exposed(): LoadedSession | undefined {
    const loaded = this.#loaded;
    if (!isSessionExposed(this.request)) {
      if (loaded !== undefined && isSessionReplaced(this.request)) {
        this.runtime.logOnce(REPLACED, 'warn');
      }
      return undefined;
    }
    if (loaded?.hasEnded !== false) {
      return undefined;
    }
    return loaded.express === undefined ? loaded : this.#loadedFor(this.request.session as ExpressSession);
  }

  /** The session that this object is the `req.session` of; `undefined` where that is another one, or has ended. */
  #loadedFor(session: ExpressSession): LoadedSession | undefined {
    const loaded = this.#loaded;
    const handle = loaded?.id.handle;
    const { session: exposed, sessionID = handle } = this.request; // Another Express application's prototype has no id.
    const isExposed = exposed === session && session.id === handle && sessionID === handle;
    if (!isExposed || loaded?.hasEnded !== false) {
      return undefined;
    }
    loaded.replaceExpressSession(session);
    return loaded;
  }
}
