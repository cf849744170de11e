import { setTimeout as sleep } from 'node:timers/promises';
import { ENDED_REMEMBERED_FOR, type Ending } from '../../lib/model/session-end.js';
import { nextSecret, promoted, rotationKeys } from '../../lib/model/rotation.js';
import {
  hashSecret,
  newAnonymousSessionId,
  newSecret,
  newUserSessionId,
  type SessionId,
} from '../../lib/model/session-id.js';
import { DAY, MEMORY_PLACE, MINUTE, PLACES, REDIS_PLACES, usersIn } from '../support/session-stores.js';
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
const SOON = 30 / MINUTE;

describe.each(PLACES)('%s', (_, start) => {
  const users = usersIn(start);

  const why = (id: SessionId) => users.reason(id);

  describe('why a session ended', () => {
    it.each(ENDINGS)('is known of one that was ended as %s: %s', async (ending, reason) => {
      const { id, record } = await users.loggedIn();
      await users.store.end(record, ending);

      expect(await users.store.find(id.handle)).toEqual({
        reason,
        replaced: ending === 'replaced',
        secretHashes: [record.secretHash],
      });
      expect(await why(id)).toBe(reason);
    });

    it('is that it expired for one of which nothing is known', async () => {
      const made = await users.loggedIn({ ends: SOON });
      users.clock.advance(30);
      await eventually('the session to expire', async () => !(await users.lives(made)));

      expect(await users.store.find(made.id.handle)).toBeUndefined();
      expect(await why(made.id)).toBe('expired');
      expect(await why(newUserSessionId('ada'))).toBe('expired');
    });

    it("is nothing for one that was nobody's", async () => {
      expect(await why(newAnonymousSessionId())).toBeUndefined();
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

    it('is none for one that goes on after a step-up, and the one it goes on as is known', async () => {
      const { id, record } = await users.loggedIn();
      const next = await users.loggedIn({ replaces: record, continues: true });

      expect(await users.store.find(id.handle)).toEqual({
        reason: 'logged_out',
        replaced: true,
        secretHashes: [record.secretHash],
        successor: next.record.handle,
      });
      expect(await why(id)).toBeUndefined();
    });

    it('is none for one that is spared under the handle that it had before step-ups, however many', async () => {
      const [first, other] = [await users.loggedIn(), await users.loggedIn()];
      let last = first;
      for (let i = 0; i < 5; i++) last = await users.loggedIn({ replaces: last.record, continues: true });
      const ended = await gathered(users.store.index.endAll('ada', 'revoked', first.record.handle));

      expect(ended.flat()).toEqual([other.record.handle]);
      expect(await users.lives(last)).toBe(true);
    });

    it('is known of all that were ended together', async () => {
      const [kept, ...others] = await users.manyLoggedIn(3);
      await gathered(users.store.index.endAll('ada', 'credentials_changed', kept!.record.handle));

      expect(await users.lives(kept!)).toBe(true);
      expect(await Promise.all(others.map(({ id }) => why(id)))).toEqual([
        'credentials_changed',
        'credentials_changed',
      ]);
    });

    it.each(ENDINGS)("is told to nobody of a session that is nobody's, as by %s", async (ending) => {
      const { id, record } = await users.anonymous();
      await users.store.end(record, ending);

      expect(await why(id)).toBeUndefined();
    });

    it('is known beyond the time at which the session would have expired', async () => {
      const { id, record } = await users.loggedIn({ ends: 1_000 / MINUTE });
      expect(await users.store.end(record, 'revoked')).toBe(true);
      users.clock.advance(1_100);
      await sleep(1_100); // Redis has a clock of its own.

      expect(await why(id)).toBe('revoked');
    });
  });

  describe('a reason is told to nobody but', () => {
    it('who has the secret, and not who knows the handle', async () => {
      const { id, record } = await users.loggedIn();
      const other = await users.loggedIn();
      await users.store.end(record, 'revoked');
      await users.store.end(other.record, 'logged_out');
      const { handle } = id;

      expect(await why(id)).toBe('revoked');
      for (const secret of [newSecret(), other.id.secret, '', hashSecret(id.secret), record.secretHash]) {
        expect(await why({ handle, secret })).toBeUndefined();
      }
      expect(await why({ ...id, handle: other.id.handle })).toBeUndefined();
    });

    it('who has the current secret, the pending one, or one in its grace', async () => {
      const { id, record } = await users.loggedIn();
      const { handle } = id;
      const now = users.clock.now();
      const keys = rotationKeys(['a secret of the application']);
      const current = nextSecret(record, id.secret, keys).secret;
      const second = { ...record, ...promoted(record, hashSecret(current), now, now + 30_000), version: 2 };
      await users.store.update(second, users.at(60));
      const pending = nextSecret(second, current, keys);
      const third = { ...second, ...pending.change, version: 3 };
      await users.store.update(third, users.at(60));
      await users.store.extend(third, users.at(1), users.at(61));
      await users.store.end(third, 'credentials_changed');

      for (const secret of [id.secret, current, pending.secret]) {
        expect(await why({ handle, secret })).toBe('credentials_changed');
      }
      expect(await why({ handle, secret: newSecret() })).toBeUndefined();
    });

    it('who showed a copy of an old secret, where that ended it', async () => {
      const made = await users.loggedIn();
      const { handle } = made.id;
      const old = newSecret();
      await users.store.end(made.record, 'reuse_detected', undefined, hashSecret(old));

      expect(await why({ handle, secret: old })).toBe('reuse_detected');
      expect(await why(made.id)).toBe('reuse_detected');
      expect(await why({ handle, secret: newSecret() })).toBeUndefined();
    });
  });
});

describe('MemorySessionStore remembers', () => {
  const users = usersIn(MEMORY_PLACE[1]);

  it('why a session was ended for a day', async () => {
    const { clock, store } = users;
    const { id, record } = await users.loggedIn({ ends: 1 });
    await store.end(record, 'revoked');
    clock.advance(DAY - 1);
    expect(await users.reason(id)).toBe('revoked');
    clock.advance(1);

    expect(await store.find(id.handle)).toBeUndefined();
  });

  it("for a minute that a login replaced nobody's session", async () => {
    const { clock, store } = users;
    const { id, record } = await users.anonymous();
    await store.end(record, 'replaced');
    clock.advance(MINUTE - 1);
    expect(await store.find(id.handle)).toMatchObject({ replaced: true });
    clock.advance(1);

    expect(await store.find(id.handle)).toBeUndefined();
  });

  it("nothing of nobody's session that was ended in any other way, nor of one that has expired", async () => {
    const { clock, store } = users;
    const [nobodys, expired] = [await users.anonymous(), await users.loggedIn({ ends: 1 })];
    await store.end(nobodys.record, 'logged_out');
    clock.advance('1m');

    for (const { id } of [nobodys, expired]) expect(await store.find(id.handle)).toBeUndefined();
  });
});

describe.each(REDIS_PLACES)('%s remembers', (_, start) => {
  const users = usersIn(start);
  const redis = () => users.place.redis;

  /** For how long the key of a session will be there, to the second. */
  const left = async ({ record: { handle } }: Made) =>
    Math.round((await redis().client.pTTL(redis().session(handle))) / 1000) * 1000;

  it.each(ENDINGS)(
    'for a day, under its own key, why a session of a user was ended, as by %s',
    async (ending, reason) => {
      const made = await users.loggedIn({ ends: 3 });
      await users.store.end(made.record, ending);
      const key = redis().session(made.record.handle);

      expect(await redis().keys()).toEqual([key]);
      expect(await redis().client.get(key)).toMatch(new RegExp(`^\\{"ended":"${reason}"[,}]`));
      expect(await left(made)).toBe(DAY);
    },
  );

  it('nothing but the reason and hashes of the secrets, and none of the data', async () => {
    const { id, record } = await users.loggedIn({ data: '{"card":"4111"}' });
    await users.store.end(record, 'revoked');

    expect(await redis().client.get(redis().session(id.handle))).toBe(
      `{"ended":"revoked","secret":"${hashSecret(id.secret)}"}`,
    );
  });

  it('of one that goes on after a step-up what a login leaves and, last, the end of its new key', async () => {
    const { id, record } = await users.loggedIn();
    const next = await users.loggedIn({ replaces: record, continues: true });
    const secret = hashSecret(id.secret);

    expect(await redis().client.get(redis().session(id.handle))).toBe(
      `{"ended":"logged_out","replaced":true,"secret":"${secret}","successor":"${next.record.handle.slice(16)}"}`,
    );
  });

  it("for a day why a limit or a login that replaces it ended one, or all of a user's were ended", async () => {
    const [first, second] = [await users.loggedIn(), await users.loggedIn({ userId: 'grace' })];
    const third = await users.loggedIn({ limit: { limit: 1, overflow: 'evict-oldest' } });
    const replacing = await users.loggedIn({ userId: 'grace', replaces: second.record });
    await gathered(users.store.index.endAll('ada', 'revoked'));
    await gathered(users.store.index.endEveryone('credentials_changed'));
    const all = [first, second, third, replacing];

    expect(await Promise.all(all.map(left))).toEqual(all.map(() => DAY));
    expect(await Promise.all(all.map(({ record }) => redis().remains(record.handle)))).toMatchObject([
      { ended: 'limit' },
      { ended: 'logged_out', replaced: true },
      { ended: 'revoked' },
      { ended: 'credentials_changed' },
    ]);
    expect(await redis().keys()).toEqual(all.map(({ record }) => redis().session(record.handle)).sort());
  });

  it('it for as long, however often and however later it is ended again', async () => {
    const made = await users.loggedIn();
    const key = redis().session(made.record.handle);
    await users.store.end(made.record, 'revoked');
    await redis().client.pExpire(key, ENDED_REMEMBERED_FOR - MINUTE);
    await users.store.end(made.record, 'logged_out');
    await users.store.extend(made.record, users.at(1), users.at(600));
    await users.store.update({ ...made.record, version: 2 }, users.at(600));

    expect(await left(made)).toBe(DAY - MINUTE);
  });

  it("for a minute, and for saves under way alone, that a login replaced nobody's session", async () => {
    const made = await users.anonymous();
    await users.store.end(made.record, 'replaced');
    const key = redis().session(made.record.handle);

    expect(await left(made)).toBe(MINUTE);
    expect(await redis().client.get(key)).toMatch(/^\{"ended":"logged_out"[,}]/);
    expect(await users.reason(made.id)).toBeUndefined();
    expect(await redis().keys()).toEqual([key]);
  });

  it("nothing of nobody's session that was ended in any other way", async () => {
    const made = await users.anonymous();
    await users.store.end(made.record, 'logged_out');

    expect(await redis().keys()).toEqual([]);
  });

  it('nothing of a session that has expired', async () => {
    await users.manyLoggedIn(2, { ends: SOON });
    await users.loggedIn({ userId: 'grace', ends: SOON });

    await eventually('all keys to expire', async () => (await redis().keys()).length === 0);
  });
});
