import type { SessionLimit } from '../../lib/session/session-store.js';
import {
  PLACES,
  REDIS_PLACES,
  type RedisPlace,
  type SessionPlace,
  type UserSessionStore,
} from '../support/session-stores.js';
import { TestClock } from '../support/test-clock.js';
import { gathered, handlesOf, type Made, UserSessions } from '../support/user-sessions.js';

const MANY = 10_000;
/** In memory, where there is nothing to page through. */
const FEWER = 1000;
/** Longest that a step may keep Redis from its other clients, in milliseconds. */
const LONGEST_STEP = 10;

describe.each(PLACES)('a user with very many sessions (%s)', (_, start) => {
  let place: SessionPlace;
  let most: number;
  let store: UserSessionStore;
  let users: UserSessions;

  beforeAll(async () => {
    place = await start();
    most = 'inside' in place ? MANY : FEWER;
  });

  beforeEach(async () => {
    await place.clear();
    const clock = new TestClock();
    [store] = (await place.stores(clock)) as [UserSessionStore];
    users = new UserSessions(store, clock);
  });

  afterAll(() => place.stop());

  /** Goes through all pages, and does something between each two. */
  async function listed(between: (page: number) => Promise<unknown> = () => Promise.resolve()): Promise<string[]> {
    const handles: string[] = [];
    let number = 0;
    for await (const page of store.index.pages('ada')) {
      handles.push(...page.map(({ handle }) => handle));
      await between(number++);
    }
    return handles;
  }

  const expectEachOnce = (handles: string[], made: readonly Made[]) => {
    expect(new Set(handles).size).toBe(handles.length);
    const seen = new Set(handles);
    expect(handlesOf(made).filter((handle) => !seen.has(handle))).toEqual([]);
  };

  it.each<[string, (n: number) => { ends: number }]>([
    ['that run out one after the other', (n) => ({ ends: 60 + n / 100 })],
    ['that all run out at once', () => ({ ends: 60 })],
  ])('has each listed once of sessions %s', async (_, wish) => {
    const many = await users.manyLoggedIn(most, wish);
    const handles = await listed();

    expectEachOnce(handles, many);
    expect([handles.length, await store.index.count('ada')]).toEqual([most, most]);
  });

  it.each<[string, (n: number) => { ends: number }]>([
    ['one after the other', (n) => ({ ends: 60 + n / 100 })],
    ['all at once', () => ({ ends: 60 })],
  ])('has each that lives on listed once while others come, go and are used; they run out %s', async (_, wish) => {
    const many = await users.manyLoggedIn(3000, wish);
    const ended = new Set<Made>();
    const handles = await listed(async (page) => {
      const step = many.slice(97 * page, 97 * (page + 1)).filter((made) => !ended.has(made));
      const ending = step.filter((_, n) => n % 3 === 0);
      for (const made of ending) ended.add(made);
      await Promise.all([
        ...ending.map(({ record }) => store.end(record, 'logged_out')),
        ...step
          .filter((_, n) => n % 3 === 1)
          .map(({ record }) => store.extend(record, users.at(1), users.ends(70 + page))),
        users.loggedIn({ ends: 50 + 5 * page }),
      ]);
    });

    expectEachOnce(
      handles,
      many.filter((made) => !ended.has(made)),
    );
  });

  it('has each listed though the last of each page is used or ended at once', async () => {
    const many = await users.manyLoggedIn(450);
    const byHandle = new Map(many.map((made) => [made.record.handle, made]));
    const ended = new Set<Made>();
    const handles: string[] = [];
    for await (const page of store.index.pages('ada')) {
      handles.push(...page.map(({ handle }) => handle));
      const last = byHandle.get(page.at(-1)?.handle ?? '');
      if (last === undefined) continue;
      if (handles.length % 2 === 0) await store.extend(last.record, users.at(1), users.ends(61));
      else {
        await store.end(last.record, 'logged_out');
        ended.add(last);
      }
    }

    expectEachOnce(
      handles,
      many.filter((made) => !ended.has(made)),
    );
  });

  it('has each listed though some are given less time meanwhile', async () => {
    const many = await users.manyLoggedIn(450, (n) => ({ ends: 60 + n }));
    const handles = await listed((page) =>
      Promise.all(
        many
          .slice(page === 0 ? 300 : many.length)
          .map(({ record }) => store.update({ ...record, version: 2 }, users.ends(10))),
      ),
    );

    expectEachOnce(handles, many);
  });

  it('has each listed of more than that while the first ones end or are used', async () => {
    const many = await users.manyLoggedIn(most + most / 10, (n) => ({ ends: 60 + n / 100 }));
    const [ending, used] = [many.slice(0, 200), many.slice(200, 400)];
    const handles = await listed(async (page) => {
      if (page > 0) return;
      await Promise.all(ending.map(({ record }) => store.end(record, 'logged_out')));
      await Promise.all(used.map(({ record }) => store.extend(record, users.at(1), users.ends(500))));
    });

    expectEachOnce(handles, many.slice(200));
  });

  it('is left with as many as the limit is by the next login', async () => {
    const many = await users.manyLoggedIn(most, (n) => ({ seen: n / most, ends: 60 + n / most }));
    const { record, outcome } = await users.tried({ seen: 2, ends: 62, limit: { limit: 3, overflow: 'evict-oldest' } });
    const left = [...many.slice(-2), { record }];

    expect(outcome).toMatchObject({ outcome: 'created', replaced: false });
    expect(outcome.outcome === 'created' && [...outcome.evicted].sort()).toEqual(handlesOf(many.slice(0, -2)).sort());
    expect((await users.listed()).sort()).toEqual(handlesOf(left).sort());
    expect((await store.ids())!.sort()).toEqual(handlesOf(left).sort());
  });
});

/** Of so many attempts, each step's shortest counts: what a busy machine adds to others says nothing of the scripts. */
const ATTEMPTS = 5;

describe.each(REDIS_PLACES)('what keeps Redis busy (%s)', (_, start) => {
  let place: RedisPlace;
  let users: UserSessions;

  beforeAll(async () => {
    place = await start();
  });

  beforeEach(async () => {
    const clock = new TestClock();
    const [store] = (await place.stores(clock)) as [UserSessionStore];
    users = new UserSessions(store, clock);
  });

  afterAll(() => place.stop());

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
          await place.clear();
          await users.manyLoggedIn(count, (n) => ({ data, seen: n / count, ends: 60 + n / count }));
          for (const [name, step] of Object.entries(steps)) {
            const taken = await place.inside.scriptTimes(() => step(users));
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
