import { MEMORY_PLACE, PLACES, usersIn } from '../support/session-stores.js';
import { handlesOf, type Made } from '../support/user-sessions.js';

const MANY = 10_000;
/** In memory, where there is nothing to page through. */
const FEWER = 1000;

describe.each(PLACES)('a user with very many sessions (%s)', (_, start) => {
  const users = usersIn(start);
  const most = start === MEMORY_PLACE[1] ? FEWER : MANY;

  /** Goes through all pages, and does something between each two. */
  async function listed(between: (page: number) => Promise<unknown> = () => Promise.resolve()): Promise<string[]> {
    const handles: string[] = [];
    let number = 0;
    for await (const page of users.store.index.pages('ada')) {
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
    ['that expire one after the other', (n) => ({ ends: 60 + n / 100 })],
    ['that all expire at once', () => ({ ends: 60 })],
  ])('has each listed once of sessions %s', async (_, wish) => {
    const many = await users.manyLoggedIn(most, wish);
    const handles = await listed();

    expectEachOnce(handles, many);
    expect([handles.length, await users.store.index.count('ada')]).toEqual([most, most]);
  });

  it.each<[string, (n: number) => { ends: number }]>([
    ['one after the other', (n) => ({ ends: 60 + n / 100 })],
    ['all at once', () => ({ ends: 60 })],
  ])('has each that lives on listed once while others come, go and are used; they expire %s', async (_, wish) => {
    const many = await users.manyLoggedIn(3000, wish);
    const ended = new Set<Made>();
    const handles = await listed(async (page) => {
      const step = many.slice(97 * page, 97 * (page + 1)).filter((made) => !ended.has(made));
      const ending = step.filter((_, n) => n % 3 === 0);
      for (const made of ending) ended.add(made);
      await Promise.all([
        ...ending.map(({ record }) => users.store.end(record, 'logged_out')),
        ...step
          .filter((_, n) => n % 3 === 1)
          .map(({ record }) => users.store.extend(record, users.at(1), users.at(70 + page))),
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
    for await (const page of users.store.index.pages('ada')) {
      handles.push(...page.map(({ handle }) => handle));
      const last = byHandle.get(page.at(-1)?.handle ?? '');
      if (last === undefined) continue;
      if (handles.length % 2 === 0) await users.store.extend(last.record, users.at(1), users.at(61));
      else {
        await users.store.end(last.record, 'logged_out');
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
          .map(({ record }) => users.store.update({ ...record, version: 2 }, users.at(10))),
      ),
    );

    expectEachOnce(handles, many);
  });

  it('has each listed of more than that while the first ones end or are used', async () => {
    const many = await users.manyLoggedIn(most + most / 10, (n) => ({ ends: 60 + n / 100 }));
    const [ending, used] = [many.slice(0, 200), many.slice(200, 400)];
    const handles = await listed(async (page) => {
      if (page > 0) return;
      await Promise.all(ending.map(({ record }) => users.store.end(record, 'logged_out')));
      await Promise.all(used.map(({ record }) => users.store.extend(record, users.at(1), users.at(500))));
    });

    expectEachOnce(handles, many.slice(200));
  });

  it('is left with as many as the limit is by the next login', async () => {
    const many = await users.manyLoggedIn(most, (n) => ({ seen: n / most, ends: 60 + n / most }));
    const { record, result } = await users.tried({ seen: 2, ends: 62, limit: { limit: 3, overflow: 'evict-oldest' } });
    const left = [...many.slice(-2), { record }];

    expect(result).toMatchObject({ outcome: 'created', replaced: false });
    expect(result.outcome === 'created' && [...result.evicted].sort()).toEqual(handlesOf(many.slice(0, -2)).sort());
    expect((await users.listed()).sort()).toEqual(handlesOf(left).sort());
    expect((await users.store.ids())!.sort()).toEqual(handlesOf(left).sort());
  });
});
