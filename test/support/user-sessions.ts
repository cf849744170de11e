import { hashSecret, newSessionId, type SessionId, tagOfUser } from '../../lib/session/session-id.js';
import type { Expiry } from '../../lib/session/lifetime-policy.js';
import type { SessionRecord } from '../../lib/session/session-record.js';
import type { LogInOutcome, NewUserSession } from '../../lib/session/session-store.js';
import { MINUTE, type TestedStore } from './session-stores.js';
import type { TestClock } from './test-clock.js';

const AT_ONCE = 500;

/** A session that was made by a test, which knows its secret. */
export interface Made {
  readonly id: SessionId;
  readonly record: SessionRecord;
  readonly expiry: Expiry;
}

/** What a test says of a session; the rest does not matter to it. Times are minutes from now. */
export interface Wish extends Partial<Omit<NewUserSession, 'record' | 'expiry'>> {
  userId?: string;
  created?: number;
  seen?: number;
  ends?: number;
  reason?: Expiry['reason'];
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

  ends(minutes: number, reason: Expiry['reason'] = 'idle_timeout'): Expiry {
    return { at: this.at(minutes), reason };
  }

  /** A session that is stored nowhere yet. */
  made({ userId = 'ada', created = 0, seen = 0, ends = 60, reason, data = '{"a":1}', change }: Wish = {}): Made {
    const id = newSessionId(tagOfUser(userId));
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
    return { id, record, expiry: this.ends(ends, reason) };
  }

  /** A login, whatever becomes of it. */
  async tried(wish: Wish = {}): Promise<Made & { outcome: LogInOutcome }> {
    const { limit, replaces, continues } = wish;
    const made = this.made(wish);
    const outcome = await this.store.logIn({ ...made, limit, replaces, continues });
    return { ...made, outcome };
  }

  /** A session that a login has created. */
  async loggedIn(wish: Wish = {}): Promise<Made> {
    const { outcome, ...made } = await this.tried(wish);
    if (outcome.outcome !== 'created') throw new Error(`the login was ${outcome.outcome}`);
    return made;
  }

  async manyLoggedIn(count: number, wish: Wish | ((n: number) => Wish) = {}): Promise<Made[]> {
    const wishes = Array.from({ length: count }, (_, n) => (typeof wish === 'function' ? wish(n) : wish));
    const made: Made[] = [];
    // Not all at once: a command that waits behind thousands of others runs out of time.
    for (let n = 0; n < count; n += AT_ONCE) {
      made.push(...(await Promise.all(wishes.slice(n, n + AT_ONCE).map((one) => this.loggedIn(one)))));
    }
    return made;
  }

  /** A session that is nobody's. */
  async anonymous(): Promise<Made> {
    const made = this.made({ change: { login: undefined, handle: newSessionId().handle } });
    await this.store.insert(made.record, made.expiry);
    return { ...made, id: { ...made.id, handle: made.record.handle } };
  }

  async lives({ record }: Pick<Made, 'record'>): Promise<boolean> {
    return (await this.store.find(record.handle)) !== undefined;
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
