import { MINUTE, REDIS_PLACES, usersIn } from '../support/session-stores.js';
import { eventually } from '../support/eventually.js';
import { gathered, handlesOf, type Made } from '../support/user-sessions.js';

const SECOND = 1000;

describe.each(REDIS_PLACES)('the index in Redis of a user (%s)', (_, start) => {
  const users = usersIn(start);
  const redis = () => users.place.redis;

  const toSecond = (milliseconds: number) => Math.round(milliseconds / SECOND) * SECOND;

  /** What the key and the entry of a session say of its end, each as a time to live, to the second. */
  async function says({ record: { handle } }: Pick<Made, 'record'>) {
    return {
      session: toSecond(await redis().client.pTTL(redis().session(handle))),
      entry: ((await redis().entries('ada'))[handle] ?? NaN) - users.clock.now(),
    };
  }

  const inStep = (minutes: number) => ({ session: minutes * MINUTE, entry: minutes * MINUTE });

  const indexLives = async () => toSecond(await redis().client.pTTL(redis().index('ada')));

  describe('says when a session expires, as its key does,', () => {
    it('from its login on', async () => {
      expect(await says(await users.loggedIn({ ends: 7 }))).toEqual(inStep(7));
      expect(await says(await users.loggedIn({ ends: 9 }))).toEqual(inStep(9));
    });

    it.each([3, 12])('after an update that moved it to %d minutes', async (minutes) => {
      const made = await users.loggedIn({ ends: 7 });
      await users.store.update({ ...made.record, version: 2 }, users.at(minutes));

      expect(await says(made)).toEqual(inStep(minutes));
    });

    it.each([3, 12])('after activity that moved it to %d minutes', async (minutes) => {
      const made = await users.loggedIn({ ends: 7 });
      await users.store.extend(made.record, users.at(1), users.at(minutes));

      expect(await says(made)).toEqual(inStep(minutes));
    });

    it('after activity noted by a request that knew nothing of the longer limits given meanwhile', async () => {
      const made = await users.loggedIn({ ends: 7 });
      await users.store.update({ ...made.record, version: 2 }, users.at(12));
      await users.store.extend(made.record, users.at(1), users.at(8));

      expect(await says(made)).toEqual(inStep(12));
    });

    it('after an update that was stale', async () => {
      const made = await users.loggedIn({ ends: 7 });
      await users.store.update({ ...made.record, version: 3 }, users.at(12));

      expect(await says(made)).toEqual(inStep(7));
    });

    it('after activity that had been noted before', async () => {
      const made = await users.loggedIn({ ends: 7 });
      await users.store.extend(made.record, users.at(0), users.at(12));

      expect(await says(made)).toEqual(inStep(7));
    });

    it('after an update that knew nothing of the activity before it', async () => {
      const made = await users.loggedIn({ ends: 7 });
      await users.store.extend(made.record, users.at(1), users.at(12));
      await users.store.update({ ...made.record, version: 2 }, users.at(7));

      expect(await says(made)).toEqual(inStep(12));
    });
  });

  it('forgets a session that is ended, and is gone with the last one', async () => {
    const [one, other] = (await users.manyLoggedIn(2)) as [Made, Made];
    await users.store.end(one.record, 'logged_out');
    expect(Object.keys(await redis().entries('ada'))).toEqual([other.record.handle]);
    await gathered(users.store.index.endAll('ada', 'revoked'));

    expect(await redis().client.exists(redis().index('ada'))).toBe(0);
    expect(await redis().keys()).toEqual(
      handlesOf([one, other])
        .map((handle) => redis().session(handle))
        .sort(),
    );
  });

  it('lives as long as the session in it that lives longest', async () => {
    const short = await users.loggedIn({ ends: 7 });
    expect(await indexLives()).toBe(7 * MINUTE);
    await users.loggedIn({ ends: 30 });
    await users.loggedIn({ ends: 9 });
    expect(await indexLives()).toBe(30 * MINUTE);
    await users.store.extend(short.record, users.at(1), users.at(40));
    expect(await indexLives()).toBe(40 * MINUTE);
    await users.store.update({ ...short.record, version: 2, seenAt: users.at(2) }, users.at(50));

    expect(await indexLives()).toBe(50 * MINUTE);
  });

  describe('lives no longer than the session in it that lives longest', () => {
    let short: Made;
    let long: Made;

    beforeEach(async () => {
      short = await users.loggedIn({ seen: -1, ends: 7 });
      long = await users.loggedIn({ seen: -2, ends: 500 });
    });

    it.each<[string, () => Promise<unknown>, number]>([
      ['after a logout', () => users.store.end(long.record, 'logged_out'), 7],
      [
        'after all others were ended',
        () => gathered(users.store.index.endAll('ada', 'revoked', short.record.handle)),
        7,
      ],
      ['after the login that replaced it', () => users.loggedIn({ replaces: long.record, ends: 9 }), 9],
      [
        'after the login that ended it for the limit',
        () => users.loggedIn({ limit: { limit: 2, overflow: 'evict-oldest' }, ends: 5 }),
        7,
      ],
      ['after it was given less time', () => users.store.update({ ...long.record, version: 2 }, users.at(11)), 11],
      ['after activity that met a shorter limit', () => users.store.extend(long.record, users.at(0), users.at(3)), 7],
    ])('%s', async (_, change, minutes) => {
      expect(await indexLives()).toBe(500 * MINUTE);
      await change();

      expect(await indexLives()).toBe(minutes * MINUTE);
    });

    it('and no shorter, after another one was ended or given less time', async () => {
      const third = await users.loggedIn({ ends: 30 });
      await users.store.end(short.record, 'logged_out');
      await users.store.update({ ...third.record, version: 2 }, users.at(3));

      expect(await indexLives()).toBe(500 * MINUTE);
    });
  });

  it('expires when all its sessions have', async () => {
    await users.manyLoggedIn(3, (n) => ({ ends: (50 + 50 * n) / MINUTE }));

    await eventually('the index to expire', async () => (await redis().client.exists(redis().index('ada'))) === 0);
  });

  it('takes a session in again that it had lost, when that is used', async () => {
    const [one, other] = (await users.manyLoggedIn(2)) as [Made, Made];
    await redis().client.del(redis().index('ada'));
    await users.store.extend(one.record, users.at(1), users.at(61));
    await users.store.update({ ...other.record, version: 2 }, users.at(62));

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
      const { record, result } = await users.tried({ limit: { limit: 2, overflow } });

      expect(result).toEqual({ outcome: 'created', evicted: [], replaced: false });
      expect(Object.keys(await redis().entries('ada')).sort()).toEqual(handlesOf([alive, { record }]).sort());
    });

    it.each(['reject', 'evict-oldest'] as const)(
      'is healed by a login with a limit also where something else took the place of one (%s)',
      async (overflow) => {
        const [vanished, alive] = (await users.manyLoggedIn(2)) as [Made, Made];
        await vanish(vanished);
        await redis().client.lPush(redis().session(vanished.record.handle), 'a list');
        const { record, result } = await users.tried({ limit: { limit: 2, overflow } });

        expect(result).toEqual({ outcome: 'created', evicted: [], replaced: false });
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

      expect(await users.store.extend(made.record, users.at(1), users.at(61))).toBe('ended');
      expect(await users.store.update({ ...made.record, version: 2 }, users.at(61))).toEqual({ outcome: 'ended' });
      expect(await users.reason(made.id)).toBe('expired');
      expect(await users.listed()).toEqual([]);
    });
  });

  it('forgets sessions that have expired at the next login', async () => {
    await users.manyLoggedIn(3, { ends: 1 });
    const lasting = await users.loggedIn();
    users.clock.advance('1m');
    const { record } = await users.loggedIn();

    expect(Object.keys(await redis().entries('ada')).sort()).toEqual(handlesOf([lasting, { record }]).sort());
  });

  it('lists and counts no sessions that have expired', async () => {
    await users.manyLoggedIn(3, { ends: 1 });
    const lasting = await users.loggedIn();
    users.clock.advance('1m');

    expect(await users.listed()).toEqual([lasting.record.handle]);
    expect(await users.store.index.count('ada')).toBe(1);
  });
});
