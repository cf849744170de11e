import type { SessionLimit } from '../../lib/store/session-store.js';
import { REDIS_PLACES, usersIn } from '../support/session-stores.js';
import { gathered, type UserSessions } from '../support/user-sessions.js';

/** More than two steps of any kind. */
const MANY = 2_000;
/** Commands that one call of a script runs at most: it looks at 500 sessions, ends 100, and each takes a few. */
const MOST = 1_600;
/** Longer than what a script reads of a session. */
const DATA = JSON.stringify({ text: 'x'.repeat(5_000) });

describe.each(REDIS_PLACES)('what the scripts do at a time for a user with very many sessions (%s)', (_, start) => {
  const users = usersIn(start);

  /** How many commands each call of a script ran, by name, that some work needed. */
  async function insideScripts(work: () => Promise<unknown>): Promise<Record<string, number>[]> {
    const monitor = await users.place.redis.monitor();
    const calls: Record<string, number>[] = [];
    for (const { name, inScript } of await monitor.during(work)) {
      if (!inScript) calls.push({});
      const call = calls.at(-1);
      if (inScript && call) call[name] = (call[name] ?? 0) + 1;
    }
    monitor.stop();
    return calls.filter((call) => Object.keys(call).length > 0);
  }

  const limit = (overflow: SessionLimit['overflow']) => ({ limit: 3, overflow });

  // How long a script takes, `npm run bench -- --only script-times` tells.
  it.each<[string, (users: UserSessions) => Promise<unknown>]>([
    ['list', ({ store }) => gathered(store.index.pages('ada'))],
    ['count', ({ store }) => store.index.count('ada')],
    ['login', (users) => users.loggedIn()],
    ['login that is rejected', (users) => users.tried({ limit: limit('reject') })],
    ['login that leaves three of them', (users) => users.loggedIn({ limit: limit('evict-oldest') })],
    ['end', ({ store }) => gathered(store.index.endAll('ada', 'revoked'))],
    [
      'login when they have expired',
      (users) => {
        users.clock.advance('3h');
        return users.loggedIn({ limit: limit('evict-oldest') });
      },
    ],
  ])('is bounded, and reads none of their data: %s', async (_, work) => {
    await users.manyLoggedIn(MANY, (n) => ({ data: DATA, seen: n / MANY, ends: 60 + n / MANY }));
    const calls = await insideScripts(() => work(users));
    const sizes = calls.map((call) => Object.values(call).reduce((sum, count) => sum + count, 0));

    expect(calls).not.toEqual([]);
    expect(Math.max(...sizes)).toBeLessThanOrEqual(MOST);
    expect(calls.filter(({ get = 0 }) => get > 0)).toEqual([]);
  });
});
