import type { SessionRecord } from '../../lib/model/session-record.js';
import { eventually } from '../support/eventually.js';
import { MINUTE, PLACES, usersIn } from '../support/session-stores.js';
import { gathered, handlesOf } from '../support/user-sessions.js';

const EVICT = (limit: number) => ({ limit, overflow: 'evict-oldest' as const });
const REJECT = (limit: number) => ({ limit, overflow: 'reject' as const });

describe.each(PLACES)('%s', (_, start) => {
  const users = usersIn(start);

  const stored = async ({ handle }: SessionRecord) => (await users.found(handle))?.record;

  describe('a login', () => {
    it('writes the session, and enters it with its user', async () => {
      const { record, result } = await users.tried({ data: '{"a":[]}' });

      expect(result).toEqual({ outcome: 'created', evicted: [], replaced: false });
      expect(await users.store.find(record.handle)).toEqual({ record, values: { a: [] } });
      expect(await gathered(users.store.index.pages('ada'))).toEqual([[{ ...record, data: '{}' }]]);
      expect(await users.store.index.count('ada')).toBe(1);
    });

    it('refuses a handle that is taken, and changes nothing', async () => {
      const { record, expiresAt } = await users.loggedIn();
      const other = await users.loggedIn();
      const again = { ...record, data: '{"a":2}' };

      await expect(
        users.store.logIn({ record: again, expiresAt, limit: EVICT(1), replaces: other.record }),
      ).rejects.toThrow('exists already');
      expect([await stored(record), await stored(other.record)]).toEqual([record, other.record]);
      expect(await users.store.index.count('ada')).toBe(2);
    });

    it('refuses the handle of a session that was ended, whose holder could not learn the reason any more', async () => {
      const { id, record, expiresAt } = await users.loggedIn();
      await users.store.end(record, 'revoked');

      await expect(users.store.logIn({ record, expiresAt })).rejects.toThrow('exists already');
      expect(await users.reason(id)).toBe('revoked');
      expect([await users.listed(), await users.store.index.count('ada')]).toEqual([[], 0]);
    });
  });

  describe('a login beyond the limit', () => {
    it('ends the session that was seen least recently, not the oldest nor the one that expires first', async () => {
      const oldest = await users.loggedIn({ created: -30, seen: -2, ends: 50 });
      const unused = await users.loggedIn({ created: -10, seen: -9, ends: 500 });
      const expiresFirst = await users.loggedIn({ created: -20, seen: -1, ends: 1 });
      const { record, result } = await users.tried({ limit: EVICT(3) });

      expect(result).toEqual({ outcome: 'created', evicted: [unused.record.handle], replaced: false });
      expect(await users.lives(unused)).toBe(false);
      expect(await users.reason(unused.id)).toBe('limit');
      expect((await users.listed()).sort()).toEqual(handlesOf([oldest, expiresFirst, { record }]).sort());
    });

    it('goes by what was noted of activity since the sessions began', async () => {
      const first = await users.loggedIn({ seen: -3 });
      const second = await users.loggedIn({ seen: -2 });
      await users.store.extend(first.record, users.at(-1), users.at(59));

      expect((await users.tried({ limit: EVICT(2) })).result).toMatchObject({ evicted: [second.record.handle] });
    });

    it('ends as many as there are beyond a limit that was lowered, the least recently seen first', async () => {
      const five = await users.manyLoggedIn(5, (n) => ({ seen: -10 + n, ends: 60 - n }));
      const { record, result } = await users.tried({ limit: EVICT(2) });

      expect(result).toEqual({ outcome: 'created', evicted: handlesOf(five).slice(0, 4), replaced: false });
      expect((await users.listed()).sort()).toEqual(handlesOf([five[4]!, { record }]).sort());
    });

    it('is rejected where that is wanted, and changes nothing', async () => {
      const two = await users.manyLoggedIn(2);
      const { record, result } = await users.tried({ limit: REJECT(2) });

      expect(result).toEqual({ outcome: 'rejected' });
      expect(await stored(record)).toBeUndefined();
      expect((await users.listed()).sort()).toEqual(handlesOf(two).sort());
    });

    it('is taken again once a session has ended', async () => {
      const [one] = await users.manyLoggedIn(2);
      await users.store.end(one!.record, 'logged_out');

      expect((await users.tried({ limit: REJECT(2) })).result).toMatchObject({ outcome: 'created', evicted: [] });
    });

    it('does not count sessions that have expired', async () => {
      await users.manyLoggedIn(2, { ends: 5 });
      const lasting = await users.loggedIn({ seen: -5, ends: 60 });
      users.clock.advance('5m');
      const { record, result } = await users.tried({ limit: REJECT(2) });

      expect(result).toEqual({ outcome: 'created', evicted: [], replaced: false });
      expect((await users.listed()).sort()).toEqual(handlesOf([lasting, { record }]).sort());
    });

    it('counts the sessions of this user alone', async () => {
      const graces = await users.manyLoggedIn(3, { userId: 'grace' });

      expect((await users.tried({ limit: EVICT(1) })).result).toMatchObject({ outcome: 'created', evicted: [] });
      expect((await users.listed('grace')).sort()).toEqual(handlesOf(graces).sort());
    });

    it('ends the least recently seen of very many, too', async () => {
      const many = await users.manyLoggedIn(300, (n) => ({ seen: -1 - n, ends: 60 + n }));
      const unused = many.at(-1)!.record.handle;

      expect((await users.tried({ limit: EVICT(300) })).result).toMatchObject({ evicted: [unused] });
    });
  });

  describe('a login that replaces a session of the same user', () => {
    it.each([EVICT(2), REJECT(2)])('ends it in the same step, and does not count it: %p', async (limit) => {
      const [replaced, other] = await users.manyLoggedIn(2);
      const { record, result } = await users.tried({ replaces: replaced!.record, limit });

      expect(result).toEqual({ outcome: 'created', evicted: [], replaced: true });
      expect(await users.lives(replaced!)).toBe(false);
      expect((await users.listed()).sort()).toEqual(handlesOf([other!, { record }]).sort());
    });

    it('has a save that is under way learn of it', async () => {
      const { record } = await users.loggedIn();
      await users.loggedIn({ replaces: record });

      expect(await users.store.update({ ...record, version: 2 }, users.at(60))).toEqual({
        outcome: 'ended',
        ended: { reason: 'logged_out', replaced: true, secretHashes: [record.secretHash] },
      });
      expect(await stored(record)).toBeUndefined();
    });

    it('leaves it alone when the login is rejected', async () => {
      const [replaced] = await users.manyLoggedIn(3);
      const { result } = await users.tried({ replaces: replaced!.record, limit: REJECT(2) });

      expect(result).toEqual({ outcome: 'rejected' });
      expect(await users.lives(replaced!)).toBe(true);
    });

    it('gains no place by one that has ended before', async () => {
      const [unused, other, gone] = await users.manyLoggedIn(3, (n) => ({ seen: -3 + n }));
      await users.store.end(gone!.record, 'logged_out');
      const { record, result } = await users.tried({ replaces: gone!.record, limit: EVICT(2) });

      expect(result).toEqual({ outcome: 'created', evicted: [unused!.record.handle], replaced: false });
      expect((await users.listed()).sort()).toEqual(handlesOf([other!, { record }]).sort());
    });
  });

  describe('a login that continues a session', () => {
    it('learns that nothing is known of one that has expired', async () => {
      const { record: replaces } = await users.loggedIn({ ends: 30 / MINUTE });
      users.clock.advance(30);
      await eventually('the session to expire', async () => !(await users.lives({ record: replaces })));
      const { record, result } = await users.tried({ replaces, continues: true });

      expect(result).toEqual({ outcome: 'ended', ended: undefined });
      expect([await stored(record), await users.listed()]).toEqual([undefined, []]);
    });

    it('is created over the version that was loaded, whatever was noted of activity since', async () => {
      const { record: replaces } = await users.loggedIn();
      await users.store.extend(replaces, users.at(1), users.at(61));
      const { record, result } = await users.tried({ replaces, continues: true });

      expect(result).toEqual({ outcome: 'created', evicted: [], replaced: true });
      expect(await users.listed()).toEqual([record.handle]);
    });

    it('is stale over any other version, tells what stands there, and changes nothing', async () => {
      const { record: replaces } = await users.loggedIn();
      const current = { ...replaces, version: 2, data: '{"b":[]}' };
      await users.store.update(current, users.at(60));
      const { record, result } = await users.tried({ replaces, continues: true, limit: EVICT(1) });

      expect(result).toEqual({ outcome: 'stale', current });
      expect([await stored(current), await stored(record)]).toEqual([current, undefined]);
      expect(await users.listed()).toEqual([current.handle]);
    });

    it('learns why that one was ended, and changes nothing', async () => {
      const { record: replaces } = await users.loggedIn();
      const other = await users.loggedIn();
      await users.store.end(replaces, 'revoked');
      const { record, result } = await users.tried({ replaces, continues: true, limit: EVICT(1) });

      expect(result).toEqual({
        outcome: 'ended',
        ended: { reason: 'revoked', replaced: false, secretHashes: [replaces.secretHash] },
      });
      expect([await stored(record), await users.lives(other)]).toEqual([undefined, true]);
      expect(await users.listed()).toEqual([other.record.handle]);
    });
  });

  describe('a login that completes a pending one', () => {
    const pending = async () => {
      const { login, ...rest } = users.made().record;
      const record = { ...rest, pending: { login: login!, passport: { user: {} }, missing: ['totp'] } };
      await users.store.insert(record, users.at(10));
      return record;
    };

    it('ends that in the same step, which is remembered for a short time, with the session that it goes on as', async () => {
      const replaces = await pending();
      expect([await users.listed(), await users.store.index.count('ada')]).toEqual([[], 0]);
      const { record, result } = await users.tried({ replaces, continues: true });

      expect(result).toEqual({ outcome: 'created', evicted: [], replaced: true });
      expect(await users.listed()).toEqual([record.handle]);
      expect(await users.store.find(replaces.handle)).toEqual({
        reason: 'logged_out',
        replaced: true,
        wasPending: true,
        secretHashes: [replaces.secretHash],
        successor: record.handle,
      });
    });

    it('counts for the limit, for which the pending one does not', async () => {
      const [other] = await users.manyLoggedIn(1);
      const replaces = await pending();
      expect((await users.tried({ replaces, continues: true, limit: REJECT(1) })).result.outcome).toBe('rejected');
      expect((await stored(replaces))?.pending).toEqual(replaces.pending);
      const { record, result } = await users.tried({ replaces, continues: true, limit: EVICT(1) });

      expect(result).toEqual({ outcome: 'created', evicted: [other!.record.handle], replaced: true });
      expect(await users.listed()).toEqual([record.handle]);
    });

    it('is none where that was ended, and changes nothing', async () => {
      const replaces = await pending();
      const other = await users.loggedIn();
      await users.store.end(replaces, 'logged_out');
      const { record, result } = await users.tried({ replaces, continues: true, limit: EVICT(1) });

      expect(result).toEqual({
        outcome: 'ended',
        ended: { reason: 'logged_out', replaced: false, wasPending: true, secretHashes: [replaces.secretHash] },
      });
      expect([await stored(record), await users.lives(other)]).toEqual([undefined, true]);
    });
  });

  it('lists first what expires first', async () => {
    const made = await users.manyLoggedIn(3, (n) => ({ ends: 60 - n }));
    await users.store.extend(made[1]!.record, users.at(1), users.at(90));

    expect(await users.listed()).toEqual(handlesOf([made[2]!, made[0]!, made[1]!]));
  });

  describe('count', () => {
    it('tells the sessions of a user that live', async () => {
      expect(await users.store.index.count('ada')).toBe(0);
      const [one] = await users.manyLoggedIn(3);
      await users.loggedIn({ ends: 1 });
      await users.loggedIn({ userId: 'grace' });
      expect(await users.store.index.count('ada')).toBe(4);
      await users.store.end(one!.record, 'logged_out');
      users.clock.advance('1m');

      expect(await users.store.index.count('ada')).toBe(2);
    });
  });

  describe('ending all sessions of a user', () => {
    it.each([0, 1, 100, 101, 102, 250])('ends each of %d, and tells which', async (count) => {
      const many = await users.manyLoggedIn(count);
      const other = await users.loggedIn({ userId: 'grace' });
      const ended = (await gathered(users.store.index.endAll('ada', 'revoked'))).flat();

      expect(ended.sort()).toEqual(handlesOf(many).sort());
      expect([await users.store.index.count('ada'), await users.listed()]).toEqual([0, []]);
      expect(await users.store.ids()).toEqual([other.record.handle]);
      for (const { id } of many.slice(0, 3)) expect(await users.reason(id)).toBe('revoked');
    });

    it.each([1, 2, 101, 102, 250])('leaves the one of %d that is excepted', async (count) => {
      const many = await users.manyLoggedIn(count, (n) => ({ ends: 60 + n }));
      for (const kept of [many[count >> 1]!, many[count >> 1]!]) {
        await gathered(users.store.index.endAll('ada', 'credentials_changed', kept.record.handle));

        expect(await users.store.ids()).toEqual([kept.record.handle]);
        expect(await users.listed()).toEqual([kept.record.handle]);
      }
    });

    it('ends all when the excepted handle is none of theirs', async () => {
      await users.manyLoggedIn(2);
      const other = await users.loggedIn({ userId: 'grace' });
      await gathered(users.store.index.endAll('ada', 'revoked', other.record.handle));

      expect(await users.store.ids()).toEqual([other.record.handle]);
    });
  });

  describe("ending everyone's sessions", () => {
    it("ends those of every user, tells which, and leaves those that are nobody's", async () => {
      const [adas, graces, alans] = [
        await users.manyLoggedIn(300),
        await users.manyLoggedIn(2, { userId: 'grace' }),
        await users.manyLoggedIn(1, { userId: 'alan' }),
      ];
      const nobodys = [await users.anonymous(), await users.anonymous()];
      const ended = (await gathered(users.store.index.endEveryone('revoked'))).flat();

      expect(ended.sort()).toEqual(handlesOf([...adas, ...graces, ...alans]).sort());
      expect((await users.store.ids())!.sort()).toEqual(handlesOf(nobodys).sort());
      expect(await users.reason(alans[0]!.id)).toBe('revoked');
      for (const userId of ['ada', 'grace', 'alan']) expect(await users.store.index.count(userId)).toBe(0);
    });
  });
});
