import { PLACES, REDIS_PLACES, usersIn } from '../support/session-stores.js';
import { eventually } from '../support/eventually.js';
import { gathered, handlesOf } from '../support/user-sessions.js';

const HOUR = 3_600_000;

describe.each(PLACES)('%s: the trust epoch of a user', (_, start) => {
  const users = usersIn(start);
  const trust = () => users.store.trust!;
  const grant = (userId = 'ada', fresh = 'fresh', lifetime = HOUR) => trust().grant(userId, fresh, lifetime);
  const find = (userId = 'ada') => trust().find(userId);

  it("is none until one is granted, and is this user's alone", async () => {
    expect(await find()).toBeUndefined();
    expect(await grant('ada', 'first')).toBe('first');

    expect([await find(), await find('grace')]).toEqual(['first', undefined]);
  });

  it('stays the same when it is granted again', async () => {
    await grant('ada', 'first');

    expect(await grant('ada', 'second')).toBe('first');
    expect(await find()).toBe('first');
  });

  it('is one, whoever of many is granted it first', async () => {
    const granted = await Promise.all(Array.from({ length: 20 }, (_, n) => grant('ada', `epoch ${n}`)));

    expect(new Set(granted).size).toBe(1);
  });

  it('ends by itself after the longest time that it was granted for', async () => {
    await grant('grace', 'short', 30);
    await grant('ada', 'long', HOUR);
    await grant('ada', 'long', 30);
    users.clock.advance(30);
    await eventually('the short one to end', async () => (await find('grace')) === undefined);

    expect(await find()).toBe('long');
    expect(await grant('grace', 'next')).toBe('next');
  });

  it('lives longer when it is granted for longer', async () => {
    await grant('ada', 'first', HOUR);
    await grant('ada', 'second', 2 * HOUR);
    users.clock.advance(HOUR);

    expect(await find()).toBe('first');
  });

  it('ends with all sessions of the user, also where one is excepted, and where there are none', async () => {
    const [kept] = await users.manyLoggedIn(2);
    await grant();
    await gathered(users.store.index.endAll('ada', 'credentials_changed', kept!.record.handle));
    expect([await find(), await users.lives(kept!)]).toEqual([undefined, true]);
    await grant('grace');
    await grant('alan');
    await gathered(users.store.index.endAll('grace', 'revoked'));

    expect([await find('grace'), await find('alan')]).toEqual([undefined, 'fresh']);
  });

  it('ends in the first step, though there are more', async () => {
    await users.manyLoggedIn(250);
    await grant();
    await users.store.index.endAll('ada', 'revoked')[Symbol.asyncIterator]().next();

    expect(await find()).toBeUndefined();
  });

  it("ends with everyone's sessions, also of users who have none", async () => {
    const ada = await users.loggedIn();
    await grant('ada');
    await grant('grace');
    const ended = (await gathered(users.store.index.endEveryone('revoked'))).flat();

    expect(ended).toEqual([ada.record.handle]);
    expect([await find('ada'), await find('grace')]).toEqual([undefined, undefined]);
  });

  it('is no session, and is counted and listed nowhere', async () => {
    const ada = await users.loggedIn();
    await grant('ada');
    await grant('grace');

    expect(await users.store.ids()).toEqual([ada.record.handle]);
    expect([await users.store.length(), (await users.store.all())?.length]).toEqual([1, 1]);
    expect([await users.store.index.count('ada'), await users.store.index.count('grace')]).toEqual([1, 0]);
    expect([await users.listed(), await users.listed('grace')]).toEqual([handlesOf([ada]), []]);
  });

  it('stays when a session ends or another one begins', async () => {
    await grant();
    const { record } = await users.loggedIn();
    await users.store.end(record, 'logged_out');
    await users.loggedIn({ limit: { limit: 1, overflow: 'evict-oldest' } });

    expect(await find()).toBe('fresh');
  });

  it('is gone when the store is cleared', async () => {
    await grant();
    await users.store.clear();

    expect(await find()).toBeUndefined();
  });

  describe('that a login needs', () => {
    it('opens the session when it is still there', async () => {
      await grant();

      expect((await users.tried({ epoch: 'fresh' })).result).toMatchObject({ outcome: 'created' });
    });

    it.each<[string, () => Promise<unknown>]>([
      ['never was there', () => Promise.resolve()],
      ['is another one', () => grant('ada', 'another')],
      ["is another user's", () => grant('grace')],
    ])('does nothing when it %s', async (_, prepare) => {
      await prepare();
      const former = await users.loggedIn();
      const { result } = await users.tried({
        epoch: 'fresh',
        replaces: former.record,
        limit: { limit: 1, overflow: 'evict-oldest' },
      });

      expect(result).toEqual({ outcome: 'untrusted' });
      expect(await users.store.ids()).toEqual([former.record.handle]);
      expect(await users.listed()).toEqual([former.record.handle]);
    });

    it('leaves no session that outlives the end of both, whichever comes first', async () => {
      let both = 0;
      for (let round = 0; round < 50; round++) {
        await grant('ada', 'fresh');
        const [login] = await Promise.all([
          users.tried({ epoch: 'fresh' }),
          gathered(users.store.index.endAll('ada', 'credentials_changed')),
        ]);
        both += Number(login.result.outcome === 'untrusted') + Number(!(await users.lives(login)));
        expect(await users.listed()).toEqual([]);
      }
      expect(both).toBeGreaterThanOrEqual(50);
    });
  });
});

describe.each(REDIS_PLACES)('%s: the key of a trust epoch', (_, start) => {
  const users = usersIn(start);

  it('is one of its own in the slot of the user, which has an end', async () => {
    const { redis } = users.place;
    const { record } = await users.loggedIn();
    await users.store.trust!.grant('ada', 'fresh', HOUR);
    const key = `${redis.index('ada')}{trust}`;

    expect(await redis.keys()).toEqual([redis.index('ada'), redis.session(record.handle), key].sort());
    const ttl = await redis.client.pTTL(key);
    expect([ttl > HOUR - 60_000, ttl <= HOUR]).toEqual([true, true]);
    await users.store.trust!.grant('ada', 'fresh', 2 * HOUR);
    expect(await redis.client.pTTL(key)).toBeGreaterThan(HOUR);
    await gathered(users.store.index.endAll('ada', 'revoked'));
    expect(await redis.keys()).not.toContain(key);
  });
});
