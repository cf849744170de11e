import session, { type SessionData } from 'express-session';
import {
  formatSessionId,
  hashSecret,
  newAnonymousSessionId,
  newSecret,
  newUserSessionId,
  type SessionId,
} from '../../lib/model/session-id.js';
import type { SessionRecord } from '../../lib/model/session-record.js';
import { eventually } from '../support/eventually.js';
import {
  HOUR,
  IOREDIS_5_PLACES,
  IOREDIS_PLACES,
  MINUTE,
  PLACES,
  usersIn,
  type TestedStore,
} from '../support/session-stores.js';
import type { TestClock } from '../support/test-clock.js';

describe.each([...PLACES, ...IOREDIS_PLACES, ...IOREDIS_5_PLACES])('%s', (_, start) => {
  const users = usersIn(start);
  let clock: TestClock;
  let store: TestedStore;
  let id: SessionId;

  beforeEach(() => {
    ({ clock, store } = users);
    id = newAnonymousSessionId();
  });

  function record(change: Partial<SessionRecord> = {}): SessionRecord {
    const now = clock.now();
    const secretHash = hashSecret(id.secret);
    return { handle: id.handle, secretHash, version: 1, createdAt: now, seenAt: now, data: '{"a":1}', ...change };
  }

  async function inserted(change: Partial<SessionRecord> = {}, expiresAt = at(60)): Promise<SessionRecord> {
    const one = record(change);
    await store.insert(one, expiresAt);
    return one;
  }

  const found = (handle = id.handle) => users.found(handle);
  const stored = async (handle = id.handle) => (await found(handle))?.record;
  const at = (minutes: number) => users.at(minutes);
  const within = (milliseconds: number) => clock.now() + milliseconds;
  const end = (handle = id.handle) => store.end(record({ handle }), 'logged_out');

  describe('find', () => {
    it('gives what was inserted, and its data parsed', async () => {
      const one = await inserted({ data: '{"a":{"b":[1]}}' });

      expect(await store.find(id.handle)).toEqual({ record: one, values: { a: { b: [1] } } });
    });

    it('gives nothing for a handle that is not there', async () => {
      expect(await store.find(id.handle)).toBeUndefined();
    });

    it('gives values that the finder may change without changing the session', async () => {
      await inserted();
      Object.assign((await found())!.values, { a: 2 });

      expect((await found())!.values).toEqual({ a: 1 });
    });

    it('keeps all that a record can say', async () => {
      const one = await inserted({
        version: 12,
        remember: 10 * MINUTE,
        maxAge: 5 * MINUTE,
        owner: 'user "6" ,"data":',
        rotation: {
          since: clock.now() - 2,
          pending: hashSecret(newSecret()),
          grace: [1, 2].map((n) => ({ hash: hashSecret(newSecret()), until: clock.now() + n })),
        },
        login: {
          userId: 'user "7" \u{1f600} ,"data":',
          at: clock.now() - 1,
          method: 'password',
          device: { ip: '::1', userAgent: 'x","data":{"evil":1}', label: 'Ada\'s "phone"\n' },
          remembered: true,
          spent: true,
          earlier: [
            { method: 'pin ,"data":', at: clock.now() - 3 },
            { method: 'totp', at: clock.now() - 2, spent: true },
          ],
          stamp: hashSecret('stamp'),
        },
        pending: {
          login: { userId: '8 ,"data":', at: clock.now() - 4, method: 'password', stamp: hashSecret('stamp') },
          passport: { user: { id: 8, data: {}, secret: 'x', created: 1, list: [] } },
          missing: ['totp', ',"data":'],
          remember: MINUTE,
        },
        kept: {
          at: clock.now(),
          isProved: true,
          method: 'POST',
          path: '/pay?"data":{}',
          fields: [
            ['__proto__', ',"data":{"evil":1}'],
            ['', 'Zürich "\u0000\ud83d\ude00'],
          ],
        },
      });

      expect(await stored()).toEqual(one);
    });

    it.each([[null], [undefined]])('tells a cookie age of %p from any other', async (maxAge) => {
      await inserted({ maxAge });

      expect((await stored())!.maxAge).toBe(maxAge);
    });

    it.each([[null], [undefined]])('tells a credential stamp of %p from any other', async (stamp) => {
      await inserted({ login: { userId: '7', at: clock.now(), stamp } });

      expect((await stored())!.login!.stamp).toBe(stamp);
    });
  });

  describe('insert', () => {
    it('refuses a handle that is taken, and changes nothing', async () => {
      const one = await inserted();

      await expect(store.insert(record({ data: '{"a":2}' }), at(1))).rejects.toThrow('exists already');
      expect(await stored()).toEqual(one);
    });

    it('lets one of many win', async () => {
      const results = await Promise.allSettled(
        Array.from({ length: 20 }, (_, n) => store.insert(record({ data: `{"n":${n}}` }), at(60))),
      );

      expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
    });
  });

  describe('update', () => {
    it('replaces the version it was made from', async () => {
      const one = await inserted();
      const next = { ...one, version: 2, data: '{"b":2}', seenAt: at(1), maxAge: MINUTE };

      expect(await store.update(next, at(60))).toEqual({ outcome: 'saved' });
      expect(await stored()).toEqual(next);
    });

    it.each([0, 1, 3])('over version 1 changes nothing as version %d, and tells what stands there', async (version) => {
      const one = await inserted();

      expect(await store.update({ ...one, version, data: '{"b":2}' }, at(60))).toEqual({
        outcome: 'stale',
        current: one,
      });
      expect(await stored()).toEqual(one);
    });

    it('never creates a session, nor brings back one that has ended', async () => {
      const one = record();
      expect(await store.update({ ...one, version: 1 }, at(60))).toEqual({ outcome: 'ended' });
      await inserted();
      await end();

      expect(await store.update({ ...one, version: 2 }, at(60))).toEqual({ outcome: 'ended' });
      expect(await stored()).toBeUndefined();
    });

    it('lets one of many win, and tells the others', async () => {
      const one = await inserted();
      const outcomes = await Promise.all(
        Array.from({ length: 20 }, (_, n) => store.update({ ...one, version: 2, data: `{"n":${n}}` }, at(60))),
      );
      const current = await stored();

      expect(outcomes.filter(({ outcome }) => outcome === 'saved')).toHaveLength(1);
      expect(outcomes.filter(({ outcome }) => outcome === 'stale')).toEqual(
        Array.from({ length: 19 }, () => ({ outcome: 'stale', current })),
      );
    });

    it('does not move back what was noted of activity meanwhile', async () => {
      const one = await inserted({}, within(200));
      const seenAt = at(5);
      await store.extend(one, seenAt, at(60));
      await store.update({ ...one, version: 2, data: '{"b":2}' }, within(200));
      clock.advance(200);

      expect(await stored()).toEqual({ ...one, version: 2, data: '{"b":2}', seenAt });
    });
  });

  describe('extend', () => {
    it('notes activity and moves the expiry, whatever the version, and nothing else', async () => {
      const one = await inserted({ data: '{"e":[],"o":{}}' }, within(50));
      expect(await store.extend({ ...one, version: 9, data: '{}' }, at(1), at(60))).toBe('current');
      clock.advance(50);

      expect(await stored()).toEqual({ ...one, seenAt: one.seenAt + MINUTE });
      expect(await store.update({ ...one, version: 2 }, at(60))).toEqual({ outcome: 'saved' });
    });

    it('takes back no longer limits that the session was given meanwhile', async () => {
      const one = await inserted();
      const seenAt = at(1);
      await store.update({ ...one, version: 2, remember: 60 * MINUTE }, at(60));
      expect(await store.extend(one, seenAt, within(1))).toBe('current');
      clock.advance(2);

      expect(await stored()).toEqual({ ...one, version: 2, remember: 60 * MINUTE, seenAt });
    });

    it.each([0, -1])('moves nothing back, as by %d minutes', async (minutes) => {
      const one = await inserted();

      expect(await store.extend(one, at(minutes), within(1))).toBe('current');
      clock.advance(2);
      expect(await stored()).toEqual(one);
    });

    it('tells whether the secret is still the current one', async () => {
      const one = await inserted();
      const next = { ...one, version: 2, secretHash: hashSecret(newSecret()) };
      await store.update(next, at(60));

      expect(await store.extend(one, at(1), at(60))).toBe('superseded');
      expect(await store.extend(next, at(1), at(60))).toBe('current');
      expect(await stored()).toEqual({ ...next, seenAt: at(1) });
    });

    it('creates no session', async () => {
      expect(await store.extend(record(), at(1), at(60))).toBe('ended');
      expect(await stored()).toBeUndefined();
    });
  });

  describe('end', () => {
    it('ends a session, and tells whether there was one', async () => {
      await inserted();

      expect([await end(), await end()]).toEqual([true, false]);
      expect(await stored()).toBeUndefined();
    });

    it("leaves the handle free, of a session that was nobody's", async () => {
      await inserted();
      await end();

      await expect(inserted()).resolves.toBeDefined();
    });

    it('takes no session for one that was ended', async () => {
      const one = await inserted();
      await store.end(one, 'replaced');

      expect(await store.end(one, 'logged_out')).toBe(false);
      expect(await store.extend(one, at(1), at(60))).toBe('ended');
      await expect(inserted()).rejects.toThrow('exists already');
      expect([await store.length(), await store.ids(), await store.all()]).toEqual([0, [], []]);
      expect(await store.get(id.handle)).toBeNull();
    });

    it("tells a save under way that a login has replaced the session, be it nobody's", async () => {
      const one = await inserted();
      await store.end(one, 'replaced');

      expect(await store.update({ ...one, version: 2 }, at(60))).toEqual({
        outcome: 'ended',
        ended: { reason: 'logged_out', replaced: true, secretHashes: [one.secretHash] },
      });
      expect(await stored()).toBeUndefined();
    });
  });

  describe('a session that has expired', () => {
    beforeEach(async () => {
      await inserted({}, within(30));
      clock.advance(30);
      await eventually('the session to expire', async () => (await stored()) === undefined);
    });

    it('is not there any more', async () => {
      expect(await store.update(record({ version: 2 }), at(60))).toEqual({ outcome: 'ended' });
      expect(await store.extend(record(), at(1), at(60))).toBe('ended');
      expect(await end()).toBe(false);
      expect([await store.length(), await store.ids(), await store.all()]).toEqual([0, [], []]);
    });

    it('leaves its handle free', async () => {
      await expect(inserted()).resolves.toBeDefined();
    });
  });

  it('takes a session that has expired already for none', async () => {
    await inserted({}, within(-HOUR));

    await eventually('the session to expire', async () => (await stored()) === undefined);
  });

  it('does not mix up sessions', async () => {
    const one = await inserted();
    const other = newAnonymousSessionId();
    await store.insert({ ...one, handle: other.handle, data: '{"b":2}' }, at(60));
    await end();

    expect((await stored(other.handle))!.data).toBe('{"b":2}');
  });

  describe('data', () => {
    const deep = JSON.stringify(Array.from({ length: 200 }).reduce<unknown>((inner) => ({ inner }), []));

    it.each([
      ['that is empty', '{}'],
      ['of empty lists and objects', '{"list":[],"object":{},"nested":[[],{},[[]]]}'],
      ['of large and small numbers', '{"n":[9007199254740993,1e300,-0.1,5e-324,12345678901234567890]}'],
      ['of nulls and booleans', '{"a":null,"b":true,"c":false,"d":""}'],
      [
        'in many scripts',
        '{"ключ":"значение","\u{1f600}":"\u{1f469}\u200d\u{1f680}\u2028","\\ud800":"\\u0000\\ud800"}',
      ],
      ['nested deeply', `{"deep":${deep}}`],
      ['with the names of our own parts', '{"data":{"data":1},"seen":0,"v":0,"secret":"x","login":{"userId":1}}'],
      ['with text like our own parts', '{"a":",\\"data\\":{}","{\\"seen\\":":1,",\\"data\\":":[",\\"data\\":"]}'],
      ['with text like Lua patterns and escapes', '{"%d+":"%1","^{\\"seen\\":(%d+)":"\\\\","\\"":"\'"}'],
      ['with keys that every object has', '{"__proto__":{"x":1},"constructor":{"prototype":1},"toString":1}'],
      ['of 1 MB', JSON.stringify({ text: 'é'.repeat(512 * 1024) })],
    ])('%s comes back to the letter, after an insert, an update and an extension', async (_, data) => {
      const one = await inserted({ data });
      expect(await store.find(id.handle)).toEqual({ record: one, values: JSON.parse(data) });
      await store.update({ ...one, version: 2 }, at(60));
      await store.extend(one, at(1), at(60));

      expect((await stored())!.data).toBe(data);
      expect(await store.update({ ...one, version: 2 }, at(60))).toMatchObject({ current: { data } });
    });
  });

  describe("express-session's methods", () => {
    const cookie = () => new session.Cookie();
    const data = (values: object): SessionData => ({ cookie: cookie(), ...values });
    const values = async (sid: string) => {
      const got = await store.get(sid);
      if (!got) return got;
      const { cookie: _cookie, ...rest } = got;
      return rest;
    };
    const endOf = async (sid: string) => ((await store.get(sid))?.cookie as { expires?: Date } | undefined)?.expires;
    let sid: string;

    beforeEach(() => {
      sid = formatSessionId(id);
    });

    describe.each(['callback', 'promise'])('by %s', (how) => {
      /** Calls a method in either way; a callback must get what the promise would. */
      async function call<T>(method: keyof TestedStore, ...args: unknown[]): Promise<T> {
        const run = (store[method] as (...args: unknown[]) => Promise<T>).bind(store);
        return how === 'promise'
          ? run(...args)
          : new Promise<T>((resolve, reject) => {
              void run(...args, (error: unknown, result: T) => {
                if (error instanceof Error) reject(error);
                else resolve(result);
              });
            });
      }

      it('set, get and destroy do what they say', async () => {
        expect(await call('get', sid)).toBeNull();
        await call('set', sid, data({ a: [], b: { c: 1 } }));
        expect(await call('get', sid)).toMatchObject({ a: [], b: { c: 1 } });
        await call('set', sid, data({ a: [1] }));
        expect(await values(sid)).toEqual({ a: [1] });
        await call('destroy', sid);
        expect(await call('get', sid)).toBeNull();
        await expect(call('destroy', sid)).resolves.toBeUndefined();
      });

      it('all, ids, length and clear see every session', async () => {
        const other = newAnonymousSessionId();
        await call('set', sid, data({ a: 1 }));
        await call('set', formatSessionId(other), data({ b: 2 }));
        const handles = [id.handle, other.handle];

        expect(new Set(await call<string[]>('ids'))).toEqual(new Set(handles));
        expect(await call('length')).toBe(2);
        const all = await call<object[]>('all');
        expect(all).toHaveLength(2);
        expect(all).toEqual(
          expect.arrayContaining([
            expect.objectContaining({ a: 1, id: id.handle }),
            expect.objectContaining({ b: 2, id: other.handle }),
          ]),
        );
        await call('clear');
        expect([await call('length'), await call('ids'), await call('all')]).toEqual([0, [], []]);
      });

      it('touch extends a session that is there, and creates none', async () => {
        await call('touch', sid, data({}));
        expect(await call('get', sid)).toBeNull();
        await call('set', sid, data({ a: 1 }));
        clock.advance('30m');
        await call('touch', sid, data({ a: 'not written' }));

        expect(await stored()).toMatchObject({ seenAt: clock.now(), data: '{"a":1}' });
        expect(await endOf(sid)).toEqual(new Date(at(60)));
      });

      it('set fails for an id that this module never issues', async () => {
        await expect(call('set', 'KbBvyTjsVuVhzVqKYaJZkd', data({}))).rejects.toThrow(/what req\.sessionID gives/);
      });
    });

    it('take the handle, as req.sessionID and ids() give it, for the session', async () => {
      await store.set(sid, data({ a: 1 }));
      await store.set(id.handle, data({ a: 2 }));
      expect(await values(id.handle)).toEqual({ a: 2 });
      clock.advance('30m');
      await store.touch(id.handle, data({}));
      expect(await stored()).toMatchObject({ seenAt: clock.now(), data: '{"a":2}', secretHash: hashSecret(id.secret) });
      await store.destroy(id.handle);

      expect(await store.get(sid)).toBeNull();
    });

    it('take a whole id only with a secret that is good', async () => {
      await store.set(sid, data({ a: 1 }));
      const wrong = formatSessionId({ ...id, secret: newSecret() });

      for (const other of [wrong, `${id.handle}.`, '', '*', hashSecret(id.secret), `${sid}x`]) {
        expect(await store.get(other)).toBeNull();
        await store.destroy(other);
      }
      await expect(store.set(wrong, data({ a: 2 }))).rejects.toThrow('exists already');
      clock.advance('30m');
      await store.touch(wrong, data({}));
      expect(await stored()).toMatchObject({ seenAt: clock.now() - 30 * MINUTE, data: '{"a":1}' });
    });

    it('do not bring back a session of a user that has expired, where set is given its handle', async () => {
      const { handle } = newUserSessionId('ada');
      await store.set(handle, data({ a: 1 }));

      expect(await store.get(handle)).toBeNull();
      expect(await store.find(handle)).toBeUndefined();
    });

    it('create a session that no cookie opens, where set is given a handle that nobody has', async () => {
      await store.set(id.handle, data({ a: 1 }));

      expect(await values(id.handle)).toEqual({ a: 1 });
      expect((await stored())!.login).toBeUndefined();
      for (const secret of [id.secret, newSecret()]) {
        expect(await store.get(formatSessionId({ ...id, secret }))).toBeNull();
      }
    });

    it('give a session the idle limit that its cookie asks for', async () => {
      const short = data({});
      short.cookie.maxAge = 10 * MINUTE;
      short.cookie.originalMaxAge = 10 * MINUTE; // By the system's clock, it may be a tick less.
      await store.set(sid, short);

      expect(await stored()).toMatchObject({ maxAge: 10 * MINUTE });
      expect(await endOf(sid)).toEqual(new Date(at(10)));
    });

    it('keep who is logged in when other code saves what it read', async () => {
      const login = { userId: '1', at: clock.now() };
      id = newUserSessionId('1');
      sid = formatSessionId(id);
      await inserted({ login, maxAge: null, data: '{"a":1}' });
      const read = await store.get(sid);
      await store.set(sid, Object.assign(read!, { a: 2 }));

      expect(await stored()).toMatchObject({ login, maxAge: null, data: '{"a":2}' });
    });

    it('save only what was changed in what was read, over what others wrote meanwhile', async () => {
      await store.set(sid, data({ a: 1, b: 1, c: 1 }));
      const [one, other] = [(await store.get(sid))!, (await store.get(sid))!];
      await store.set(sid, Object.assign(one, { a: 2 }));
      Reflect.deleteProperty(other, 'c');
      await store.set(sid, Object.assign(other, { b: 2 }));

      expect(await values(sid)).toEqual({ a: 2, b: 2 });
    });

    it('save what was changed and changed back', async () => {
      await store.set(sid, data({ a: 1 }));
      const read = (await store.get(sid))!;
      await store.set(sid, Object.assign(read, { a: 2 }));
      await store.set(sid, Object.assign(read, { a: 1 }));

      expect(await values(sid)).toEqual({ a: 1 });
    });

    it('keep what others wrote when an object is saved again and again', async () => {
      await store.set(sid, data({ a: 1, b: 1 }));
      const [one, other] = [(await store.get(sid))!, (await store.get(sid))!];
      await store.set(sid, Object.assign(other, { b: 2 }));
      for (const a of [2, 3]) await store.set(sid, Object.assign(one, { a }));

      expect(await values(sid)).toEqual({ a: 3, b: 2 });
    });

    it('save under another id what was read under one', async () => {
      await store.set(sid, data({ a: 1 }));
      const copy = formatSessionId(newAnonymousSessionId());
      await store.set(copy, Object.assign((await store.get(sid))!, { a: 2 }));

      expect([await values(sid), await values(copy)]).toEqual([{ a: 1 }, { a: 2 }]);
    });

    it('never bring back a session that was ended since it was read', async () => {
      await store.set(sid, data({ a: 1 }));
      const read = (await store.get(sid))!;
      await store.destroy(sid);
      await store.set(sid, Object.assign(read, { a: 2 }));

      expect(await store.get(sid)).toBeNull();
    });

    it('load a Session that can save itself, and cannot bring itself back', async () => {
      await store.set(sid, data({ a: 1 }));
      const loaded = await new Promise<session.Session>((resolve, reject) => {
        store.load(sid, (error, result) => {
          if (error || !result) reject(new Error('not loaded', { cause: error }));
          else resolve(result);
        });
      });
      const save = () => new Promise<unknown>((resolve) => loaded.save(resolve));
      expect(loaded).toBeInstanceOf(session.Session);
      Object.assign(loaded, { a: 2 });
      expect(await save()).toBeFalsy();
      expect(await values(sid)).toEqual({ a: 2 });

      await store.destroy(sid);
      await save();
      expect(await store.get(sid)).toBeNull();
    });
  });
});
