import { createHash } from 'node:crypto';
import session, { type SessionData } from 'express-session';
import { RedisSessionStore, SessionRegistry } from '../../lib/index.js';
import { lifetimePolicy } from '../../lib/lifetime/lifetime.policy.js';
import { MemorySessionStore } from '../../lib/memory/memory-session.store.js';
import { formatSessionId, hashSecret, newSessionId, type SessionId, tagOfUser } from '../../lib/session/session-id.js';
import type { Expiry } from '../../lib/session/lifetime-policy.js';
import type { SessionRecord } from '../../lib/session/session-record.js';
import type { AtomicSessionStore } from '../../lib/session/session-store.js';
import { TestApplication } from '../support/application.js';
import { eventually } from '../support/eventually.js';
import { type DeploymentKind, DEPLOYMENTS, type RedisClient, RedisDeployment } from '../support/redis-deployment.js';
import { TestClock } from '../support/test-clock.js';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const lifetime = lifetimePolicy({
  idle: HOUR,
  absolute: 24 * HOUR,
  touchEvery: 6 * MINUTE,
  rotateEvery: Infinity,
  rotationGrace: 1,
});

/** Each is started once, for all that is told of it here. */
const deployments = new Map<DeploymentKind, RedisDeployment>();

beforeAll(async () => {
  for (const kind of DEPLOYMENTS) deployments.set(kind, await RedisDeployment.start(kind));
});

afterAll(() => Promise.all(Array.from(deployments.values(), (redis) => redis.stop())));

const unreadable: string[] = [];

function redisStore(client: RedisClient, clock: TestClock, prefix = 'sess:') {
  const onUnreadable = (handle: string) => unreadable.push(handle);
  return new RedisSessionStore({ client, prefix, timeout: 1000, clock, lifetime, onUnreadable });
}

type Callback<T> = (error?: unknown, result?: T) => void;

/** The stores' own methods, and express-session's with callback or promise. */
type TestedStore = AtomicSessionStore & {
  get(sid: string, callback?: Callback<SessionData | null>): Promise<SessionData | null | undefined>;
  set(sid: string, data: SessionData, callback?: Callback<void>): Promise<void>;
  touch(sid: string, data: SessionData, callback?: Callback<void>): Promise<void>;
  destroy(sid: string, callback?: Callback<void>): Promise<void>;
  all(callback?: Callback<SessionData[]>): Promise<SessionData[] | undefined>;
  ids(callback?: Callback<string[]>): Promise<string[] | undefined>;
  length(callback?: Callback<number>): Promise<number | undefined>;
  clear(callback?: Callback<void>): Promise<void>;
  load(sid: string, done: Callback<session.Session>): void;
};

/** The places of sessions, and which deployment of Redis is behind each. */
const PLACES: [string, DeploymentKind | undefined][] = [
  ['MemorySessionStore', undefined],
  ['RedisSessionStore', 'redis'],
  ['RedisSessionStore on a cluster', 'cluster'],
];

