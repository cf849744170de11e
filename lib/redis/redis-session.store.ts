import { RedisStore } from 'connect-redis';
import type { SessionData, Store } from 'express-session';
import type { Clock } from '../session/clock.js';
import { within } from '../session/deadline.js';
import type { SessionRecord } from '../session/session-record.js';
import {
  type AtomicSessionStore,
  type FoundSession,
  REPLACED_FOR,
  type SaveOutcome,
} from '../session/session-store.js';
import type { LifetimePolicy } from '../session/lifetime-policy.js';
import { answer, StoreContract, type StoreCallback } from '../session/store-contract.js';
import { handleOfKey, replacedKey, scanPattern, sessionKey } from './keys.js';
import { decodeRecord, encodeRecord } from './record.codec.js';
import type { RedisCommands } from './redis.options.js';
import { EXTEND, REPLACE, UPDATE } from './scripts.js';

/** What a {@link RedisSessionStore} works with. */
export interface RedisSessionStoreOptions {
  readonly client: RedisCommands;
  readonly prefix: string;
  /** Longest wait for a command, in milliseconds. */
  readonly timeout: number;
  readonly clock: Clock;
  readonly lifetime: LifetimePolicy;
  /** Told that a command was not answered in time. */
  readonly onLate?: () => void;
  /** Told of a value that was no session and has been removed. */
  readonly onUnreadable: (handle: string) => void;
}

type ScanClient = { scanIterator(options: { MATCH: string; COUNT: number }): AsyncIterable<string | string[]> };
type ClusterClient = { masters: object[]; nodeClient(node: object): Promise<ScanClient> };

/** Keys asked for in one SCAN step, and removed at once by `clear()`. */
const BATCH = 100;

/** Sessions in Redis. Each method that changes one is one atomic step: a single command or a Lua script on one key. */
export class RedisSessionStore extends RedisStore implements AtomicSessionStore {
  readonly #options: RedisSessionStoreOptions;
  readonly #contract: StoreContract;

  constructor(options: RedisSessionStoreOptions) {
    super({ client: options.client, prefix: options.prefix });
    this.#options = options;
    this.#contract = new StoreContract(this, options.lifetime, options.clock);
  }

  async find(handle: string): Promise<FoundSession | undefined> {
    const text = await this.#command((client) => client.get(this.#key(handle))).catch(notOfAnotherType);
    if (text === null || text === undefined) {
      return undefined;
    }
    const found = typeof text === 'string' ? decodeRecord(handle, text) : undefined;
    if (found === undefined) {
      await this.remove(handle);
      this.#options.onUnreadable(handle);
    }
    return found;
  }

  async insert(record: SessionRecord, expiresAt: number): Promise<void> {
    const options = { NX: true, PX: this.#ttl(expiresAt) } as const;
    const reply = await this.#command((client) => client.set(this.#key(record.handle), encodeRecord(record), options));
    if (reply === null) {
      throw new Error('This session exists already.');
    }
  }

  async update(record: SessionRecord, expiresAt: number): Promise<SaveOutcome> {
    const args = [record.version - 1, encodeRecord(record), this.#ttl(expiresAt)];
    const reply = await this.#command((client) => UPDATE.run(client, this.#keys(record.handle), args));
    const current = typeof reply === 'string' ? decodeRecord(record.handle, reply)?.record : undefined;
    if (current !== undefined) {
      return { outcome: 'stale', current };
    }
    return { outcome: reply === 1 ? 'saved' : reply === 2 ? 'replaced' : 'gone' };
  }

  async extend({ handle }: SessionRecord, seenAt: number, expiresAt: number): Promise<boolean> {
    const args = [seenAt, this.#ttl(expiresAt)];
    return (await this.#command((client) => EXTEND.run(client, [this.#key(handle)], args))) === 1;
  }

  async remove(handle: string): Promise<boolean> {
    return (await this.#command((client) => client.del(this.#key(handle)))) === 1;
  }

  async replace(handle: string): Promise<boolean> {
    return (await this.#command((client) => REPLACE.run(client, this.#keys(handle), [REPLACED_FOR]))) === 1;
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

  #key(handle: string): string {
    return sessionKey(this.#options.prefix, handle);
  }

  /** The session's key, and that of the note that it was replaced. */
  #keys(handle: string): string[] {
    return [this.#key(handle), replacedKey(this.#options.prefix, handle)];
  }

  #ttl(expiresAt: number): number {
    return Math.max(1, Math.round(expiresAt - this.#options.clock.now()));
  }

  #command<T>(run: (client: RedisCommands) => Promise<T>): Promise<T> {
    return within(this.#options.timeout, run(this.#options.client), this.#options.onLate);
  }

  async #handles(): Promise<string[]> {
    const handles = new Set<string>();
    for await (const keys of this.#scan()) {
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
    const found = await Promise.all((await this.#handles()).map((handle) => this.find(handle)));
    return found.flatMap((one) => (one ? { ...this.#contract.dataOf(one), id: one.record.handle } : []));
  }

  async #clear(): Promise<void> {
    for await (const keys of this.#scan()) {
      // One key a command: on a cluster they lie in many slots.
      await Promise.all(keys.map((key) => this.#command((client) => client.del(key))));
    }
  }

  async *#scan(): AsyncGenerator<string[]> {
    for (const client of await this.#nodes()) {
      for await (const keys of client.scanIterator({ MATCH: scanPattern(this.#options.prefix), COUNT: BATCH })) {
        yield [keys].flat();
      }
    }
  }

  /** Every server that holds keys of its own: a cluster's masters, or the one there is. */
  #nodes(): Promise<ScanClient[]> {
    const client = this.#options.client as unknown as ScanClient | ClusterClient;
    return 'masters' in client
      ? Promise.all(client.masters.map((node) => client.nodeClient(node)))
      : Promise.resolve([client]);
  }
}

/** A value of another Redis type under our key is no session. Anything else stays an error. */
function notOfAnotherType(error: unknown): unknown {
  if (error instanceof Error && error.message.startsWith('WRONGTYPE')) {
    return false;
  }
  throw error;
}
