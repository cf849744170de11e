import { hashSecret, newAnonymousSessionId, newUserSessionId, type SessionId } from '../../lib/model/session-id.js';
import { signOutReason } from '../../lib/model/session-end.js';
import type { SignOutReason } from '../../lib/index.js';
import type { SessionRecord } from '../../lib/model/session-record.js';
import { type FoundSession, isLive, type LogInResult, type NewUserSession } from '../../lib/store/session-store.js';
import { MINUTE, type TestedStore } from './session-stores.js';
import type { TestClock } from './test-clock.js';

/** A session that was made by a test, which knows its secret. */
export interface Made {
  readonly id: SessionId;
  readonly record: SessionRecord;
  readonly expiresAt: number;
}

/** What a test says of a session; the rest does not matter to it. Times are minutes from now. */
export interface Wish extends Partial<Omit<NewUserSession, 'record' | 'expiresAt'>> {
  userId?: string;
  created?: number;
  seen?: number;
  ends?: number;
  data?: string;
  change?: Partial<SessionRecord>;
}

/** Makes the sessions of users on a store, as logins do. */
export class UserSessions {
  constructor(private readonly current: { readonly store: TestedStore; readonly clock: TestClock }) {}

  get store(): TestedStore {
    return this.current.store;
  }

  get clock(): TestClock {
    return this.current.clock;
  }

  at(minutes: number): number {
    return this.clock.now() + minutes * MINUTE;
  }

  /** A session that is stored nowhere yet. */
  made({ userId = 'ada', created = 0, seen = 0, ends = 60, data = '{"a":1}', change }: Wish = {}): Made {
    const id = newUserSessionId(userId);
    const record: SessionRecord = {
      handle: id.handle,
      secretHash: hashSecret(id.secret),
      version: 1,
      createdAt: this.at(created),
      seenAt: this.at(seen),
      login: { userId, at: this.at(created) },
      data,
      ...change,
    };
    return { id, record, expiresAt: this.at(ends) };
  }

  /** A login, whatever its result. */
  async tried(wish: Wish = {}): Promise<Made & { result: LogInResult }> {
    const { limit, replaces, continues, epoch } = wish;
    const made = this.made(wish);
    const result = await this.store.logIn({ ...made, limit, replaces, continues, epoch });
    return { ...made, result };
  }

  /** A session that a login has created. */
  async loggedIn(wish: Wish = {}): Promise<Made> {
    const { result, ...made } = await this.tried(wish);
    if (result.outcome !== 'created') throw new Error(`the login was ${result.outcome}`);
    return made;
  }

  async manyLoggedIn(count: number, wish: Wish | ((n: number) => Wish) = {}): Promise<Made[]> {
    const wishes = Array.from({ length: count }, (_, n) => (typeof wish === 'function' ? wish(n) : wish));
    return Promise.all(wishes.map((one) => this.loggedIn(one)));
  }

  /** A session that is nobody's. */
  async anonymous(): Promise<Made> {
    const { handle } = newAnonymousSessionId();
    const made = this.made({ change: { login: undefined, handle } });
    await this.store.insert(made.record, made.expiresAt);
    return { ...made, id: { ...made.id, handle } };
  }

  async lives({ record }: Pick<Made, 'record'>): Promise<boolean> {
    return isLive(await this.store.find(record.handle));
  }

  /** The live session of this handle. */
  async found(handle: string): Promise<FoundSession | undefined> {
    const found = await this.store.find(handle);
    return isLive(found) ? found : undefined;
  }

  /** What the holder of this id is told about a session that is not live. */
  async reason(id: SessionId): Promise<SignOutReason | undefined> {
    const found = await this.store.find(id.handle);
    if (isLive(found)) throw new Error(`${id.handle} is live`);
    return signOutReason(id, found);
  }

  /** The handles of a user's sessions, in the order in which the index gives them. */
  async listed(userId = 'ada'): Promise<string[]> {
    return (await gathered(this.store.index.pages(userId))).flat().map(({ handle }) => handle);
  }
}

/** All that an index gives step by step. */
export async function gathered<T>(steps: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const step of steps) all.push(step);
  return all;
}

export function handlesOf(made: readonly Pick<Made, 'record'>[]): string[] {
  return made.map(({ record }) => record.handle);
}
