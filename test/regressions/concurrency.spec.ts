import { SESSION_STORE } from '../../lib/index.js';
import type { RedisSessionStore } from '../../lib/redis/redis-session-store.js';
import { isLive } from '../../lib/store/session-store.js';
import type { RedisCommand } from '../support/redis-monitor.js';
import { ADA, type Application, dataOf, FORGOTTEN, gate, isLoggedIn, near, put } from './scenario.js';
import { describeStages } from './stage.js';

const HOUR = 3_600_000;

describeStages((on) => {
  describe('a request that runs while its user logs out', () => {
    async function slowWriteDuringLogout(application: Application) {
      const browser = await application.loggedIn();
      const before = browser.fork();
      const slow = put(browser.tab(), 'note', 'late', { at: 'slow' });
      await gate(application, 'slow').reached;
      const logout = await browser.post('/logout');
      gate(application, 'slow').open();
      const response = await slow;
      return {
        logout: logout.status,
        slow: { status: response.status, body: response.json() },
        setCookies: response.setCookies,
        oldCookieWorks: await isLoggedIn(before),
      };
    }

    on.control?.('control: brings the session back', async () => {
      expect(await slowWriteDuringLogout(await on.handWired())).toMatchObject({
        logout: 204,
        slow: { status: 200 },
        oldCookieWorks: true,
      });
    });

    it('cannot bring the session back; its response goes out and leaves the cookie alone, and an event says what was discarded', async () => {
      const application = await on.here();

      expect(await slowWriteDuringLogout(application)).toEqual({
        logout: 204,
        slow: { status: 200, body: { note: 'late' } },
        setCookies: [],
        oldCookieWorks: false,
      });
      expect(await on.sessions()).toEqual([]);
      const [{ handle } = {}] = application.events.filter(({ type }) => type === 'logged-in');
      expect(application.events.map(({ at: _at, ...event }) => event)).toEqual([
        { type: 'logged-in', userId: '1', handle, strategy: 'local', device: { ip: '127.0.0.1' } },
        { type: 'logged-out', userId: '1', handle },
        { type: 'save-dropped', userId: '1', handle },
      ]);
    });

    it('cannot bring it back by being noted as activity either', async () => {
      const application = await on.here();
      const browser = await application.loggedIn();
      const before = browser.fork();
      application.clock.advance('30m');
      const slow = browser.tab().get('/gated/slow');
      await gate(application, 'slow').reached;

      await browser.post('/logout');
      gate(application, 'slow').open();

      expect((await slow).status).toBe(200);
      expect(await isLoggedIn(before)).toBe(false);
      expect(await on.sessions()).toEqual([]);
    });
  });

  describe('session.save()', () => {
    async function saveInOldButBusySession(application: Application) {
      const browser = await application.loggedIn();
      for (let i = 0; i < 3; i++) {
        application.clock.advance('40m');
        await browser.get('/me');
      }
      const { status } = await browser.post('/save');
      return { status, stillLoggedIn: await isLoggedIn(browser), sessions: (await on.sessions()).length };
    }

    on.control?.('control: deletes a session that is in use', async () => {
      const application = await on.handWired({ session: { rolling: true, cookie: { maxAge: HOUR } } });

      expect(await saveInOldButBusySession(application)).toEqual({ status: 204, stillLoggedIn: false, sessions: 0 });
    });

    it('keeps a session that is in use, for as long as the lifetime says at that moment', async () => {
      const application = await on.here({ options: { lifetime: { idle: HOUR } } });

      expect(await saveInOldButBusySession(application)).toEqual({ status: 204, stillLoggedIn: true, sessions: 1 });
      expect(await lifeLeft()).toEqual(near(HOUR));
    });

    it('computes the time to live at every save', async () => {
      const application = await on.here({ options: { lifetime: { idle: HOUR } } });
      const browser = await application.loggedIn();

      application.clock.advance('40m');
      await put(browser, 'a', 1);
      expect(await lifeLeft()).toEqual(near(HOUR));

      application.clock.advance(60_000);
      await put(browser, 'a', 2);
      expect(await lifeLeft()).toEqual(near(HOUR - 60_000));
    });

    async function lifeLeft(): Promise<number> {
      const [key = ''] = await on.sessions();
      return on.client.pTTL(key);
    }
  });

  describe('parallel requests of one session', () => {
    /** All have loaded the session before any of them writes. */
    async function parallelWrites(application: Application) {
      const browser = await application.loggedIn();
      await put(browser, 'cart', { items: 1, coupon: 'none' });
      await put(browser, 'gone', true);
      const requests = [
        ['first', put(browser.tab(), 'a', 1, { at: 'first' })],
        ['second', browser.tab().request('PUT', '/gated/second/nested/cart/items', { json: { value: 2 } })],
        ['third', browser.tab().request('DELETE', '/gated/third/session/gone')],
        ['last', put(browser.tab(), 'b', 2, { at: 'last' })],
      ] as const;
      for (const [name] of requests) await gate(application, name).reached;
      for (const [name, response] of requests) {
        gate(application, name).open();
        expect((await response).status).toBe(200);
      }
      return dataOf(browser);
    }

    on.control?.('control: lose all writes but the last', async () => {
      expect(await parallelWrites(await on.handWired())).toEqual({
        cart: { items: 1, coupon: 'none' },
        gone: true,
        b: 2,
      });
    });

    it('keep what each has set, changed and deleted', async () => {
      expect(await parallelWrites(await on.here())).toEqual({ cart: { items: 2, coupon: 'none' }, a: 1, b: 2 });
    });

    it('keep what one has written before another saves for the second time', async () => {
      const application = await on.here();
      const browser = await application.loggedIn();
      await put(browser, 'gone', true);
      await put(browser, 'changed', 'before');
      const twice = browser.tab().post('/gated/one/two/twice');
      await gate(application, 'one').reached;
      await browser.request('DELETE', '/session/gone');
      await put(browser, 'changed', 'after');
      await put(browser, 'added', true);
      gate(application, 'one').open();
      await gate(application, 'two').reached;
      await put(browser, 'between', true);
      gate(application, 'two').open();

      expect((await twice).status).toBe(204);
      expect(await dataOf(browser)).toEqual({
        changed: 'after',
        added: true,
        between: true,
        first: true,
        second: true,
      });
    });

    it('count a nested change as one of its top-level key: of two, the later stands whole', async () => {
      const application = await on.here();
      const browser = await application.loggedIn();
      await put(browser, 'cart', { items: 1, coupon: 'none' });
      const change = (field: string, value: unknown) =>
        browser.tab().request('PUT', `/gated/${field}/nested/cart/${field}`, { json: { value } });
      const [items, coupon] = [change('items', 2), change('coupon', 'spring')];
      await Promise.all([gate(application, 'items').reached, gate(application, 'coupon').reached]);

      gate(application, 'items').open();
      await items;
      gate(application, 'coupon').open();
      await coupon;

      expect(await dataOf(browser)).toEqual({ cart: { items: 1, coupon: 'spring' } });
    });

    it('keep all of twelve writes at once', async () => {
      const application = await on.here();
      const browser = await application.loggedIn();
      const keys = Array.from({ length: 12 }, (_, i) => `key${i}`);
      const responses = keys.map((key) => put(browser.tab(), key, key, { at: key }));
      await Promise.all(keys.map((key) => gate(application, key).reached));

      for (const key of keys) gate(application, key).open();

      for (const { status } of await Promise.all(responses)) expect(status).toBe(200);
      expect(await dataOf(browser)).toEqual(Object.fromEntries(keys.map((key) => [key, key])));
    });

    /** Somebody else is always faster. */
    function contend(store: RedisSessionStore): { attempts: number } {
      const counter = { attempts: 0 };
      const update = store.update.bind(store);
      store.update = async (record, expiresAt) => {
        counter.attempts++;
        const found = await store.find(record.handle);
        if (!isLive(found)) throw new Error('the session has ended');
        await update({ ...found.record, version: found.record.version + 1 }, expiresAt);
        return update(record, expiresAt);
      };
      return counter;
    }

    it('fail with 503 and code session_conflict when others are faster again and again, never by a silent loss', async () => {
      const application = await on.here();
      const counter = contend(application.app.get<RedisSessionStore>(SESSION_STORE));
      const browser = await application.loggedIn();

      const response = await put(browser, 'a', 1);

      expect(response.status).toBe(503);
      expect(response.json()).toMatchObject({ statusCode: 503, code: 'session_conflict' });
      expect(response.headers['retry-after']).toBe('1');
      expect(response.setCookies).toEqual([]);
      expect(counter.attempts).toBeLessThanOrEqual(50);
      expect(application.events.filter(({ type }) => type === 'store-error')).toMatchObject([
        { operation: 'update', error: { code: 'session_conflict' } },
      ]);
      expect(await dataOf(browser)).toEqual({});
      expect(await isLoggedIn(browser)).toBe(true);
    });
  });

  describe('what Redis is asked', () => {
    /** The commands of a client, those of a script counting as the one step that they are. */
    function steps(commands: RedisCommand[]): string[] {
      return commands.filter(({ inScript }) => !inScript).map(({ name }) => name);
    }

    const writes = (names: string[]) => names.filter((name) => name !== 'get');

    /** Of the second login and logout: the server knows its scripts by then. */
    async function loginAndLogout(application: Application) {
      await (await application.loggedIn()).post('/logout');
      await on.flush();
      const monitor = await on.monitor();
      const browser = application.browser();
      const login = steps(await monitor.during(() => browser.post('/login', { json: ADA })));
      let setCookies: string[] = [];
      const logout = steps(
        await monitor.during(async () => {
          ({ setCookies } = await browser.post('/logout'));
        }),
      );
      return { login, logout, setCookies, left: (await on.sessions()).length };
    }

    on.control?.(
      'control: login runs DEL, SET, SET; logout GET, SET, DEL, SET, leaves an empty session and sets a fresh cookie',
      async () => {
        expect(await loginAndLogout(await on.handWired())).toEqual({
          login: ['del', 'set', 'set'],
          logout: ['get', 'set', 'del', 'set'],
          setCookies: [expect.stringMatching(/^sid=s%3A/)],
          left: 1,
        });
      },
    );

    it('login writes one step; logout deletes in one, recreates nothing and expires the cookie', async () => {
      const { login, logout, setCookies, left } = await loginAndLogout(await on.here());

      expect(writes(login)).toHaveLength(1);
      expect(login).toHaveLength(1);
      expect(logout.slice(0, 1)).toEqual(['get']);
      expect(writes(logout)).toHaveLength(1);
      expect(logout).toHaveLength(2);
      expect(setCookies).toEqual([FORGOTTEN]);
      expect(left).toBe(0);
    });

    it('the expired cookie has the attributes of the one it ends', async () => {
      const application = await on.here({
        options: {
          cookie: { name: 'login', path: '/', domain: '127.0.0.1', sameSite: 'none', secure: true, partitioned: true },
        },
        trustProxy: true,
      });
      const browser = application.browser({ trustSecure: true });
      const headers = { 'X-Forwarded-Proto': 'https' };
      const login = await browser.post('/login', { json: ADA, headers });
      const logout = await browser.post('/logout', { headers });

      const attributes = '; Domain=127.0.0.1; Path=/; Expires=...; HttpOnly; Secure; Partitioned; SameSite=None';
      const outline = (cookie: string) => cookie.replace(/^login=[^;]*/, '').replace(/Expires=[^;]*/, 'Expires=...');
      expect(login.setCookies.map(outline)).toEqual([attributes]);
      expect(logout.setCookies.map(outline)).toEqual([attributes]);
      expect(logout.setCookies[0]).toMatch(/^login=;.* Expires=Thu, 01 Jan 1970 00:00:00 GMT;/);
    });
  });
});
