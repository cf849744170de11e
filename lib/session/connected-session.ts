import { HttpException } from '@nestjs/common';
import type { SessionRequest, SessionResponse } from '../http/session-request.js';
import { isTouchDue } from '../model/lifetime.js';
import { EMPTY, parseData } from '../model/session-data.js';
import type { SessionRecord } from '../model/session-record.js';
import {
  CookieNotSendableException,
  SessionStoreUnavailableException,
  type SignOutReason,
  UnauthenticatedException,
} from '../session-auth.errors.js';
import { type DataChange, updateData } from './data-update.js';
import { LoadedSession } from './loaded-session.js';
import { RequestSession } from './request-session.js';
import type { SessionRuntime } from './session-runtime.js';
import { onLatest } from './succession.js';

/** What the request of an open connection needs to know of it. */
export interface ConnectionLink {
  /**
   * Settles when the session is known to live, or has ended.
   *
   * @throws SessionStoreUnavailableException where that cannot be told now
   */
  confirm(): Promise<void>;
}

/** An error in the form in which a connection's transport reports one. */
export type Refusal = (reason: HttpException) => Promise<Error>;

const NO_COOKIE = 'An open connection cannot set the session cookie. Log in by an HTTP request, and connect again.';

/**
 * The session of a request that has opened a connection, for all messages of that. It is read as the session of any
 * request, and followed from then on: a step-up gives it another handle, other requests change its data, and it may end.
 */
export class ConnectedSession extends RequestSession {
  /** Tells the connections that can end with their session from others. */
  link: ConnectionLink | undefined;
  #failure: HttpException | undefined;

  /** @param response stands for the response, which has been sent: no cookie is set */
  constructor(
    handshake: SessionRequest,
    response: SessionResponse,
    runtime: SessionRuntime,
    private readonly refusal: Refusal,
  ) {
    super(handshake, response, runtime);
    this.cookie.writeHeader(false);
  }

  /**
   * The connection is about to be opened. Lets go of what its request alone needed: connections are many, and last. Strings
   * that were cut out of larger ones would keep those, so they are copied.
   */
  settle(): void {
    const { record } = this;
    if (record !== undefined) {
      const copy = JSON.parse(JSON.stringify(record)) as SessionRecord;
      this.exposed.expose(new LoadedSession({ handle: copy.handle, secret: '' }, copy, undefined));
    }
    this.renewTimeBudget();
    if ('rawHeaders' in this.request) {
      this.request.rawHeaders = []; // A stand-in has none.
    }
  }

  /** Makes sure, before a message is handled, that the session lives. Never rejects: see {@link failure}. */
  async confirm(): Promise<void> {
    try {
      await this.link?.confirm();
      this.#failure = undefined;
    } catch (error) {
      this.#failure = error as HttpException;
    }
  }

  /** The store could not be reached when the last message needed it, or when the connection was opened. */
  override get failure(): HttpException | undefined {
    return this.#failure ?? super.failure;
  }

  override get user(): unknown {
    return this.#failure === undefined ? super.user : undefined;
  }

  /** Nobody. No step can be done here, and a connection does not hear how a pending login ends. */
  override get pendingUser(): unknown {
    return undefined;
  }

  /** The store has this version of the session, perhaps under another handle. */
  follow(record: SessionRecord): void {
    const { loaded } = this.exposed;
    const known = loaded?.record;
    if (loaded === undefined || known === undefined) {
      return; // It has logged out by itself.
    }
    const isSame = known.handle === record.handle;
    if (isSame && known.version === record.version) {
      loaded.touched(Math.max(known.seenAt, record.seenAt));
    } else if (!isSame || known.version < record.version) {
      const id = isSame ? loaded.id : { handle: record.handle, secret: '' }; // Nobody here shows the new secret.
      this.exposed.expose(new LoadedSession(id, record, undefined));
    }
  }

  /** The session has ended. */
  lost(reason: SignOutReason): void {
    this.exposed.noteSignOut(reason);
    this.setUser(undefined);
    this.exposed.begin();
  }

  /** A message counts as activity, which is written down now and then. */
  touch(): void {
    const { lifetime, clock } = this.runtime;
    const { loaded } = this.exposed;
    const now = clock.now();
    if (loaded?.record !== undefined && isTouchDue(loaded.record, lifetime, now)) {
      void this.repository.touch(loaded.record, now);
      loaded.touched(now);
    }
  }

  /** The session's data as last read, as a frozen copy: nothing that a handler would change in it could be saved. */
  get frozenData(): object {
    return frozen({ ...parseData(this.record?.data ?? EMPTY), id: this.handle });
  }

  /** Changes the session's data in the store, after a step-up too: the connection goes on with the session. */
  override update(change: DataChange): Promise<void> {
    return this.#carryOut(() => this.exposed.run(() => this.#update(change)));
  }

  /** Ends the session. The connection ends with it. */
  override logOut(keep?: Record<string, unknown>): Promise<void> {
    return this.#carryOut(() => super.logOut(keep));
  }

  /** A failure of a message before this one is over when the store replies again. */
  async #carryOut(operation: () => Promise<void>): Promise<void> {
    await this.confirm();
    try {
      await operation();
    } catch (error) {
      throw error instanceof HttpException ? await this.refusal(error) : error;
    }
  }

  async #update(change: DataChange): Promise<void> {
    const { failure, record } = this;
    let reason = this.signOutReason;
    if (failure instanceof SessionStoreUnavailableException) {
      throw failure;
    }
    if (record === undefined) {
      throw reason === undefined ? new CookieNotSendableException(NO_COOKIE) : new UnauthenticatedException(reason);
    }
    const isStored = await onLatest(this.repository, record, async (latest) => {
      const result = await updateData(this.repository, latest, change);
      if (result.outcome === 'ended') {
        const { ended } = result;
        reason = ended?.replaced === false && ended.successor === undefined ? ended.reason : undefined;
        return false;
      }
      this.follow(result.record);
      return true;
    });
    if (!isStored) {
      throw new UnauthenticatedException(reason);
    }
  }

  /** Always fails, since no cookie can be set. */
  override async logIn(): Promise<void> {
    throw await this.refusal(new CookieNotSendableException(NO_COOKIE));
  }

  /** Likewise. */
  override logInPending(): Promise<void> {
    return this.logIn();
  }

  /** Likewise. */
  override proveMethod(): Promise<void> {
    return this.logIn();
  }

  /** Likewise. */
  override reauthenticate(): Promise<void> {
    return this.logIn();
  }
}

/** The session, if it is that of an open connection. Its class may have been loaded twice, in two module formats. */
export function connectedSession(session: RequestSession | undefined): ConnectedSession | undefined {
  return session !== undefined && 'frozenData' in session ? (session as ConnectedSession) : undefined;
}

function frozen<T>(value: T): T {
  if (typeof value === 'object' && value !== null) {
    Object.values(value).forEach(frozen);
    Object.freeze(value);
  }
  return value;
}
