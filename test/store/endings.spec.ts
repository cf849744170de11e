import { offered, takenOver } from '../../lib/session/rotation.js';
import { hashSecret, newSecret, newSessionId, type SessionId } from '../../lib/session/session-id.js';
import type { Ending } from '../../lib/session/session-store.js';
import { DAY, HOUR, MEMORY_PLACE, MINUTE, PLACES, REDIS_PLACES, usersIn } from '../support/session-stores.js';
import { eventually } from '../support/eventually.js';
import { gathered, type Made } from '../support/user-sessions.js';

const ENDINGS: [Ending, string][] = [
  ['revoked', 'revoked'],
  ['limit', 'limit'],
  ['credentials_changed', 'credentials_changed'],
  ['logged_out', 'logged_out'],
  ['reuse_detected', 'reuse_detected'],
  ['replaced', 'logged_out'],
];

describe.each(PLACES)('%s', (_, start) => {
  const users = usersIn(start);

  const why = (id: SessionId) => users.store.whyEnded(id);

  describe('why a session ended', () => {
    it.each(ENDINGS)('is known of one that was ended as %s: %s', async (ending, reason) => {
      const { id, record } = await users.loggedIn();
      await users.store.end(record, ending);

      expect(await why(id)).toBe(reason);
    });

    it('is not known while it lives, nor of one that never was', async () => {
      expect(await why((await users.loggedIn()).id)).toBeUndefined();
      expect(await why(newSessionId())).toBeUndefined();
    });

    it('is what ended it first', async () => {
      const { id, record } = await users.loggedIn();
      await users.store.end(record, 'revoked');
      expect(await users.store.end(record, 'logged_out')).toBe(false);
      await gathered(users.store.index.endAll('ada', 'credentials_changed'));

      expect(await why(id)).toBe('revoked');
    });

    it('is known of one that a limit ended', async () => {
      const { id } = await users.loggedIn();
      await users.loggedIn({ limit: { limit: 1, overflow: 'evict-oldest' } });

      expect(await why(id)).toBe('limit');
    });

    it('is a logout for one that a login replaced', async () => {
      const { id, record } = await users.loggedIn();
      await users.loggedIn({ replaces: record });

      expect(await why(id)).toBe('logged_out');
    });

    it('is known of all that were ended together', async () => {
      const three = await users.manyLoggedIn(3);
      await gathered(users.store.index.endAll('ada', 'credentials_changed', three[0]!.record.handle));

      expect(await Promise.all(three.map(({ id }) => why(id)))).toEqual([
        undefined,
        'credentials_changed',
        'credentials_changed',
      ]);
    });

    it.each(ENDINGS)("is not kept of a session that is nobody's, as by %s", async (ending) => {
      const { id, record } = await users.anonymous();
      await users.store.end(record, ending);

      expect(await why(id)).toBeUndefined();
    });
  });

  describe('of which limit a session ran out', () => {
    /** Lets a session run out, on the clock and in the store. */
    const runOut = async ({ record, expiry }: Pick<Made, 'record' | 'expiry'>) => {
      users.clock.advance(expiry.at - users.clock.now());
      await eventually('the session to run out', async () => !(await users.lives({ record })));
    };
    const SOON = 100 / MINUTE;

    it.each(['idle_timeout', 'absolute_timeout'] as const)('is known: %s', async (reason) => {
      const made = await users.loggedIn({ ends: SOON, reason });
      await runOut(made);

      expect(await why(made.id)).toBe(reason);
    });

    it('is the limit that the last save met', async () => {
      const { id, record } = await users.loggedIn({ ends: 1 });
      const expiry = users.ends(SOON, 'absolute_timeout');
      await users.store.update({ ...record, version: 2 }, expiry);
      await runOut({ record, expiry });

      expect(await why(id)).toBe('absolute_timeout');
    });

    it('is the limit that the last activity met', async () => {
      const { id, record } = await users.loggedIn({ ends: SOON / 2 });
      const expiry = users.ends(2 * SOON, 'absolute_timeout');
      await users.store.extend(record, users.clock.now() + 1, expiry);
      await runOut({ record, expiry });

      expect(await why(id)).toBe('absolute_timeout');
    });

    it('is that of the activity when a save came after it that knew nothing of it', async () => {
      const { id, record, expiry } = await users.loggedIn({ ends: SOON });
      const moved = users.ends(2 * SOON, 'absolute_timeout');
      await users.store.extend(record, users.clock.now() + 1, moved);
      await users.store.update({ ...record, version: 2 }, expiry);
      await runOut({ record, expiry: moved });

      expect(await why(id)).toBe('absolute_timeout');
    });

    it('is not taken for the reason why a session is gone before its time', async () => {
      const { id, record } = await users.loggedIn({ ends: SOON });
      await users.store.end(record, 'revoked');
      users.clock.advance(2 * SOON * MINUTE);

      expect(await why(id)).toBe('revoked');
    });
  });

  describe('a reason is told to nobody but', () => {
    const rotatedTo = (made: Made, secret: { hash: string }) => {
      const now = users.clock.now();
      const change = takenOver(made.record, secret.hash, now, now + 30_000);
      return { ...made.record, ...change, version: made.record.version + 1 };
    };

    it('who has the secret, and not who knows the handle', async () => {
      const { id, record } = await users.loggedIn();
      const other = await users.loggedIn();
      await users.store.end(record, 'revoked');
      const { handle } = id;

      expect(await why(id)).toBe('revoked');
      for (const secret of [newSecret().secret, other.id.secret, '', hashSecret(id.secret), record.secretHash]) {
        expect(await why({ handle, secret })).toBeUndefined();
      }
      expect(await why({ ...id, handle: other.id.handle })).toBeUndefined();
    });

    it('who has the current secret, one on offer, or one in its grace', async () => {
      const made = await users.loggedIn();
      const { handle } = made.id;
      const [current, onOffer, forged] = [newSecret(), newSecret(), newSecret()];
      const second = rotatedTo(made, current);
      await users.store.update(second, users.ends(60));
      const third = { ...second, ...offered(second, onOffer.hash, users.clock.now()), version: 3 };
      await users.store.update(third, users.ends(60));
      await users.store.extend(third, users.at(1), users.ends(61));
      await users.store.end(third, 'credentials_changed');

      for (const secret of [made.id.secret, current.secret, onOffer.secret]) {
        expect(await why({ handle, secret })).toBe('credentials_changed');
      }
      expect(await why({ handle, secret: forged.secret })).toBeUndefined();
    });

    it('who showed a copy of an old secret, where that ended it', async () => {
      const made = await users.loggedIn();
      const { handle } = made.id;
      const old = newSecret();
      await users.store.end(made.record, 'reuse_detected', undefined, old.hash);

      expect(await why({ handle, secret: old.secret })).toBe('reuse_detected');
      expect(await why(made.id)).toBe('reuse_detected');
      expect(await why({ handle, secret: newSecret().secret })).toBeUndefined();
    });
  });
});