describe.each(PLACES)('%s', (_, kind) => {
  let clock: TestClock;
  let store: TestedStore;
  let id: SessionId;

  beforeEach(async () => {
    const redis = kind && deployments.get(kind)!;
    await redis?.flush();
    clock = new TestClock();
    store = (redis
      ? redisStore(redis.client, clock)
      : new MemorySessionStore(clock, lifetime)) as unknown as TestedStore;
    id = newSessionId();
  });

  function record(change: Partial<SessionRecord> = {}): SessionRecord {
    const now = clock.now();
    const secretHash = hashSecret(id.secret);
    return { handle: id.handle, secretHash, version: 1, createdAt: now, seenAt: now, data: '{"a":1}', ...change };
  }

  async function inserted(change: Partial<SessionRecord> = {}, expiry = later(60)): Promise<SessionRecord> {
    const one = record(change);
    await store.insert(one, expiry);
    return one;
  }

  const stored = async (handle = id.handle) => (await store.find(handle))?.record;
  const at = (minutes: number) => clock.now() + minutes * MINUTE;
  const later = (minutes: number): Expiry => within(minutes * MINUTE);
  const within = (milliseconds: number): Expiry => ({ at: clock.now() + milliseconds, reason: 'idle_timeout' });
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
      Object.assign((await store.find(id.handle))!.values, { a: 2 });

      expect((await store.find(id.handle))!.values).toEqual({ a: 1 });
    });

    it('keeps all that a record can say', async () => {
      const one = await inserted({
        version: 12,
        idle: 5 * MINUTE,
        absolute: 10 * MINUTE,
        login: {
          userId: 'user "7" \u{1f600} ,"data":',
          at: clock.now() - 1,
          method: 'password',
          device: { ip: '::1', userAgent: 'x","data":{"evil":1}', label: 'Ada\'s "phone"\n' },
        },
      });

      expect(await stored()).toEqual(one);
    });

    it.each([[null], [undefined]])('tells an idle limit of %p from any other', async (idle) => {
      await inserted({ idle });

      expect((await stored())!.idle).toBe(idle);
    });
  });

  describe('insert', () => {
    it('refuses a handle that is taken, and changes nothing', async () => {
      const one = await inserted();

      await expect(store.insert(record({ data: '{"a":2}' }), later(1))).rejects.toThrow('exists already');
      expect(await stored()).toEqual(one);
    });

    it('lets one of many win', async () => {
      const results = await Promise.allSettled(
        Array.from({ length: 20 }, (_, n) => store.insert(record({ data: `{"n":${n}}` }), later(60))),
      );

      expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
    });
  });

  describe('update', () => {
    it('replaces the version it was made from', async () => {
      const one = await inserted();
      const next = { ...one, version: 2, data: '{"b":2}', seenAt: at(1), idle: MINUTE };

      expect(await store.update(next, later(60))).toEqual({ outcome: 'saved' });
      expect(await stored()).toEqual(next);
    });

    it.each([0, 1, 3])('over version 1 changes nothing as version %d, and tells what stands there', async (version) => {
      const one = await inserted();

      expect(await store.update({ ...one, version, data: '{"b":2}' }, later(60))).toEqual({
        outcome: 'stale',
        current: one,
      });
      expect(await stored()).toEqual(one);
    });

    it('never creates a session, nor brings back one that has ended', async () => {
      const one = record();
      expect(await store.update({ ...one, version: 1 }, later(60))).toEqual({ outcome: 'gone' });
      await inserted();
      await end();

      expect(await store.update({ ...one, version: 2 }, later(60))).toEqual({ outcome: 'gone' });
      expect(await stored()).toBeUndefined();
    });

    it('lets one of many win, and tells the others', async () => {
      const one = await inserted();
      const outcomes = await Promise.all(
        Array.from({ length: 20 }, (_, n) => store.update({ ...one, version: 2, data: `{"n":${n}}` }, later(60))),
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
      await store.extend(one, seenAt, later(60));
      await store.update({ ...one, version: 2, data: '{"b":2}' }, within(200));
      clock.advance(200);

      expect(await stored()).toEqual({ ...one, version: 2, data: '{"b":2}', seenAt });
    });
  });

  describe('extend', () => {
    it('notes activity and moves the expiry, whatever the version, and nothing else', async () => {
      const one = await inserted({ data: '{"e":[],"o":{}}' }, within(50));
      expect(await store.extend({ ...one, version: 9, data: '{}' }, at(1), later(60))).toBe('current');
      clock.advance(50);

      expect(await stored()).toEqual({ ...one, seenAt: one.seenAt + MINUTE });
      expect(await store.update({ ...one, version: 2 }, later(60))).toEqual({ outcome: 'saved' });
    });

    it('takes back no longer limits that the session was given meanwhile', async () => {
      const one = await inserted();
      const seenAt = at(1);
      await store.update({ ...one, version: 2, idle: 60 * MINUTE }, later(60));
      expect(await store.extend(one, seenAt, within(1))).toBe('current');
      clock.advance(2);

      expect(await stored()).toEqual({ ...one, version: 2, idle: 60 * MINUTE, seenAt });
    });

    it.each([0, -1])('moves nothing back, as by %d minutes', async (minutes) => {
      const one = await inserted();

      expect(await store.extend(one, at(minutes), within(1))).toBe('current');
      clock.advance(2);
      expect(await stored()).toEqual(one);
    });

    it('tells whether the secret is still the current one', async () => {
      const one = await inserted();
      const next = { ...one, version: 2, secretHash: hashSecret(newSessionId().secret) };
      await store.update(next, later(60));

      expect(await store.extend(one, at(1), later(60))).toBe('superseded');
      expect(await store.extend(next, at(1), later(60))).toBe('current');
      expect(await stored()).toEqual({ ...next, seenAt: at(1) });
    });

    it('creates no session', async () => {
      expect(await store.extend(record(), at(1), later(60))).toBe('gone');
      expect(await stored()).toBeUndefined();
    });
  });

  describe('end', () => {
    it('ends a session, and tells whether there was one', async () => {
      await inserted();

      expect([await end(), await end()]).toEqual([true, false]);
      expect(await stored()).toBeUndefined();
    });

    it('leaves the handle free', async () => {
      await inserted();
      await end();

      await expect(inserted()).resolves.toBeDefined();
    });

    it("tells a save under way that a login has replaced the session, be it nobody's", async () => {
      const one = await inserted();
      await store.end(one, 'replaced');

      expect(await store.update({ ...one, version: 2 }, later(60))).toEqual({ outcome: 'replaced' });
      expect(await stored()).toBeUndefined();
    });
  });

  describe('a session that has run out', () => {
    beforeEach(async () => {
      await inserted({}, within(30));
      clock.advance(30);
      await eventually('the session to end', async () => (await stored()) === undefined);
    });

    it('is not there any more', async () => {
      expect(await store.update(record({ version: 2 }), later(60))).toEqual({ outcome: 'gone' });
      expect(await store.extend(record(), at(1), later(60))).toBe('gone');
      expect(await end()).toBe(false);
      expect([await store.length(), await store.ids(), await store.all()]).toEqual([0, [], []]);
    });

    it('leaves its handle free', async () => {
      await expect(inserted()).resolves.toBeDefined();
    });
  });

  it('takes a session that has run out already for none', async () => {
    await inserted({}, within(-HOUR));

    await eventually('the session to end', async () => (await stored()) === undefined);
  });

  it('does not mix up sessions', async () => {
    const one = await inserted();
    const other = newSessionId();
    await store.insert({ ...one, handle: other.handle, data: '{"b":2}' }, later(60));
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
      await store.update({ ...one, version: 2 }, later(60));
      await store.extend(one, at(1), later(60));

      expect((await stored())!.data).toBe(data);
      expect(await store.update({ ...one, version: 2 }, later(60))).toMatchObject({ current: { data } });
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
        const other = newSessionId();
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
        await expect(call('set', 'KbBvyTjsVuVhzVqKYaJZkd', data({}))).rejects.toThrow(/"handle\.secret"/);
      });
    });

    it('open a session to nobody who does not know its secret', async () => {
      await store.set(sid, data({ a: 1 }));
      const wrong = formatSessionId({ ...id, secret: newSessionId().secret });

      for (const other of [wrong, id.handle, `${id.handle}.`, '', '*', hashSecret(id.secret), `${sid}x`]) {
        expect(await store.get(other)).toBeNull();
      }
      await expect(store.set(wrong, data({ a: 2 }))).rejects.toThrow('exists already');
      clock.advance('30m');
      await store.touch(wrong, data({}));
      expect(await stored()).toMatchObject({ seenAt: clock.now() - 30 * MINUTE, data: '{"a":1}' });
    });

    it('take a handle, as ids() gives it, to end a session', async () => {
      await store.set(sid, data({ a: 1 }));
      await store.destroy(id.handle);

      expect(await store.get(sid)).toBeNull();
    });

    it('give a session the idle limit that its cookie asks for', async () => {
      const short = data({});
      short.cookie.maxAge = 10 * MINUTE;
      await store.set(sid, short);

      expect(await stored()).toMatchObject({ idle: 10 * MINUTE });
      expect(await endOf(sid)).toEqual(new Date(at(10)));
    });

    it('keep who is logged in when other code saves what it read', async () => {
      const login = { userId: '1', at: clock.now() };
      id = newSessionId(tagOfUser('1'));
      sid = formatSessionId(id);
      await inserted({ login, idle: null, data: '{"a":1}' });
      const read = await store.get(sid);
      await store.set(sid, Object.assign(read!, { a: 2 }));

      expect(await stored()).toMatchObject({ login, idle: null, data: '{"a":2}' });
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
      const copy = formatSessionId(newSessionId());
      await store.set(copy, Object.assign((await store.get(sid))!, { a: 2 }));

      expect([await values(sid), await values(copy)]).toEqual([{ a: 1 }, { a: 2 }]);
    });

    it('never bring back a session that has ended since it was read', async () => {
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

describe.each(DEPLOYMENTS)('what stands in Redis (%s)', (kind) => {
  let redis: RedisDeployment;
  let client: RedisClient;

  beforeEach(async () => {
    redis = deployments.get(kind)!;
    client = redis.client;
    await redis.flush();
  });

  const tagOf = (userId: string) => createHash('sha256').update(userId).digest('base64url').slice(0, 8);

  async function loggedIn(options: object = {}) {
    const application = await TestApplication.start({ options: { redis: redis.options, ...options } });
    const browser = await application.loggedIn();
    await browser.request('PUT', '/session/list', { json: { value: [] } });
    await application.close();
    const cookie = decodeURIComponent(browser.cookies.get('sid')!);
    const [handle = '', secret = ''] = cookie.slice('s:'.length).split('.');
    return { handle, secret, cookie, clock: application.clock, expires: browser.cookies.find('sid')!.expires! };
  }

  it('is one key a session and what is left of it, and one for its user, with their tag in braces', async () => {
    const { handle } = await loggedIn();
    const tag = tagOf('1');
    const key = `sess:{${tag}}${handle.slice(8)}`;
    const index = `sess:{${tag}}:user:${createHash('sha256').update('1').digest('hex')}`;

    expect(handle.slice(0, 8)).toBe(tag);
    expect(await redis.keys()).toEqual([index, key, `${key}:ended`].sort());
    expect(handle).toMatch(/^[\w-]{20}$/);
  });

  it("is one key for a session that is nobody's", async () => {
    const id = newSessionId();
    await redisStore(client, new TestClock()).set(formatSessionId(id), { cookie: new session.Cookie() });

    expect(await redis.keys()).toEqual([`sess:{${id.handle.slice(0, 8)}}${id.handle.slice(8)}`]);
  });

  it('names the session in the index of its user, by when it runs out', async () => {
    const { handle, clock } = await loggedIn({ lifetime: { idle: '20m' } });
    const index = `sess:{${tagOf('1')}}:user:${createHash('sha256').update('1').digest('hex')}`;

    expect(await client.zRangeWithScores(index, 0, -1)).toEqual([{ value: handle, score: clock.now() + 20 * MINUTE }]);
  });

  it('is no secret beside the session either', async () => {
    const { handle, secret, cookie } = await loggedIn();
    const text = (await client.get(`sess:{${handle.slice(0, 8)}}${handle.slice(8)}:ended`))!;

    expect(text).toMatch(/^\d{13} idle_timeout +[\w-]{22}$/);
    for (const part of [secret, cookie.split('.')[2]!]) expect(text).not.toContain(part);
  });

  it('is JSON that people can read, and no secret', async () => {
    const { handle, secret, cookie, clock } = await loggedIn();
    const text = (await client.get(`sess:{${handle.slice(0, 8)}}${handle.slice(8)}`))!;

    expect(JSON.parse(text)).toEqual({
      seen: clock.now(),
      v: 2,
      created: clock.now(),
      secret: createHash('sha256').update(secret).digest('base64url'),
      login: { userId: '1', at: clock.now(), device: { ip: '127.0.0.1' } },
      data: { list: [], passport: { user: { id: '1', name: 'Ada' }, serializer: 'SnapshotSerializer' } },
    });
    for (const part of [secret, cookie.split('.')[2]!]) expect(text).not.toContain(part);
  });

  it('ends when the session and its cookie do', async () => {
    const before = Date.now();
    const { handle, clock, expires } = await loggedIn({ lifetime: { idle: '20m' } });
    const left = await client.pTTL(`sess:{${handle.slice(0, 8)}}${handle.slice(8)}`);

    expect(expires).toBe(Math.floor((clock.now() + 20 * MINUTE) / 1000) * 1000);
    expect(left).toBeLessThanOrEqual(20 * MINUTE);
    expect(left).toBeGreaterThan(20 * MINUTE - (Date.now() - before) - 100);
  });

  it.each(['app*[a-c]?\\x^:', '', 'a:b:'])('keeps to its prefix %p, glob characters and all', async (prefix) => {
    const clock = new TestClock();
    const store = redisStore(client, clock, prefix);
    const [id, foreign] = [newSessionId(), newSessionId()];
    await store.set(formatSessionId(id), { cookie: new session.Cookie() });
    const others = ['appXbYx:', 'sess:', `${prefix}other:`].map((other) => `${other}{${foreign.handle.slice(0, 8)}}x`);
    const index = `${prefix}{${foreign.handle.slice(0, 8)}}:user:x`;
    for (const key of [...others, index]) await client.set(key, '1');

    expect(await client.exists(`${prefix}{${id.handle.slice(0, 8)}}${id.handle.slice(8)}`)).toBe(1);
    expect([await store.ids(), await store.length()]).toEqual([[id.handle], 1]);
    expect(await store.all()).toHaveLength(1);
    await store.clear();
    expect(await redis.keys()).toEqual(others.sort());
  });

  it('is found whole by ids(), all() and length() when there is much of it', async () => {
    const store = redisStore(client, new TestClock());
    const ids = Array.from({ length: 1000 }, () => newSessionId());
    for (const some of [0, 1, 2, 3, 4].map((n) => ids.slice(200 * n, 200 * (n + 1)))) {
      await Promise.all(some.map((id) => store.set(formatSessionId(id), { cookie: new session.Cookie() })));
    }

    expect(new Set(await store.ids())).toEqual(new Set(ids.map(({ handle }) => handle)));
    expect([await store.length(), (await store.all())!.length]).toEqual([1000, 1000]);
    await store.clear();
    expect(await redis.keys()).toEqual([]);
  });

  describe('but is no session', () => {
    const NOW = Date.now();
    const whole = { seen: NOW, v: 1, created: NOW, secret: 'x', data: {} };
    const text = (value: unknown) => (key: string) =>
      client.set(key, typeof value === 'string' ? value : JSON.stringify(value));

    it.each<[string, (key: string) => Promise<unknown>]>([
      ['is no JSON', text('garbage')],
      ['is cut off', text(JSON.stringify(whole).slice(0, -1))],
      ['is empty', text('')],
      ['is binary', text('\u0000\ufffd')],
      ['is null', text('null')],
      ['is a number', text('42')],
      ['is a list', text([whole])],
      ['is an empty object', text({})],
      ['is what connect-redis writes', text({ cookie: { originalMaxAge: null }, passport: { user: 1 } })],
      ['lacks its data', text({ ...whole, data: undefined })],
      ['has a list for data', text({ ...whole, data: [] })],
      ['has null for data', text({ ...whole, data: null })],
      ['has text for a time', text({ ...whole, seen: `${NOW}` })],
      ['has no secret', text({ ...whole, secret: null })],
      ['has nobody logged in', text({ ...whole, login: {}, data: {} })],
      ['has its parts in another order', text({ data: {}, v: 1, seen: NOW, created: NOW, secret: 'x' })],
      ['was printed prettily', text(JSON.stringify(whole, null, 2))],
      ['has something behind its data', text({ ...whole, more: 1 })],
      ['is a Redis list', (key) => client.lPush(key, 'x')],
      ['is a Redis set', (key) => client.sAdd(key, 'x')],
      ['is a Redis hash', (key) => client.hSet(key, 'x', 'y')],
      ['is a Redis sorted set', (key) => client.zAdd(key, { score: 1, value: 'x' })],
      ['is a Redis stream', (key) => client.xAdd(key, '*', { x: 'y' })],
    ])('because it %s: is absent, removed, and reported', async (_, write) => {
      const store = redisStore(client, new TestClock(NOW));
      const { handle } = newSessionId();
      const key = `sess:{${handle.slice(0, 8)}}${handle.slice(8)}`;
      unreadable.length = 0;
      await write(key);

      expect(await store.find(handle)).toBeUndefined();
      expect(await client.exists(key)).toBe(0);
      expect(unreadable).toEqual([handle]);
    });

    it('is left out of all()', async () => {
      const store = redisStore(client, new TestClock(NOW));
      const { handle } = newSessionId();
      await client.set(`sess:{${handle.slice(0, 8)}}${handle.slice(8)}`, 'garbage');

      expect(await store.all()).toEqual([]);
    });

    it('makes its bearer anonymous over HTTP, once and for all', async () => {
      const application = await TestApplication.start({ options: { redis: redis.options } });
      const browser = await application.loggedIn();
      const key = (await redis.keys()).find((one) => /\}[\w-]{12}$/.test(one))!;
      await client.set(key, '{"seen":');
      const answers = [await browser.get('/me'), await browser.get('/public'), await browser.get('/session')];
      const registry = application.app.get(SessionRegistry);
      const listed = await registry.list('1');
      const counted = await registry.count('1');
      await application.close();

      expect(answers.map(({ status }) => status)).toEqual([401, 200, 200]);
      expect([listed, counted]).toEqual([[], 0]);
      expect(await redis.keys()).toEqual([`${key}:ended`]);
      expect(application.events.slice(1)).toEqual([
        expect.objectContaining({ type: 'ended', reason: 'unreadable', handle: expect.stringMatching(/^[\w-]{20}$/) }),
      ]);
    });
  });
});
