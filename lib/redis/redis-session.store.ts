import { RedisStore } from 'connect-redis';
import type { SessionData, Store } from 'express-session';
import type { SignOutReason } from '../session-auth.errors.js';
import type { Clock } from '../session/clock.js';
import { DeadlineError, type Patience } from '../session/deadline.js';
import type { Expiry, LifetimePolicy } from '../session/lifetime-policy.js';
import type { SessionId } from '../session/session-id.js';
import type { SessionRecord } from '../session/session-record.js';
import {
  type AtomicSessionStore,
  ENDED_REMEMBERED_FOR,
  type Ending,
  type FoundSession,
  type LogInOutcome,
  type NewUserSession,
  REPLACED_REMEMBERED_FOR,
  RUN_OUT_REMEMBERED_FOR,
  type SaveOutcome,
} from '../session/session-store.js';
import { answer, StoreContract, type StoreCallback } from '../session/store-contract.js';
import { tagOfHandle } from '../session/session-id.js';
import { endedKey, handleOfKey, indexKey, scanPattern, sessionKey, slotBase } from './keys.js';
import { decodeRecord, encodeRecord } from './record.codec.js';
import { RedisClock } from './redis-clock.js';
import { RedisAccess, type RedisAccessOptions } from './redis-access.js';
import { RedisSessionIndex } from './redis-session.index.js';
import { END, EXTEND, LOG_IN, UPDATE } from './scripts.js';
import { readTombstone, shortHash, tombstoneOf } from './tombstone.js';

/** What a {@link RedisSessionStore} works with. */
export interface RedisSessionStoreOptions extends RedisAccessOptions {
  readonly prefix: string;
  readonly clock: Clock;
  readonly lifetime: LifetimePolicy;
  /** Told of a value that was no session and has been removed. */
  readonly onUnreadable: (handle: string) => void;
}

/** Sessions that `all()` reads at a time: each is to be there within the deadline. */
const READ_AT_ONCE = 100;

/** Sessions in Redis. Each method that changes one is one atomic step: a single command or a Lua script in one slot. */
export class RedisSessionStore extends RedisStore implements AtomicSessionStore {
  readonly index: RedisSessionIndex;
  readonly #options: RedisSessionStoreOptions;
  readonly #redis: RedisAccess;
  readonly #contract: StoreContract;
  readonly #clock = new RedisClock();

