import { RedisStore } from 'connect-redis';
import type { SessionData, Store } from 'express-session';
import type { Clock } from '../model/clock.js';
import type { Lifetime } from '../model/lifetime.js';
import { type EndedSession, type Ending, ENDED_REMEMBERED_FOR, rememberedFor } from '../model/session-end.js';
import { splitHandle } from '../model/session-id.js';
import type { SessionRecord } from '../model/session-record.js';
import {
  type AtomicSessionStore,
  type FoundSession,
  isLive,
  type LogInResult,
  type NewUserSession,
  type UpdateResult,
} from '../store/session-store.js';
import { settle, StoreContract, type StoreCallback } from '../store/store-contract.js';
import { DeadlineError, type TimeBudget } from '../store/time-budget.js';
import { handleOfKey, keysOf, scanPattern, trustKey } from './keys.js';
import { falseIfWrongType, RedisAccess, type RedisLink } from './redis-access.js';
import { RedisClock } from './redis-clock.js';
import { RedisSessionIndex } from './redis-session-index.js';
import { RedisTrustEpochs } from './redis-trust-epochs.js';
import { END, EXTEND, IS_LIVE, LOG_IN, UPDATE } from './scripts.js';
import { decodeConflict, decodeSession, encodeSession, remainsPrefix, remainsSuffix } from './session-codec.js';

/** What a {@link RedisSessionStore} works with. */
export interface RedisSessionStoreOptions {
  /** The connection to Redis. */
  readonly link: RedisLink;
  /** Longest wait for a command, in milliseconds. */
  readonly timeout: number;
  readonly prefix: string;
  readonly clock: Clock;
  readonly lifetime: Lifetime;
  /** Called after a value that was no session has been removed. */
  readonly onUnreadable: (handle: string) => void;
}

/** Sessions that `all()` reads at a time. */
const READ_AT_ONCE = 100;

/** Sessions in Redis. Each change is one atomic step: a single command, or a script on the keys of one slot. */
export class RedisSessionStore extends RedisStore implements AtomicSessionStore {
  readonly index: RedisSessionIndex;
  readonly trust: RedisTrustEpochs;
  readonly #options: RedisSessionStoreOptions;
  readonly #redis: RedisAccess;
  readonly #contract: StoreContract;
  readonly #clock = new RedisClock();

