import type { SessionLimit } from '../../lib/session/session-store.js';
import { REDIS_PLACES, usersIn } from '../support/session-stores.js';
import { gathered, type UserSessions } from '../support/user-sessions.js';

const MANY = 10_000;
/** Longest that a step may keep Redis from its other clients, in milliseconds. */
const LONGEST_STEP = 10;
/** Of so many attempts, each step's shortest counts: what a busy machine adds to others says nothing of the scripts. */
const ATTEMPTS = 5;

describe.each(REDIS_PLACES)('what keeps Redis busy (%s)', (_, start) => {
  const users = usersIn(start);

  const limit = (overflow: SessionLimit['overflow']) => ({ limit: 3, overflow });

  /** Work, step by step; each of them alone is measured. */
  const works: [string, Record<string, (users: UserSessions) => Promise<unknown>>][] = [
    [
      'looking at them',
      {
        list: ({ store }) => gathered(store.index.pages('ada')),
        count: ({ store }) => store.index.count('ada'),
        login: (users) => users.loggedIn(),
        'rejected login': (users) => users.tried({ limit: limit('reject') }),
      },
    ],
    ['a login that leaves three of them', { login: (users) => users.loggedIn({ limit: limit('evict-oldest') }) }],
    ['ending them', { end: ({ store }) => gathered(store.index.endAll('ada', 'revoked')) }],
    [
      'forgetting them when they have run out',
      {
        count: ({ store, clock }) => {
          clock.advance('3h');
          return store.index.count('ada');
        },
      },
    ],
  ];

  describe.each([
    ['0.2 kB', 200, MANY],
    ['20 kB', 20_000, 2000],
    ['64 kB', 65_000, 500],
  ])('of a user with sessions of %s', (_, size, count) => {
    it.each(works)(
      `is never ${LONGEST_STEP} ms at a time: %s`,
      async (_, steps) => {
        const data = JSON.stringify({ text: 'x'.repeat(size) });
        const times: Record<string, number[]> = {};
        const attempt = async () => {
          await users.place.clear();
          await users.manyLoggedIn(count, (n) => ({ data, seen: n / count, ends: 60 + n / count }));
          for (const [name, step] of Object.entries(steps)) {
            const taken = await users.place.redis.scriptTimes(() => step(users));
            expect(taken).not.toEqual([]);
            times[name] = taken.map((time, n) => Math.min(time, times[name]?.[n] ?? Infinity));
          }
        };
        const tooLong = () => Object.entries(times).filter(([, taken]) => Math.max(...taken) >= LONGEST_STEP);
        await attempt();
        for (let n = 1; n < ATTEMPTS && tooLong().length > 0; n++) await attempt();

        expect(tooLong().map(([name, taken]) => `${name}: ${Math.max(...taken)} ms`)).toEqual([]);
      },
      90_000,
    );
  });
});
