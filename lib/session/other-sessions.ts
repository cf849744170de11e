import type { ResponseCookie } from '../http/response-cookie.js';
import type { PresentedId } from '../http/session-cookies.js';
import type { SessionRequest } from '../http/session-request.js';
import type { OldId } from '../model/old-session.js';
import { secretStatus } from '../model/rotation.js';
import { wasOpenedBy } from '../model/session-end.js';
import type { SessionId } from '../model/session-id.js';
import type { SessionRecord } from '../model/session-record.js';
import { type FoundSession, isLive } from '../store/session-store.js';
import { endOldSession } from './old-session-ending.js';
import type { SessionRepository } from './session-repository.js';
import type { Adoption, SessionRuntime } from './session-runtime.js';
import { findLatest } from './succession.js';

/**
 * The sessions that a request's cookies open besides the one that it uses. A browser may hold several cookies of our
 * name, and may still show the id that its session had before a step-up. After a logout or a login, the next request
 * would go on in one of these: so they end as well. They are only looked for then. So are those of the stack that is being
 * moved from (option `adopt`), which may be there still: because the user has logged in at an instance of that, or could
 * not be restored.
 */
export class OtherSessions {
  /** Ids that were not looked up: one before them has opened a live session. */
  #ids: readonly PresentedId[] = [];
  /** Handles under which sessions go on that the request has shown a former id of. */
  #successors: readonly string[] = [];

  constructor(
    private readonly request: SessionRequest,
    private readonly runtime: SessionRuntime,
    private readonly repository: SessionRepository,
    private readonly cookie: ResponseCookie,
  ) {}

  /** Whether there may be any. */
  get areShown(): boolean {
    const { adoption } = this.runtime;
    return this.#ids.length + this.#successors.length > 0 || adoption?.cookies.read(this.request) !== undefined;
  }

  /** The request shows these ids as well. */
  addIds(ids: readonly PresentedId[]): void {
    this.#ids = ids;
  }

  /** The request shows a former id of the session that has this handle now. */
  addSuccessor(handle: string): void {
    this.#successors = [...this.#successors, handle];
  }

  /** All of ours that are live. A second call returns none. Sessions of the old stack end at once. */
  async take(): Promise<SessionRecord[]> {
    const found: (FoundSession | undefined)[] = [];
    for (const handle of this.#successors) {
      found.push(await findLatest(this.repository, handle));
    }
    for (const id of this.#ids) {
      found.push(await this.#openedBy(id));
    }
    this.#ids = this.#successors = [];
    const { adoption } = this.runtime;
    if (adoption !== undefined) {
      for (const old of adoption.cookies.readAll(this.request)) {
        found.push(await this.#endOld(old, adoption));
      }
    }
    const records = found.flatMap((session) => session?.record ?? []);
    return [...new Map(records.map((record) => [record.handle, record])).values()];
  }

  async #openedBy({ handle, secret }: SessionId): Promise<FoundSession | undefined> {
    const found = await this.repository.find(handle);
    if (isLive(found)) {
      return secretStatus(found.record, secret, this.runtime.clock.now()) === undefined ? undefined : found;
    }
    const isFormer = found?.successor !== undefined && wasOpenedBy(found, secret);
    return isFormer ? findLatest(this.repository, handle) : undefined;
  }

  /** Returns what it has become, where that is live and the old cookie opens it. */
  async #endOld(old: OldId, adoption: Adoption): Promise<FoundSession | undefined> {
    const known = await endOldSession(old, this.repository, adoption, this.runtime);
    if (known === undefined) {
      return undefined;
    }
    this.cookie.takeBack(adoption.cookies.takeBack(known.cookie));
    return this.#openedBy({ handle: known.handle, secret: old.secret });
  }
}
