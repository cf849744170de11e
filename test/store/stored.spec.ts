import { createHash } from 'node:crypto';
import session from 'express-session';
import { SessionRegistry } from '../../lib/index.js';
import { formatSessionId, newAnonymousSessionId, newUserSessionId, splitHandle } from '../../lib/model/session-id.js';
import { TestApplication } from '../support/application.js';
import type { RedisClient } from '../support/redis-deployment.js';
import { DAY, MINUTE, REDIS_PLACES, type RedisKeys, usersIn, type TestedStore } from '../support/session-stores.js';
import { TestClock } from '../support/test-clock.js';

describe.each(REDIS_PLACES)('what is stored in Redis (%s)', (_, start) => {
  const users = usersIn(start);
  let redis: RedisKeys;
  let client: RedisClient;

  beforeEach(() => {
    ({ redis } = users.place);
    ({ client } = redis);
  });

  const tagOf = (userId: string) => createHash('sha256').update(userId).digest('base64url').slice(0, 16);

  async function loggedIn(options: object = {}) {
    const application = await TestApplication.start({ options: { redis: redis.options, ...options } });
    const browser = await application.loggedIn();
    await browser.request('PUT', '/session/list', { json: { value: [] } });
    await application.close();
    const cookie = decodeURIComponent(browser.cookies.get('sid')!);
    const [handle = '', secret = ''] = cookie.slice('s:'.length).split('.');
    return { handle, secret, cookie, clock: application.clock, expires: browser.cookies.find('sid')!.expires! };
  }

  const keyOf = (handle: string) => `sess:{${handle.slice(0, -12)}}${handle.slice(-12)}`;

  it("is one key for a user's session, and one for the user's index, with the user's tag in braces", async () => {
    const { handle } = await loggedIn();
    const tag = tagOf('1');

    expect(handle).toMatch(/^[\w-]{28}$/);
    expect(handle.slice(0, 16)).toBe(tag);
    expect(await redis.keys()).toEqual([`sess:{${tag}}`, `sess:{${tag}}${handle.slice(16)}`].sort());
    expect(await client.type(`sess:{${tag}}`)).toBe('zset');
  });

  it("is one key for a session that is nobody's, whose handle is shorter than a user's", async () => {
    const application = await TestApplication.start({ options: { redis: redis.options } });
    const browser = application.browser();
    await browser.request('PUT', '/session/a', { json: { value: 1 } });
    await application.close();
    const [, handle = ''] = /^s:([\w-]+)\./.exec(decodeURIComponent(browser.cookies.get('sid')!))!;

    expect(handle).toMatch(/^[\w-]{24}$/);
    expect(await redis.keys()).toEqual([`sess:{${handle.slice(0, 12)}}${handle.slice(12)}`]);
  });

  it('names the session in the index of its user, by when it expires', async () => {
    const { handle, clock } = await loggedIn({ lifetime: { idle: '20m' } });

    expect(await client.zRangeWithScores(`sess:{${tagOf('1')}}`, 0, -1)).toEqual([
      { value: handle.slice(16), score: clock.now() + 20 * MINUTE },
    ]);
  });

  it('is JSON that people can read, and no secret', async () => {
    const { handle, secret, cookie, clock } = await loggedIn();
    const text = (await client.get(keyOf(handle)))!;

    expect(text).toMatch(/^\{"seen":/);
    expect(JSON.parse(text)).toEqual({
      seen: clock.now(),
      v: 2,
      created: clock.now(),
      secret: createHash('sha256').update(secret).digest('base64url').slice(0, 22),
      user: '1',
      ip: '127.0.0.1',
      data: { list: [], passport: { user: { id: '1', name: 'Ada' } } },
    });
    for (const part of [secret, cookie.split('.')[2]!]) expect(text).not.toContain(part);
  });

  it('expires with the session, and a day before its cookie, so that the browser can be told', async () => {
    const before = Date.now();
    const { handle, clock, expires } = await loggedIn({ lifetime: { idle: '20m', absolute: '30m' } });
    const left = await client.pTTL(keyOf(handle));

    expect(expires).toBe(Math.floor((clock.now() + 30 * MINUTE + DAY) / 1000) * 1000);
    expect(left).toBeLessThanOrEqual(20 * MINUTE);
    expect(left).toBeGreaterThan(20 * MINUTE - (Date.now() - before) - 100);
  });

  it.each(['app*[a-c]?\\x^:', '', 'a:b:'])('keeps to its prefix %p, glob characters and all', async (prefix) => {
    const [store] = (await users.place.stores(users.clock, 1, prefix)) as [TestedStore];
    const id = newAnonymousSessionId();
    await store.set(formatSessionId(id), { cookie: new session.Cookie() });
    const { tag, rest } = splitHandle(newUserSessionId('ada').handle);
    const others = ['appXbYx:', 'sess:', `${prefix}other:`].map((other) => `${other}{${tag}}${rest}`);
    const index = `${prefix}{${tag}}`;
    for (const key of [...others, index]) await client.set(key, '1');

    expect(await client.exists(`${prefix}{${id.handle.slice(0, 12)}}${id.handle.slice(12)}`)).toBe(1);
    expect([await store.ids(), await store.length()]).toEqual([[id.handle], 1]);
    expect(await store.all()).toHaveLength(1);
    await store.clear();
    expect(await redis.keys()).toEqual(others.sort());
  });

  it('is found whole by ids(), all() and length() when there is much of it', async () => {
    const { store } = users;
    const ids = Array.from({ length: 1000 }, () => newAnonymousSessionId());
    for (const some of [0, 1, 2, 3, 4].map((n) => ids.slice(200 * n, 200 * (n + 1)))) {
      await Promise.all(some.map((id) => store.set(formatSessionId(id), { cookie: new session.Cookie() })));
    }

    expect(new Set(await store.ids())).toEqual(new Set(ids.map(({ handle }) => handle)));
    expect([await store.length(), (await store.all())!.length]).toEqual([1000, 1000]);
    await store.clear();
    expect(await redis.keys()).toEqual([]);
  });

  describe('but is no session', () => {
    const NOW = new TestClock().now();
    const whole = { seen: NOW, v: 1, secret: 'x', created: NOW, data: {} };
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
      ['has a user that is no text', text({ ...whole, user: 1 })],
      ['has a rotation without its hashes', text({ ...whole, rotation: { since: NOW, grace: [{}] } })],
      ['was ended, but lacks the secrets', text({ ended: 'revoked' })],
      ['was ended for no reason', text({ ended: null, secret: 'x' })],
      ['has its parts in another order', text({ data: {}, v: 1, seen: NOW, created: NOW, secret: 'x' })],
      ['was printed prettily', text(JSON.stringify(whole, null, 2))],
      ['has something behind its data', text({ ...whole, more: 1 })],
      ['is a Redis list', (key) => client.lPush(key, 'x')],
      ['is a Redis set', (key) => client.sAdd(key, 'x')],
      ['is a Redis hash', (key) => client.hSet(key, 'x', 'y')],
      ['is a Redis sorted set', (key) => client.zAdd(key, { score: 1, value: 'x' })],
      ['is a Redis stream', (key) => client.xAdd(key, '*', { x: 'y' })],
    ])('because it %s: is absent, removed, and reported', async (_, write) => {
      const { store } = users;
      const { handle } = newAnonymousSessionId();
      const key = keyOf(handle);
      await write(key);

      expect(await store.find(handle)).toBeUndefined();
      expect(await client.exists(key)).toBe(0);
      expect(users.place.unreadable.splice(0)).toEqual([handle]);
    });

    it('is left out of all(), ids() and length(), and removed once it is asked for', async () => {
      const { store } = users;
      const { handle } = newAnonymousSessionId();
      await client.set(keyOf(handle), 'garbage');

      expect([await store.all(), await store.ids(), await store.length()]).toEqual([[], [], 0]);
      expect(await store.find(handle)).toBeUndefined();
      expect(await redis.keys()).toEqual([]);
      expect(users.place.unreadable.splice(0)).toEqual([handle]);
    });

    it('is removed by all() where only its start is that of a session', async () => {
      const { store } = users;
      const { handle } = newAnonymousSessionId();
      await client.set(keyOf(handle), JSON.stringify(whole).slice(0, -1));

      expect(await store.all()).toEqual([]);
      expect(await redis.keys()).toEqual([]);
      expect(users.place.unreadable.splice(0)).toEqual([handle]);
    });

    it('makes its bearer anonymous over HTTP, once and for all', async () => {
      const application = await TestApplication.start({ options: { redis: redis.options } });
      const browser = await application.loggedIn();
      const key = (await redis.keys()).find((one) => /\}[\w-]{12}$/.test(one))!;
      await client.set(key, '{"seen":');
      const responses = [await browser.get('/me'), await browser.get('/public'), await browser.get('/session')];
      const registry = application.app.get(SessionRegistry);
      const listed = await registry.list('1');
      const counted = await registry.count('1');
      await application.close();

      expect(responses.map(({ status }) => status)).toEqual([401, 200, 200]);
      expect([listed, counted]).toEqual([[], 0]);
      expect(await redis.keys()).toEqual([]);
      expect(application.events.slice(1)).toEqual([
        expect.objectContaining({ type: 'ended', reason: 'unreadable', handle: expect.stringMatching(/^[\w-]{28}$/) }),
      ]);
    });
  });
});
