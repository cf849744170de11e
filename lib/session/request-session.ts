import type { HttpException } from '@nestjs/common';
import { attachedTo, isSessionExposed } from '../http/request-properties.js';
import { pathOfThisSite } from '../http/site-path.js';
import { isStillKept, type KeptRequest, type StoredRequest } from '../model/kept-request.js';
import { SessionStoreUnavailableException, UnauthenticatedException } from '../session-auth.errors.js';
import type { Amendment } from '../store/merged-save.js';
import type { DataChange } from './data-update.js';
import { LoginSession } from './login-session.js';

/** Seconds after which a client may try again when the store or the user database has failed. */
const RETRY_AFTER = 1;

/** The session of a request, if it has one: of Node's or Express's own, or of a request that has Node's at `raw`. */
export function requestSessionOf(request: unknown): RequestSession | undefined {
  return attachedTo(request) as RequestSession | undefined; // Nothing else is ever attached.
}

/**
 * What one request does with its session and its user. The methods stand in the order in which a request calls them:
 * those of the services and guards, then the commit.
 */
export class RequestSession extends LoginSession {
  #spentIn: WeakSet<object> | undefined;

  /** The request ends its session by itself: it logs out, or in again. */
  get isLeaving(): boolean {
    return this.leaves;
  }

  // For services and guards. ---------------------------------------------------------------------------------------

  /** The request does not count as activity. */
  markPassive(): void {
    this.exposed.markPassive();
  }

  /** Ends the session. When it resolves, the store has ended it, and the response clears the browser's cookie. */
  logOut(keep: Record<string, unknown> = {}): Promise<void> {
    return this.exposed.run(async () => {
      if (this.failure instanceof SessionStoreUnavailableException) {
        throw this.failure;
      }
      this.leaves = true;
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

  /** Keeps a request until the user has proved again who they are, in the place of one that was kept before. */
  async keep(request: KeptRequest | undefined): Promise<void> {
    const kept = request && { ...request, at: this.runtime.clock.now() };
    await this.amend((current) => (kept === undefined && current.kept === undefined ? undefined : { kept }));
  }

  /**
   * The kept request, once the user has proved again who they are. It is not kept any more then, nor when its time is
   * over. Of requests that take it at the same time, one gets it.
   */
  async takeKept(): Promise<KeptRequest | undefined> {
    if (this.failure instanceof SessionStoreUnavailableException) {
      throw this.failure;
    }
    const now = this.runtime.clock.now();
    let found: StoredRequest | undefined;
    const isTaken = await this.amend(({ kept }) => {
      found = kept;
      return kept !== undefined && (kept.isProved || !isStillKept(kept, now)) ? { kept: undefined } : undefined;
    });
    const path = pathOfThisSite(found?.path); // A store of the application's may have changed it.
    if (!isTaken || found === undefined || path === undefined || !isStillKept(found, now)) {
      return undefined;
    }
    const { method, fields } = found;
    return { method, path, ...(fields && { fields }) };
  }

  /** The executions that a proof of the login has been used up for: a request, each message, each GraphQL field. */
  get spentIn(): WeakSet<object> {
    return (this.#spentIn ??= new WeakSet());
  }

  /** A guard has refused the request. */
  reportRefusal(reason: HttpException): void {
    this.runtime.repository.reporter.refused(reason);
  }

  /** Stores what has to be stored before the response may go out; `undefined` when that is nothing. */
  commit(): Promise<void> | undefined {
    const committing = this.exposed.commit();
    if (this.opened === undefined || this.cookie.isSent) {
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
    return this.response.statusCode === 503 || this.cookie.hasHeader || this.cachingRules?.hasHeaders === true;
  }

  /** Sets the response's headers: the cookie, what caches may do and, on a 503, when to try again. */
  writeHeaders(): void {
    if (this.response.statusCode === 503 && (this.exposed.hasFailed || this.failure !== undefined)) {
      this.response.setHeader('Retry-After', RETRY_AFTER);
    }
    this.cookie.writeHeader(isSessionExposed(this.request));
    this.cachingRules?.writeHeaders();
  }

  /** The response failed, or nobody waits for it. Its cookie is not sent, and a session that it opened ends. */
  discard(): void {
    this.cookie.leave();
    this.cachingRules?.discard();
    if (this.opened !== undefined) {
      this.repository.logOut(this.opened).catch(() => undefined); // Otherwise it expires unused.
    }
  }

  #endIfAbandoned(): void {
    if (this.cookie.isAbandoned) {
      this.discard();
    }
  }
}
