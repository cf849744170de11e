import { PLACES, usersIn } from '../support/session-stores.js';
import { gathered } from '../support/user-sessions.js';

const EVICT = (limit: number) => ({ limit, overflow: 'evict-oldest' as const });
const REJECT = (limit: number) => ({ limit, overflow: 'reject' as const });

describe.each(PLACES)('%s, where there are more sessions than one step looks at,', (_, start) => {
  const users = usersIn(start);

  describe('a login beyond the limit', () => {
    it.each([EVICT(1100), REJECT(1100)])('counts beyond what one step looks at: %p', async (limit) => {
      await users.manyLoggedIn(1099);
      expect((await users.tried({ limit })).result).toMatchObject({ outcome: 'created', evicted: [] });
      const { result } = await users.tried({ limit });

      expect(result.outcome).toBe(limit.overflow === 'reject' ? 'rejected' : 'created');
      expect(await users.store.index.count('ada')).toBe(1100);
    });
  });

  describe('a login that replaces a session of the same user', () => {
    it('counts the others when it replaces the one that ends first of all', async () => {
      const [replaced] = await users.manyLoggedIn(1100, (n) => ({ ends: 60 + n }));
      const { result } = await users.tried({ replaces: replaced!.record, limit: REJECT(1100) });

      expect(result).toMatchObject({ outcome: 'created', replaced: true });
      expect(await users.store.index.count('ada')).toBe(1100);
    });

    it('counts the others when it replaces the one that ends last of all', async () => {
      const many = await users.manyLoggedIn(1100, (n) => ({ ends: 60 + n }));
      const { result } = await users.tried({ replaces: many.at(-1)!.record, limit: REJECT(1100) });

      expect(result).toMatchObject({ outcome: 'created', replaced: true });
      expect(await users.store.index.count('ada')).toBe(1100);
    });
  });

  describe('count', () => {
    it('leaves out sessions that have expired, however many', async () => {
      await users.manyLoggedIn(1500, { ends: 1 });
      await users.loggedIn();
      users.clock.advance('1m');

      expect(await users.store.index.count('ada')).toBe(1);
    });
  });

  describe("ending everyone's sessions", () => {
    it('reaches each of a thousand users', async () => {
      await users.manyLoggedIn(1000, (n) => ({ userId: `user ${n}` }));
      const ended = (await gathered(users.store.index.endEveryone('revoked'))).flat();

      expect([new Set(ended).size, ended.length, await users.store.ids()]).toEqual([1000, 1000, []]);
    });
  });
});
