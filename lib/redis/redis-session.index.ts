import type { Clock } from '../session/clock.js';
import { tagOfUser } from '../session/session-id.js';
import type { SessionRecord } from '../session/session-record.js';
import { ENDED_REMEMBERED_FOR, type EndReason, type SessionIndex } from '../session/session-store.js';
import { baseOfIndexKey, indexKey, indexPattern, slotBase } from './keys.js';
import { decodeRecord } from './record.codec.js';
import type { RedisAccess } from './redis-access.js';
import { COUNT, END_ALL, ENTRIES, READ } from './scripts.js';

/** Sessions in a page: the script reads each of them whole, with its data. */
const PAGE_SIZE = 100;
/** Handles that are taken in one step, about. */
const ENTRIES_AT_ONCE = 1_000;

/** The sessions of each user, by the sorted set beside them. Each call of a script looks at a step's worth at the most. */
export class RedisSessionIndex implements SessionIndex {
  constructor(
    private readonly redis: RedisAccess,
    private readonly prefix: string,
    private readonly clock: Clock,
  ) {}

  async count(userId: string): Promise<number> {
    return (await this.redis.script(COUNT, [this.#key(userId)], [this.#base(userId), this.clock.now()])) as number;
  }

  async *pages(userId: string): AsyncGenerator<readonly SessionRecord[]> {
    const handles = await this.#handles(userId);
    for (let i = 0; i < handles.length; i += PAGE_SIZE) {
      const args = [this.#base(userId), ...handles.slice(i, i + PAGE_SIZE)];
      const page = (await this.redis.script(READ, [this.#key(userId)], args)) as string[];
      yield page.flatMap((handle, n) => (n % 2 === 0 ? (decodeRecord(handle, page[n + 1] ?? '')?.record ?? []) : []));
    }
  }

  /** All are taken before the first page is given, so that none is missed that moves in the index meanwhile. */
  async #handles(userId: string): Promise<string[]> {
    const key = this.#key(userId);
    const scores = new Map<string, number>();
    let cursor: string | undefined = '0';
    while (cursor !== undefined) {
      const args = [this.#base(userId), this.clock.now(), cursor, ENTRIES_AT_ONCE];
      const [next = '0', ...entries] = (await this.redis.script(ENTRIES, [key], args)) as string[];
      for (let i = 0; i < entries.length; i += 2) {
        scores.set(entries[i] ?? '', Number(entries[i + 1]));
      }
      if (next !== 'more') {
        cursor = next === '0' ? undefined : next;
      }
    }
    const now = this.clock.now();
    const live = [...scores].filter(([, score]) => score > now);
    return live.sort(([, a], [, b]) => a - b).map(([handle]) => handle);
  }

  endAll(userId: string, ending: EndReason, except = ''): AsyncGenerator<readonly string[]> {
    return this.#endAll(this.#key(userId), this.#base(userId), ending, except);
  }

  /** By way of the users' indexes, found by SCAN: no session's data is read. */
  async *endEveryone(ending: EndReason): AsyncGenerator<readonly string[]> {
    for await (const keys of this.redis.scan(indexPattern(this.prefix))) {
      for (const key of keys) {
        const base = baseOfIndexKey(this.prefix, key);
        if (base !== undefined) {
          yield* this.#endAll(key, base, ending, '');
        }
      }
    }
  }

  async *#endAll(key: string, base: string, ending: EndReason, except: string): AsyncGenerator<readonly string[]> {
    let more: unknown = 1;
    while (more === 1) {
      const reply = await this.redis.script(END_ALL, [key], [base, ending, ENDED_REMEMBERED_FOR, except]);
      const [rest, ...ended] = reply as [number, ...string[]];
      more = rest;
      yield ended;
    }
  }

  #key(userId: string): string {
    return indexKey(this.prefix, userId);
  }

  #base(userId: string): string {
    return slotBase(this.prefix, tagOfUser(userId));
  }
}
