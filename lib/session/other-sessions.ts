import type { PresentedId } from '../http/session-cookies.js';
import type { Clock } from '../model/clock.js';
import { secretStatus } from '../model/rotation.js';
import { wasOpenedBy } from '../model/session-end.js';
import type { SessionRecord } from '../model/session-record.js';
import { type FoundSession, isLive } from '../store/session-store.js';
import type { SessionRepository } from './session-repository.js';
import { findLatest } from './succession.js';

/**
 * The sessions that a request's cookies open besides the one that it uses. A browser may hold several cookies of our
 * name, and may still show the id that its session had before a step-up. After a logout or a login, the next request
 * would go on in one of these: so they end as well. They are only looked for then.
 */
export class OtherSessions {
  /** Ids that were not looked up: one before them has opened a live session. */
  #ids: readonly PresentedId[] = [];
  /** Handles under which sessions go on that the request has shown a former id of. */
  #successors: readonly string[] = [];

  constructor(
    private readonly repository: SessionRepository,
    private readonly clock: Clock,
  ) {}

  /** Whether there may be any. */
  get areShown(): boolean {
    return this.#ids.length + this.#successors.length > 0;
  }

  /** The request shows these ids as well. */
  addIds(ids: readonly PresentedId[]): void {
    this.#ids = ids;
  }

  /** The request shows a former id of the session that has this handle now. */
  addSuccessor(handle: string): void {
    this.#successors = [...this.#successors, handle];
  }

  /** All that are live. A second call returns none. */
  async take(): Promise<SessionRecord[]> {
    const found: (FoundSession | undefined)[] = [];
    for (const handle of this.#successors) {
      found.push(await findLatest(this.repository, handle));
    }
    for (const id of this.#ids) {
      found.push(await this.#openedBy(id));
    }
    this.#ids = this.#successors = [];
    const records = found.flatMap((session) => session?.record ?? []);
    return [...new Map(records.map((record) => [record.handle, record])).values()];
  }

  async #openedBy({ handle, secret }: PresentedId): Promise<FoundSession | undefined> {
    const found = await this.repository.find(handle);
    if (isLive(found)) {
      return secretStatus(found.record, secret, this.clock.now()) === undefined ? undefined : found;
    }
    const isFormer = found?.successor !== undefined && wasOpenedBy(found, secret);
    return isFormer ? findLatest(this.repository, handle) : undefined;
  }
}