  constructor(options: RedisSessionStoreOptions) {
    super({ client: options.client, prefix: options.prefix });
    this.#options = options;
    this.#redis = new RedisAccess(options);
    this.#contract = new StoreContract(this, options.lifetime, options.clock);
    this.index = new RedisSessionIndex(this.#redis, options.prefix, options.clock);
  }

  find(handle: string, patience?: Patience): Promise<FoundSession | undefined> {
    return this.#redis
      .command((client) => client.get(this.#key(handle)), patience)
      .then(
        (text) => this.#read(handle, text, patience),
        (error: unknown) => this.#read(handle, notOfAnotherType(error), patience),
      );
  }

  async insert(record: SessionRecord, { at }: Expiry, patience?: Patience): Promise<void> {
    const options = { NX: true, PX: this.#ttl(at) } as const;
    const value = encodeRecord(record);
    const set = this.#redis.command((client) => client.set(this.#key(record.handle), value, options), patience);
    if ((await set) === null) {
      throw taken();
    }
  }

  /**
   * In one step; where a user has so many sessions beyond the limit that it would take long, in several. A Redis that hung
   * and wakes does not do it any more: nobody waits for that session, and others would have to go for it. The first login
   * of a process is told Redis's time for that, and asks once more.
   */
  async logIn(session: NewUserSession, patience?: Patience): Promise<LogInOutcome> {
    const { record, replaces } = session;
    const keys = [...this.#keys(record), ...(replaces ? this.#keys(replaces).slice(0, 2) : [])];
    const args = this.#logInArgs(session);
    const evicted: string[] = [];
    for (let lateness = 0; ;) {
      const sent = [...args, this.#clock.until(this.#options.timeout)];
      const askedAt = performance.now();
      const [outcome, ...rest] = (await this.#redis.script(LOG_IN, keys, sent, patience)) as [string, ...unknown[]];
      switch (outcome) {
        case 'late':
          this.#clock.set(Number(rest[1]), askedAt);
          if (++lateness > 1) {
            throw new DeadlineError('Redis came to it too late');
          }
          break;
        case 'created':
        case 'more':
          this.#clock.set(Number(rest[1]), askedAt);
          evicted.push(...(rest.slice(2) as string[]));
          if (outcome === 'created') {
            return { outcome, evicted, replaced: rest[0] === 1 };
          }
          break;
        case 'stale': {
          const current = decodeRecord(replaces?.handle ?? '', String(rest[0]))?.record;
          return current ? { outcome, current } : { outcome: 'gone' };
        }
        case 'rejected':
        case 'gone':
        case 'replaced':
          return { outcome };
        default:
          throw taken();
      }
    }
  }

  async update(record: SessionRecord, expiry: Expiry, patience?: Patience): Promise<SaveOutcome> {
    const args = [record.version - 1, encodeRecord(record), this.#ttl(expiry.at)];
    if (record.login !== undefined) {
      args.push(record.handle, expiry.at, tombstoneOf(record, expiry), RUN_OUT_REMEMBERED_FOR);
    }
    const reply = await this.#redis.script(UPDATE, this.#keys(record), args, patience);
    const current = typeof reply === 'string' ? decodeRecord(record.handle, reply)?.record : undefined;
    if (current !== undefined) {
      return { outcome: 'stale', current };
    }
    return { outcome: reply === 1 ? 'saved' : reply === 2 ? 'replaced' : 'gone' };
  }

  async extend(
    record: SessionRecord,
    seenAt: number,
    { at, reason }: Expiry,
  ): Promise<'gone' | 'current' | 'superseded'> {
    const args = [seenAt, this.#ttl(at), record.secretHash, record.version];
    if (record.login !== undefined) {
      args.push(record.handle, at, reason, RUN_OUT_REMEMBERED_FOR);
    }
    const reply = await this.#redis.script(EXTEND, this.#keys(record), args);
    return reply === 1 ? 'current' : reply === 2 ? 'superseded' : 'gone';
  }

  async end(record: SessionRecord, ending: Ending, patience?: Patience, shown?: string): Promise<boolean> {
    const { login, handle } = record;
    const anonymous = ending === 'replaced' ? REPLACED_REMEMBERED_FOR : 0;
    const keep = login === undefined ? anonymous : ENDED_REMEMBERED_FOR;
    const args = [ending, keep, handle, shown === undefined ? '' : ` ${shortHash(shown)}`];
    return (await this.#redis.script(END, this.#keys(record), args, patience)) === 1;
  }

  async whyEnded({ handle, secret }: SessionId, patience?: Patience): Promise<SignOutReason | undefined> {
    const key = endedKey(this.#options.prefix, handle);
    const text = await this.#redis.command((client) => client.get(key), patience);
    return readTombstone(text, secret, this.#options.clock.now());
  }

  // express-session's contract. ------------------------------------------------------------------------------------

  override get(sid: string, callback?: StoreCallback<SessionData | null>): Promise<SessionData | null | undefined> {
    return answer(this.#contract.get(sid), callback);
  }

  override set(sid: string, data: SessionData, callback?: StoreCallback<void>): Promise<void> {
    return answer(this.#contract.set(sid, data), callback);
  }

  override touch(sid: string, _data: SessionData, callback?: StoreCallback<void>): Promise<void> {
    return answer(this.#contract.touch(sid), callback);
  }

  override destroy(sid: string, callback?: StoreCallback<void>): Promise<void> {
    return answer(this.#contract.destroy(sid), callback);
  }

  override createSession(...[request, data]: Parameters<Store['createSession']>): ReturnType<Store['createSession']> {
    return this.#contract.adopt(super.createSession(request, data), data);
  }

  /** The handles of all sessions. Walks the whole database: for administration, not for requests. */
  override ids(callback?: StoreCallback<string[]>): Promise<string[] | undefined> {
    return answer(this.#handles(), callback);
  }

  override length(callback?: StoreCallback<number>): Promise<number | undefined> {
    return answer(
      this.#handles().then((handles) => handles.length),
      callback,
    );
  }

  override all(callback?: StoreCallback<SessionData[]>): Promise<SessionData[] | undefined> {
    return answer(this.#all(), callback);
  }

  /** Removes every session, and whatever else stands under the prefix's hash tags. */
  override clear(callback?: StoreCallback<void>): Promise<void> {
    return answer(this.#clear(), callback);
  }

  // ----------------------------------------------------------------------------------------------------------------

  /** What a value holds. One that is no session of ours is removed. */
  #read(handle: string, text: unknown, patience?: Patience): FoundSession | undefined | Promise<undefined> {
    if (text === null || text === undefined) {
      return undefined;
    }
    return (typeof text === 'string' ? decodeRecord(handle, text) : undefined) ?? this.#discard(handle, patience);
  }

  async #discard(handle: string, patience?: Patience): Promise<undefined> {
    await this.#redis.command((client) => client.del(this.#key(handle)), patience);
    this.#options.onUnreadable(handle);
  }

  #key(handle: string): string {
    return sessionKey(this.#options.prefix, handle);
  }

  /** The keys of a session, of its tombstone and, where it is a user's, of that user's index. */
  #keys({ handle, login }: SessionRecord): string[] {
    const { prefix } = this.#options;
    const keys = [this.#key(handle), endedKey(prefix, handle)];
    return login === undefined ? keys : [...keys, indexKey(prefix, login.userId)];
  }

  #ttl(expiresAt: number): number {
    return Math.max(1, Math.round(expiresAt - this.#options.clock.now()));
  }

  #logInArgs({ record, expiry, limit, replaces, continues }: NewUserSession): (string | number)[] {
    const ttl = this.#ttl(expiry.at);
    return [
      record.handle,
      encodeRecord(record),
      ttl,
      tombstoneOf(record, expiry),
      ttl + RUN_OUT_REMEMBERED_FOR,
      expiry.at,
      this.#options.clock.now(),
      slotBase(this.#options.prefix, tagOfHandle(record.handle)),
      limit?.limit ?? 0,
      limit?.overflow ?? '',
      ENDED_REMEMBERED_FOR,
      replaces?.handle ?? '',
      continues && replaces ? replaces.version : '',
    ];
  }

  async #handles(): Promise<string[]> {
    const handles = new Set<string>();
    for await (const keys of this.#redis.scan(scanPattern(this.#options.prefix))) {
      for (const key of keys) {
        const handle = handleOfKey(this.#options.prefix, key);
        if (handle !== undefined) {
          handles.add(handle);
        }
      }
    }
    return [...handles];
  }

  async #all(): Promise<SessionData[]> {
    const handles = await this.#handles();
    const all: SessionData[] = [];
    for (let i = 0; i < handles.length; i += READ_AT_ONCE) {
      const found = await Promise.all(handles.slice(i, i + READ_AT_ONCE).map((handle) => this.find(handle)));
      all.push(...found.flatMap((one) => (one ? { ...this.#contract.dataOf(one), id: one.record.handle } : [])));
    }
    return all;
  }

  async #clear(): Promise<void> {
    for await (const keys of this.#redis.scan(scanPattern(this.#options.prefix))) {
      // One key a command: on a cluster they lie in many slots.
      await Promise.all(keys.map((key) => this.#redis.command((client) => client.del(key))));
    }
  }
}

function taken(): Error {
  return new Error('This session exists already.');
}

/** A value of another Redis type under our key is no session. Anything else stays an error. */
function notOfAnotherType(error: unknown): unknown {
  if (error instanceof Error && error.message.startsWith('WRONGTYPE')) {
    return false;
  }
  throw error;
}