  constructor(options: RedisSessionStoreOptions) {
    super({ client: options.link.client, prefix: options.prefix });
    // connect-redis's own field would keep the first client, which the connection may replace.
    Object.defineProperty(this, 'client', { enumerable: true, get: () => options.link.client });
    this.#options = options;
    this.#redis = new RedisAccess(options.link, options.timeout);
    this.#contract = new StoreContract(this, options.lifetime, options.clock);
    this.index = new RedisSessionIndex(this.#redis, options.prefix, options.clock);
    this.trust = new RedisTrustEpochs(this.#redis, options.prefix);
  }

  find(handle: string, budget?: TimeBudget): Promise<FoundSession | EndedSession | undefined> {
    return this.#redis
      .command((client) => client.get(this.#key(handle)), budget)
      .then(
        (value) => this.#decode(handle, value, budget),
        (error: unknown) => this.#decode(handle, falseIfWrongType(error), budget),
      );
  }

  async insert(record: SessionRecord, expiresAt: number, budget?: TimeBudget): Promise<void> {
    const options = { NX: true, PX: this.#ttl(expiresAt) } as const;
    const value = encodeSession(record);
    const set = this.#redis.command((client) => client.set(this.#key(record.handle), value, options), budget);
    if ((await set) === null) {
      throw handleTakenError();
    }
  }

  /**
   * One step; several where a user has so many sessions beyond the limit that one would take long. Redis carries the
   * login out by a deadline or not at all: after it was away, it must not end other sessions for one that nobody waits
   * for any more. A process's first login learns Redis's time and asks once more. Where only the reply is late, nobody
   * holds the new session, so it ends: it must not count for the limit.
   */
  async logIn(session: NewUserSession, budget?: TimeBudget): Promise<LogInResult> {
    const { record, replaces } = session;
    const { tag } = splitHandle(record.handle);
    const replaced = replaces && this.#keys(replaces);
    const { keys, rest: own } = this.#keys(record);
    const args = { ...this.#logInArguments(session), rest: own, replacedRest: replaced?.rest };
    const onLate = (reply: Promise<unknown>) => void this.#endUnheld(record, reply);
    const evicted: string[] = [];
    for (let late = 0; ;) {
      const sentAt = performance.now();
      // This starts the script's wait, which its own start then goes on with.
      const deadline = this.#clock.in(budget?.start(this.#options.timeout) ?? this.#options.timeout);
      const whole = { ...keys, trust: trustKey(this.#options.prefix, tag), replaced: replaced?.keys.session };
      const reply = await this.#redis.script(LOG_IN, whole, { ...args, deadline }, { budget, onLate });
      const [outcome, ...rest] = reply as [string, ...unknown[]];
      switch (outcome) {
        case 'late':
          this.#clock.set(Number(rest[1]), sentAt);
          if (++late > 1) {
            throw new DeadlineError('Redis carried the login out too late');
          }
          break;
        case 'created':
        case 'more':
          this.#clock.set(Number(rest[1]), sentAt);
          evicted.push(...rest.slice(2).map((one) => tag + String(one)));
          if (outcome === 'created') {
            return { outcome, evicted, replaced: rest[0] === 1 };
          }
          break;
        case 'stale':
          return decodeConflict(replaces?.handle ?? '', rest[0]);
        case 'rejected':
        case 'untrusted':
          return { outcome };
        default:
          throw handleTakenError();
      }
    }
  }

  /** Ends a session that a login opened too late. If that cannot be done either, it expires unused. */
  async #endUnheld(record: SessionRecord, late: Promise<unknown>): Promise<void> {
    const [outcome] = (await late.catch(() => ['lost'])) as [string];
    if (outcome === 'created' || outcome === 'lost') {
      await this.end(record, 'logged_out').catch(() => undefined);
    }
  }

  async update(record: SessionRecord, expiresAt: number, budget?: TimeBudget): Promise<UpdateResult> {
    const { keys, rest } = this.#keys(record);
    const ttl = this.#ttl(expiresAt);
    const args = { version: record.version - 1, value: encodeSession(record), ttl, rest, expiresAt, now: this.#now };
    const reply = await this.#redis.script(UPDATE, keys, args, { budget });
    return reply === 1 ? { outcome: 'saved' } : decodeConflict(record.handle, reply);
  }

  async extend(
    record: SessionRecord,
    seenAt: number,
    expiresAt: number,
    budget?: TimeBudget,
  ): Promise<'ended' | 'current' | 'superseded'> {
    const { keys, rest } = this.#keys(record);
    const { secretHash: secret, version } = record;
    const args = { seen: seenAt, ttl: this.#ttl(expiresAt), secret, version, rest, expiresAt, now: this.#now };
    const reply = await this.#redis.script(EXTEND, keys, args, { budget });
    return reply === 1 ? 'current' : reply === 2 ? 'superseded' : 'ended';
  }

  async end(record: SessionRecord, ending: Ending, budget?: TimeBudget, shownHash?: string): Promise<boolean> {
    const { keys, rest } = this.#keys(record);
    const keepFor = rememberedFor(record, ending);
    const suffix = remainsSuffix({ shownHash, wasPending: record.pending !== undefined });
    const args = { prefix: remainsPrefix(ending), keepFor, rest, suffix, now: this.#now };
    return (await this.#redis.script(END, keys, args, { budget })) === 1;
  }

  // express-session's contract. ------------------------------------------------------------------------------------

  override get(sid: string, callback?: StoreCallback<SessionData | null>): Promise<SessionData | null | undefined> {
    return settle(this.#contract.get(sid), callback);
  }

  override set(sid: string, data: SessionData, callback?: StoreCallback<void>): Promise<void> {
    return settle(this.#contract.set(sid, data), callback);
  }

  override touch(sid: string, _data: SessionData, callback?: StoreCallback<void>): Promise<void> {
    return settle(this.#contract.touch(sid), callback);
  }

  override destroy(sid: string, callback?: StoreCallback<void>): Promise<void> {
    return settle(this.#contract.destroy(sid), callback);
  }

  override createSession(...[request, data]: Parameters<Store['createSession']>): ReturnType<Store['createSession']> {
    return this.#contract.adopt(super.createSession(request, data), data);
  }

  /** The handles of all sessions. Walks over all keys: for administration, not for requests. */
  override ids(callback?: StoreCallback<string[]>): Promise<string[] | undefined> {
    return settle(this.#handles(), callback);
  }

  override length(callback?: StoreCallback<number>): Promise<number | undefined> {
    return settle(
      this.#handles().then((handles) => handles.length),
      callback,
    );
  }

  override all(callback?: StoreCallback<SessionData[]>): Promise<SessionData[] | undefined> {
    return settle(this.#all(), callback);
  }

  /** Removes every session, and everything else with a hash tag under the prefix. */
  override clear(callback?: StoreCallback<void>): Promise<void> {
    return settle(this.#clear(), callback);
  }

  // ----------------------------------------------------------------------------------------------------------------

  /** What a value holds. One that is no session is removed. */
  #decode(
    handle: string,
    value: unknown,
    budget?: TimeBudget,
  ): FoundSession | EndedSession | undefined | Promise<undefined> {
    if (value === null || value === undefined) {
      return undefined;
    }
    return (typeof value === 'string' ? decodeSession(handle, value) : undefined) ?? this.#remove(handle, budget);
  }

  async #remove(handle: string, budget?: TimeBudget): Promise<undefined> {
    await this.#redis.command((client) => client.del(this.#key(handle)), budget);
    this.#options.onUnreadable(handle);
  }

  #key(handle: string): string {
    return keysOf(this.#options.prefix, handle).session;
  }

  /** The key of a session and, where it is a user's, that of the user's index; and its member of the index. */
  #keys({ handle, login }: SessionRecord): { keys: { session: string; index: string | undefined }; rest: string } {
    const { session, index, rest } = keysOf(this.#options.prefix, handle);
    return { keys: { session, index: login && index }, rest };
  }

  #ttl(expiresAt: number): number {
    return Math.max(1, Math.round(expiresAt - this.#now));
  }

  get #now(): number {
    return this.#options.clock.now();
  }

  #logInArguments({ record, expiresAt, limit, replaces, continues, epoch }: NewUserSession) {
    return {
      value: encodeSession(record),
      ttl: this.#ttl(expiresAt),
      expiresAt,
      now: this.#now,
      limit: limit?.limit ?? 0,
      overflow: limit?.overflow,
      keepFor: ENDED_REMEMBERED_FOR,
      replacedFor: replaces && rememberedFor(replaces, 'replaced'),
      replacedVersion: continues ? replaces?.version : undefined,
      suffix: remainsSuffix({
        wasPending: replaces?.pending !== undefined,
        successor: continues ? record.handle : undefined,
      }),
      epoch,
    };
  }

  async #handles(): Promise<string[]> {
    const handles = new Set<string>();
    for await (const keys of this.#redis.scan(scanPattern(this.#options.prefix))) {
      const live = await Promise.all(keys.map((key) => this.#liveHandleOf(key)));
      for (const handle of live.filter((one) => one !== undefined)) {
        handles.add(handle);
      }
    }
    return [...handles];
  }

  /** The handle in a key, where a session is live under it and not just what remains of one. */
  async #liveHandleOf(key: string): Promise<string | undefined> {
    const handle = handleOfKey(this.#options.prefix, key);
    return handle && (await this.#redis.script(IS_LIVE, { session: key }, {})) === 1 ? handle : undefined;
  }

  async #all(): Promise<SessionData[]> {
    const handles = await this.#handles();
    const all: SessionData[] = [];
    for (let i = 0; i < handles.length; i += READ_AT_ONCE) {
      const found = await Promise.all(handles.slice(i, i + READ_AT_ONCE).map((handle) => this.find(handle)));
      all.push(...found.filter(isLive).map((one) => ({ ...this.#contract.dataOf(one), id: one.record.handle })));
    }
    return all;
  }

  async #clear(): Promise<void> {
    for await (const keys of this.#redis.scan(scanPattern(this.#options.prefix))) {
      // One command for each key: in a cluster they are in different slots.
      await Promise.all(keys.map((key) => this.#redis.command((client) => client.del(key))));
    }
  }
}

function handleTakenError(): Error {
  return new Error('This session exists already.');
}
