import type { SessionRecord } from '../model/session-record.js';
import type { OpenConnection } from './open-connection.js';

/** A session that has connections open in this process, and what is known of it. */
export class WatchedSession {
  /** Mostly one, so that a set would be larger than all that it holds. */
  connections: readonly OpenConnection[] = [];
  /** The store's reply that is under way. Messages that come meanwhile wait for the same one. */
  asking: Promise<void> | undefined;
  /** When the store was asked that last said that the session lives, by `performance.now()`. */
  #confirmedAt = -Infinity;
  /** Replies to what was asked before that tell nothing: an end may not have been heard. */
  #unknownSince = -Infinity;
  #endsAt = -Infinity;

  constructor(readonly handle: string) {}

  /** Whether the session is known to live: since less than `recheck` milliseconds, and its end has not come. */
  isKnownToLive(recheck: number, now: number): boolean {
    return performance.now() - this.#confirmedAt < recheck && now < this.#endsAt;
  }

  /** The store has this version, which ends then. */
  confirm(record: SessionRecord, askedAt: number, endsAt: number): void {
    if (askedAt >= this.#unknownSince) {
      this.#confirmedAt = Math.max(this.#confirmedAt, askedAt);
      this.#endsAt = endsAt;
    }
    for (const { request } of this.connections) {
      request?.follow(record);
    }
  }

  /** Ends were not heard: nothing is known any more. */
  forget(): void {
    this.#confirmedAt = -Infinity;
    this.#unknownSince = performance.now();
  }
}
