import { HOUR, MINUTE, REDIS_PLACES, usersIn } from '../support/session-stores.js';
import { eventually } from '../support/eventually.js';
import { gathered, handlesOf, type Made } from '../support/user-sessions.js';

const SECOND = 1000;

describe.each(REDIS_PLACES)('the index in Redis of a user (%s)', (_, start) => {
  const users = usersIn(start);
  const redis = () => users.place.redis;

  /** What the keys of a session say of its end, each as a time to live, to the second. */
  async function says({ record: { handle } }: Pick<Made, 'record'>) {
    const [session, tombstone] = await Promise.all([
      redis().client.pTTL(redis().session(handle)),
      redis().client.pTTL(redis().tombstone(handle)),
    ]);
    const { at, reason } = await redis().epitaph(handle);
    const toSecond = (milliseconds: number) => Math.round(milliseconds / SECOND) * SECOND;
    return {
      session: toSecond(session),
      entry: ((await redis().entries('ada'))[handle] ?? NaN) - users.clock.now(),
      tombstone: toSecond(tombstone) - HOUR,
      from: at - users.clock.now(),
      reason,
    };
  }

  const inStep = (minutes: number, reason = 'idle_timeout') => ({
    session: minutes * MINUTE,
    entry: minutes * MINUTE,
    tombstone: minutes * MINUTE,
    from: minutes * MINUTE,
    reason,
  });

  const indexLives = async () => Math.round((await redis().client.pTTL(redis().index('ada'))) / SECOND) * SECOND;

  describe('says when a session runs out, as the session and its tombstone do,', () => {
    it('from its login on', async () => {
      expect(await says(await users.loggedIn({ ends: 7 }))).toEqual(inStep(7));
      expect(await says(await users.loggedIn({ ends: 9, reason: 'absolute_timeout' }))).toEqual(
        inStep(9, 'absolute_timeout'),
      );
    });

    it.each([3, 12])('after an update that moved it to %d minutes', async (minutes) => {
      const made = await users.loggedIn({ ends: 7 });
      await users.store.update({ ...made.record, version: 2 }, users.ends(minutes, 'absolute_timeout'));

      expect(await says(made)).toEqual(inStep(minutes, 'absolute_timeout'));
    });

    it.each([3, 12])('after activity that moved it to %d minutes', async (minutes) => {
      const made = await users.loggedIn({ ends: 7 });
      await users.store.extend(made.record, users.at(1), users.ends(minutes, 'absolute_timeout'));

      expect(await says(made)).toEqual(inStep(minutes, 'absolute_timeout'));
    });

    it('after activity noted by a request that knew nothing of the longer limits given meanwhile', async () => {
      const made = await users.loggedIn({ ends: 7 });
      await users.store.update({ ...made.record, version: 2 }, users.ends(12, 'absolute_timeout'));
      await users.store.extend(made.record, users.at(1), users.ends(8));

      expect(await says(made)).toEqual(inStep(12, 'absolute_timeout'));
    });

    it('after an update that was stale', async () => {
      const made = await users.loggedIn({ ends: 7 });
      await users.store.update({ ...made.record, version: 3 }, users.ends(12));

      expect(await says(made)).toEqual(inStep(7));
    });

    it('after activity that had been noted before', async () => {
      const made = await users.loggedIn({ ends: 7 });
      await users.store.extend(made.record, users.at(0), users.ends(12));

      expect(await says(made)).toEqual(inStep(7));
    });

    it('after an update that knew nothing of the activity before it', async () => {
      const made = await users.loggedIn({ ends: 7 });
      await users.store.extend(made.record, users.at(1), users.ends(12, 'absolute_timeout'));
      await users.store.update({ ...made.record, version: 2 }, users.ends(7));

      expect(await says(made)).toEqual(inStep(12, 'absolute_timeout'));
    });
  });

  it('forgets a session that is ended, and is gone with the last one', async () => {
    const [one, other] = (await users.manyLoggedIn(2)) as [Made, Made];
    await users.store.end(one.record, 'logged_out');
    expect(Object.keys(await redis().entries('ada'))).toEqual([other.record.handle]);
    await gathered(users.store.index.endAll('ada', 'revoked'));

    expect(await redis().keys()).toEqual(
      handlesOf([one, other])
        .map((handle) => redis().tombstone(handle))
        .sort(),
    );
  });

  it('lives as long as the session in it that lives longest', async () => {
    const short = await users.loggedIn({ ends: 7 });
    expect(await indexLives()).toBe(7 * MINUTE);
    await users.loggedIn({ ends: 30 });
    await users.loggedIn({ ends: 9 });
    expect(await indexLives()).toBe(30 * MINUTE);
    await users.store.extend(short.record, users.at(1), users.ends(40));
    expect(await indexLives()).toBe(40 * MINUTE);
    await users.store.update({ ...short.record, version: 2, seenAt: users.at(2) }, users.ends(50));

    expect(await indexLives()).toBe(50 * MINUTE);
  });

  it('goes by itself when all its sessions have run out', async () => {
    await users.manyLoggedIn(3, (n) => ({ ends: (50 + 50 * n) / MINUTE }));

    await eventually('the index to run out', async () => (await redis().client.exists(redis().index('ada'))) === 0);
  });

  it('takes a session in again that it had lost, when that is used', async () => {
    const [one, other] = (await users.manyLoggedIn(2)) as [Made, Made];
    await redis().client.del(redis().index('ada'));
    await users.store.extend(one.record, users.at(1), users.ends(61));
    await users.store.update({ ...other.record, version: 2 }, users.ends(62));

    expect((await users.listed()).sort()).toEqual(handlesOf([one, other]).sort());
    expect(await indexLives()).toBe(62 * MINUTE);
  });

  describe('of sessions that vanished, as by eviction,', () => {
    const vanish = async (...made: Made[]) => {
      for (const handle of handlesOf(made)) await redis().client.del(redis().session(handle));
    };

    it('is healed when it is listed', async () => {
      const many = await users.manyLoggedIn(300);
      await vanish(...many.slice(10));

      expect((await users.listed()).sort()).toEqual(handlesOf(many.slice(0, 10)).sort());
      expect(Object.keys(await redis().entries('ada')).sort()).toEqual(handlesOf(many.slice(0, 10)).sort());
      expect(await users.store.index.count('ada')).toBe(10);
    });

    it.each(['reject', 'evict-oldest'] as const)('is healed by a login with a limit (%s)', async (overflow) => {
      const [vanished, alive] = (await users.manyLoggedIn(2)) as [Made, Made];
      await vanish(vanished);
      const { record, outcome } = await users.tried({ limit: { limit: 2, overflow } });

      expect(outcome).toEqual({ outcome: 'created', evicted: [], replaced: false });
      expect(Object.keys(await redis().entries('ada')).sort()).toEqual(handlesOf([alive, { record }]).sort());
    });

    it.each(['reject', 'evict-oldest'] as const)(
      'is healed by a login with a limit also where something else took the place of one (%s)',
      async (overflow) => {
        const [vanished, alive] = (await users.manyLoggedIn(2)) as [Made, Made];
        await vanish(vanished);
        await redis().client.lPush(redis().session(vanished.record.handle), 'a list');
        const { record, outcome } = await users.tried({ limit: { limit: 2, overflow } });

        expect(outcome).toEqual({ outcome: 'created', evicted: [], replaced: false });
        expect(Object.keys(await redis().entries('ada')).sort()).toEqual(handlesOf([alive, { record }]).sort());
      },
    );

    it('ends the others, and tells of them alone', async () => {
      const [vanished, alive] = (await users.manyLoggedIn(2)) as [Made, Made];
      await vanish(vanished);

      expect((await gathered(users.store.index.endAll('ada', 'revoked'))).flat()).toEqual([alive.record.handle]);
      expect(await redis().client.exists(redis().index('ada'))).toBe(0);
    });

    it('brings none of them back', async () => {
      const made = await users.loggedIn();
      await vanish(made);

      expect(await users.store.extend(made.record, users.at(1), users.ends(61))).toBe('gone');
      expect(await users.store.update({ ...made.record, version: 2 }, users.ends(61))).toEqual({ outcome: 'gone' });
      expect(await users.store.whyEnded(made.id)).toBeUndefined();
      expect(await users.listed()).toEqual([]);
    });
  });

  describe('forgets sessions that have run out', () => {
    const uses: [string, () => Promise<unknown>][] = [
      ['a login', () => users.loggedIn()],
      ['a list', () => users.listed()],
      ['a count', () => users.store.index.count('ada')],
    ];

    it.each(uses)('on use, as by %s', async (_, use) => {
      await users.manyLoggedIn(3, { ends: 1 });
      const lasting = await users.loggedIn();
      users.clock.advance('1m');
      await use();
      const entries = Object.keys(await redis().entries('ada'));

      expect(entries).toContain(lasting.record.handle);
      expect(entries.length).toBeLessThanOrEqual(2);
      expect((await users.store.ids())!.sort()).toEqual(entries.sort());
    });
  });

  it('keeps to its user, where another one has the same slot tag', async () => {
    const [one, other] = [await users.loggedIn({ userId: '53136528' }), await users.loggedIn({ userId: '54715936' })];

    expect(Object.keys(await redis().entries('53136528'))).toEqual([one.record.handle]);
    expect(Object.keys(await redis().entries('54715936'))).toEqual([other.record.handle]);
  });
});
