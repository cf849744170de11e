import { MINUTE, REDIS_PLACES, usersIn } from '../support/session-stores.js';
import { eventually } from '../support/eventually.js';
import { handlesOf, type Made } from '../support/user-sessions.js';

const REJECT = (limit: number) => ({ limit, overflow: 'reject' as const });

describe.each(REDIS_PLACES)('the index in Redis of a user with very many sessions (%s)', (_, start) => {
  const users = usersIn(start);
  const redis = () => users.place.redis;

  describe('of sessions that vanished, as by eviction,', () => {
    const vanish = async (...made: Made[]) => {
      for (const handle of handlesOf(made)) await redis().client.del(redis().session(handle));
    };

    it('rejects no login for very many of them', async () => {
      await vanish(...(await users.manyLoggedIn(1200)));

      expect((await users.tried({ limit: REJECT(3) })).result).toMatchObject({ outcome: 'created' });
    });
  });

  describe('forgets sessions that have expired', () => {
    it('though they are very many, some at each login', async () => {
      await users.manyLoggedIn(3000, { ends: 1 });
      const lasting = [await users.loggedIn()];
      users.clock.advance('1m');
      const left = [3001];
      while (left.at(-1)! > lasting.length) {
        lasting.push(await users.loggedIn());
        expect(await users.store.index.count('ada')).toBe(lasting.length);
        left.push(Object.keys(await redis().entries('ada')).length);
        expect(left.at(-1)).toBeLessThan(left.at(-2)!);
      }

      expect(left.length).toBeGreaterThan(2);
      expect((await users.listed()).sort()).toEqual(handlesOf(lasting).sort());
    });

    it('and lists none of very many that Redis has dropped', async () => {
      await users.manyLoggedIn(1500, { ends: 200 / MINUTE });
      const lasting = await users.loggedIn();
      await eventually('the sessions to expire', async () => (await users.store.ids())!.length === 1);

      expect(await users.listed()).toEqual([lasting.record.handle]);
      expect(Object.keys(await redis().entries('ada'))).toEqual([lasting.record.handle]);
    });
  });
});
