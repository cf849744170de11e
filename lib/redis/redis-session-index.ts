import type { Clock } from '../model/clock.js';
import { ENDED_REMEMBERED_FOR, type EndReason } from '../model/session-end.js';
import { isUserHandle, splitHandle, tagOfUser } from '../model/session-id.js';
import type { SessionRecord } from '../model/session-record.js';
import { isLive, type SessionIndex } from '../store/session-store.js';
import { indexKey, tagOfUserKey, trustKey, userPattern } from './keys.js';
import type { RedisAccess } from './redis-access.js';
import { COUNT, END_ALL, ENTRIES, READ } from './scripts.js';
import { decodeSession, remainsPrefix } from './session-codec.js';

/** Sessions in a page. */
const PAGE_SIZE = 100;
/** Entries that one ZSCAN asks for. */
const SCAN_COUNT = 1_000;

/** The sessions of each user, by a sorted set beside them. Each call of a script looks at a bounded number of them. */
export class RedisSessionIndex implements SessionIndex {
  constructor(
    private readonly redis: RedisAccess,
    private readonly prefix: string,
    private readonly clock: Clock,
  ) {}

  async count(userId: string): Promise<number> {
    return (await this.redis.script(COUNT, { index: this.#key(userId) }, { now: this.clock.now() })) as number;
  }

  async *pages(userId: string): AsyncGenerator<readonly SessionRecord[]> {
    const index = this.#key(userId);
    const rests = await this.#rests(index);
    for (let i = 0; i < rests.length; i += PAGE_SIZE) {
      const args = rests.slice(i, i + PAGE_SIZE);
      const more = { keys: args.map((rest) => index + rest), args };
      const reply = (await this.redis.script(READ, { index }, {}, { more })) as string[];
      yield reply.flatMap((rest, n) => (n % 2 === 0 ? this.#recordOf(tagOfUser(userId) + rest, reply[n + 1]) : []));
    }
  }

  /** All entries are read before the first page is given: none is missed that moves in the index meanwhile. */
  async #rests(index: string): Promise<string[]> {
    const scores = new Map<string, number>();
    let cursor: string | undefined = '0';
    while (cursor !== undefined) {
      const reply = (await this.redis.script(ENTRIES, { index }, { cursor, count: SCAN_COUNT })) as string[];
      const [next = '0', ...entries] = reply;
      for (let i = 0; i < entries.length; i += 2) {
        scores.set(entries[i] ?? '', Number(entries[i + 1]));
      }
      cursor = next === '0' ? undefined : next;
    }
    const now = this.clock.now();
    const live = [...scores].filter(([, expiresAt]) => expiresAt > now);
    return live.sort(([, a], [, b]) => a - b).map(([rest]) => rest);
  }

  #recordOf(handle: string, value: string | undefined): SessionRecord[] {
    const found = decodeSession(handle, value ?? '');
    return isLive(found) ? [found.record] : [];
  }

  endAll(userId: string, reason: EndReason, except?: string): AsyncGenerator<readonly string[]> {
    const tag = tagOfUser(userId);
    const isUsers = except !== undefined && isUserHandle(except) && splitHandle(except).tag === tag;
    return this.#endAll(tag, reason, isUsers ? splitHandle(except).rest : '');
  }

  /** Finds the users by SCAN for their indexes and trust epochs: no session's data is read. */
  async *endEveryone(reason: EndReason): AsyncGenerator<readonly string[]> {
    for await (const keys of this.redis.scan(userPattern(this.prefix))) {
      for (const key of keys) {
        const tag = tagOfUserKey(this.prefix, key);
        if (tag !== undefined) {
          yield* this.#endAll(tag, reason, '');
        }
      }
    }
  }

  async *#endAll(tag: string, reason: EndReason, except: string): AsyncGenerator<readonly string[]> {
    const keys = { index: indexKey(this.prefix, tag), trust: trustKey(this.prefix, tag) };
    const args = { prefix: remainsPrefix(reason), keepFor: ENDED_REMEMBERED_FOR, except, now: this.clock.now() };
    let hasMore: unknown = 1;
    while (hasMore === 1) {
      const [more, ...rests] = (await this.redis.script(END_ALL, keys, args)) as [number, ...string[]];
      hasMore = more;
      yield rests.map((rest) => tag + rest);
    }
  }

  #key(userId: string): string {
    return indexKey(this.prefix, tagOfUser(userId));
  }
}