describe('MemorySessionStore remembers', () => {
  const users = usersIn(MEMORY_PLACE[1]);

  it.each([
    ['why a session was ended for a day', DAY, true],
    ['of which limit it ran out for an hour', HOUR, false],
  ])('%s', async (_, remembered, ended) => {
    const { store, clock } = users;
    const { id, record } = await users.loggedIn({ ends: 1 });
    if (ended) await store.end(record, 'revoked');
    else clock.advance('1m');
    clock.advance(remembered - 1);
    expect(await store.whyEnded(id)).toBe(ended ? 'revoked' : 'idle_timeout');
    clock.advance(1);
    expect(await store.whyEnded(id)).toBeUndefined();
  });
});

describe.each(REDIS_PLACES)('%s remembers', (_, start) => {
  const users = usersIn(start);

  /** For how long the key will stand, to the second. */
  const left = async ({ record: { handle } }: Made) => {
    const { redis } = users.place;
    return Math.round((await redis.client.pTTL(redis.tombstone(handle))) / 1000) * 1000;
  };

  it.each(ENDINGS)('for a day why a session of a user was ended, as by %s', async (ending) => {
    const made = await users.loggedIn({ ends: 3 });
    await users.store.end(made.record, ending);

    expect(await left(made)).toBe(DAY);
  });

  it("for a day why a limit or a login that replaces it ended one, or all of a user's were ended", async () => {
    const [first, second] = [await users.loggedIn(), await users.loggedIn({ userId: 'grace' })];
    const third = await users.loggedIn({ limit: { limit: 1, overflow: 'evict-oldest' } });
    await users.loggedIn({ userId: 'grace', replaces: second.record });
    await gathered(users.store.index.endAll('ada', 'revoked'));

    expect(await Promise.all([first, second, third].map(left))).toEqual([DAY, DAY, DAY]);
  });

  it('for an hour of which limit a session ran out, when that was moved, too', async () => {
    const made = await users.loggedIn({ ends: 3 });
    expect(await left(made)).toBe(HOUR + 3 * MINUTE);
    await users.store.extend(made.record, users.at(1), users.ends(4));
    expect(await left(made)).toBe(HOUR + 4 * MINUTE);
    await users.store.update({ ...made.record, version: 2, seenAt: users.at(2) }, users.ends(2));
    expect(await left(made)).toBe(HOUR + 2 * MINUTE);
  });

  it("for a minute, and for saves under way alone, that nobody's session was replaced", async () => {
    const made = await users.anonymous();
    await users.store.end(made.record, 'replaced');

    expect(await left(made)).toBe(MINUTE);
    expect(await users.store.whyEnded(made.id)).toBeUndefined();
    expect(await users.place.redis.keys()).toEqual([users.place.redis.tombstone(made.record.handle)]);
  });

  it("nothing of nobody's session that ended in any other way", async () => {
    const made = await users.anonymous();
    await users.store.end(made.record, 'logged_out');

    expect(await users.place.redis.keys()).toEqual([]);
  });
});
