import type { EventEmitter } from 'node:events';
import type { Server } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { SESSION_STORE, SessionRegistry } from '../../lib/index.js';
import type { RedisSessionStore } from '../../lib/redis/redis-session-store.js';
import type { TestApplication } from '../support/application.js';
import type { BrowserResponse } from '../support/browser.js';
import { eventually } from '../support/eventually.js';
import { Gates } from '../support/gate.js';
import { describePlatforms, placesOn } from '../support/platforms.js';
import { ProcessWatch, realProcess } from '../support/process-watch.js';
import { DEPLOYMENTS } from '../support/redis-deployment.js';
import { beginnings, outagesOf, reconnected, TIMEOUT, untilServed } from './outage.js';
import { ADA, isLoggedIn, put } from './scenario.js';
import { stage } from './stage.js';

describePlatforms((platform) => {
  const on = stage(platform);

  describe.each(outagesOf(on))('while Redis %s', (_, outage) => {
    const { begin, end } = beginnings(outage);

    it('a thousand requests leave no unhandled rejection, no warning and no listener behind', async () => {
      const watch = on.closing(new ProcessWatch());
      const application = await on.here({ options: { redisTimeout: 100 } });
      const browser = await application.loggedIn();
      const tabs = Array.from({ length: 100 }, () => browser.tab());
      const round = (path: string) => Promise.all(tabs.map((tab) => tab.get(path)));
      await round('/me');
      await begin();
      await round('/me');
      const before = listeners(application);

      const all: BrowserResponse[] = [];
      for (let i = 0; i < 5; i++) all.push(...(await round('/me')), ...(await round('/public')));

      expect(all.filter(({ status }) => status === 503)).toHaveLength(500);
      expect(all.filter(({ status }) => status === 200)).toHaveLength(500);
      await end();
      await eventually('the connection', async () => (await browser.get('/me')).status !== 503);
      await round('/public');
      expect(listeners(application)).toEqual(before);
      expect(watch.unhandled).toEqual([]);
      expect(watch.warnings).toEqual([]);
    });
  });

  describe('while Redis hangs', () => {
    it.each([
      ['soon', 50],
      ['late', TIMEOUT],
    ])(
      'logins are answered by 503, and not carried out when it wakes %s: nobody is signed out for them',
      async (_, later) => {
        const maxSessions = { limit: 3 } as const;
        const application = await on.here({ options: { redisTimeout: TIMEOUT, maxSessions } });
        const browsers = [await application.loggedIn(), await application.loggedIn()];
        const before = await on.sessions();

        on.redis.pause();
        const logins = Array.from({ length: 3 }, () => application.browser().post('/login', { json: ADA }));
        const statuses = (await Promise.all(logins)).map(({ status }) => status);
        await sleep(later);
        on.redis.resume();

        expect(statuses).toEqual([503, 503, 503]);
        for (const browser of browsers) expect(await untilServed(browser)).toBe(200);
        expect(await on.sessions()).toEqual(before);
      },
    );

    it('does not wait longer for what is no session than for anything else, where reads are answered from afar', async () => {
      const timeout = 4_000;
      const line = await on.line();
      const application = await on.here({ options: { redis: line.options, redisTimeout: timeout } });
      const browser = await application.loggedIn();
      const [key = ''] = await on.sessions();
      await on.client.set(key, 'no session');
      line.delay = timeout / 4;
      await on.redis.ask('CLIENT', 'PAUSE', '60000', 'WRITE');

      const start = performance.now();
      const { status } = await browser.get('/me');
      const time = performance.now() - start;
      await on.redis.ask('CLIENT', 'UNPAUSE');

      expect(status).toBe(503);
      // Half of it for the read; with the whole of it for the removal, too, it would be 1.5.
      expect(time).toBeLessThan(1.4 * timeout);
    });

    it('a walk over all keys gives up, and is not begun once Redis is known to hang', async () => {
      const application = await on.here({ options: { redisTimeout: TIMEOUT } });
      const registry = application.app.get(SessionRegistry);
      const walk = async (): Promise<number> => {
        const start = performance.now();
        await expect(registry.revokeEveryone()).rejects.toMatchObject({ code: 'session_store_unavailable' });
        return performance.now() - start;
      };

      on.redis.pause();
      try {
        await walk();
        await eventually('a walk to be refused at once', async () => (await walk()) < TIMEOUT / 2, { timeout: 15_000 });
      } finally {
        on.redis.resume();
      }
    });
  });

  describe('after a long time without Redis', () => {
    it('nothing is done that was asked meanwhile, and requests are served again', async () => {
      const application = await on.here();
      const browser = await application.loggedIn();
      const client = application.app.get<RedisSessionStore>(SESSION_STORE).client as EventEmitter;
      let attempts = 0;
      client.on('reconnecting', () => attempts++);
      await on.redis.kill();
      expect((await application.browser().post('/login', { json: ADA })).status).toBe(503);
      expect((await put(application.browser(), 'a', 1)).status).toBe(503);
      await eventually('the pauses between its attempts to be as long as they get', () => attempts >= 8);

      await on.redis.restart();

      await untilServed(browser);
      expect(await on.sessions()).toEqual([]);
    });
  });

  describe.each(placesOn(platform, DEPLOYMENTS))('a slow Redis, with sessions in %s,', (where) => {
    const on = stage(platform, where);

    /** An application to which each reply of Redis takes two thirds of the timeout. */
    async function slowly(redisTimeout = TIMEOUT) {
      const line = await on.line();
      const application = await on.here({ options: { redis: line.options, redisTimeout } });
      const browser = await application.loggedIn();
      line.delay = redisTimeout / 3;
      return { line, application, browser };
    }

    it('has a request wait no longer than redisTimeout, however many commands it needs', async () => {
      const { line, application, browser } = await slowly();

      expect((await browser.get('/me')).status).toBe(200);
      for (const response of [
        put(browser, 'a', 1),
        browser.tab().post('/login', { json: ADA }),
        browser.tab().post('/logout'),
        browser.tab().post('/save'),
      ]) {
        expect((await response).status).toBe(503);
      }
      line.delay = 0;
      expect(await isLoggedIn(await application.loggedIn())).toBe(true);
    });

    it('has a revocation wait no longer than that either: it looks for the session, then ends it', async () => {
      const { application, line } = await slowly();
      const registry = application.app.get(SessionRegistry);
      line.delay = 0;
      const [session] = await registry.list('1');
      line.delay = 0.3 * TIMEOUT;

      const revoked = registry.revoke('1', session!.handle);

      await expect(revoked).rejects.toMatchObject({ code: 'session_store_unavailable' });
    });

    it('that answers from far away is waited for: a handler may save many times', async () => {
      const timeout = 5 * TIMEOUT; // On a busy machine, a single reply may take as long as TIMEOUT leaves it.
      const { line, browser } = await slowly(timeout);
      line.delay = timeout / 10;

      expect((await browser.post('/save/10')).status).toBe(204);
    });

    it('has what a handler spends on other things not count', async () => {
      const { application, browser } = await slowly();
      const gate = application.app.get(Gates).named('work');

      const written = browser.request('PUT', '/gated/work/session/a', { json: { value: 1 } });
      await gate.reached;
      await sleep(TIMEOUT);
      gate.open();

      expect((await written).status).toBe(200);
    });
  });

  describe('a process that stands still for longer than redisTimeout', () => {
    it('takes the response that has come meanwhile', async () => {
      const application = await on.here({ options: { redisTimeout: TIMEOUT } });
      const browser = await application.loggedIn();
      const store = application.app.get<RedisSessionStore>(SESSION_STORE);
      const find = store.find.bind(store);
      store.find = (...args) => {
        const found = find(...args);
        setImmediate(() => standStill(1.5 * TIMEOUT)); // The command has gone out, and no reply has been read.
        return found;
      };

      for (let i = 0; i < 5; i++) expect((await put(browser, 'a', i)).status).toBe(200);
    });

    function standStill(milliseconds: number): void {
      const until = performance.now() + milliseconds;
      while (performance.now() < until);
    }
  });

  describe('a connection that is reset', () => {
    it('and opened anew to nobody who replies is given up for another', async () => {
      const line = await on.line();
      const application = await on.here({ options: { redis: line.options, redisTimeout: TIMEOUT } });
      const browser = await application.loggedIn();

      line.pause();
      line.resetAll();
      await eventually('another connection to ask in vain', () => line.held > 0);
      line.forget();
      line.resume();

      await untilServed(browser);
    });

    it('at boot, and opened to nobody who replies, is given up for another', async () => {
      const line = await on.line();
      line.pause();
      const application = await on.here({ options: { redis: line.options, redisTimeout: TIMEOUT } });
      await eventually('a connection to be opened', () => line.connections > 0);
      line.forget();
      line.resume();

      await eventually(
        'a login',
        async () => (await application.browser().post('/login', { json: ADA })).status === 200,
        { timeout: 15_000 },
      );
    });

    it('a hundred times leaves nothing behind', async () => {
      const watch = on.closing(new ProcessWatch());
      const line = await on.line();
      const application = await on.here({ options: { redis: line.options, redisTimeout: TIMEOUT } });
      const browser = await application.loggedIn();
      const before = listeners(application);

      for (let i = 0; i < 100; i++) {
        const responses = Promise.all(Array.from({ length: 10 }, () => browser.get('/me')));
        line.resetAll();
        for (const { status } of await responses) expect([200, 503]).toContain(status);
        await reconnected(browser);
      }

      expect(listeners(application)).toEqual(before);
      expect(watch.unhandled).toEqual([]);
      expect(watch.warnings).toEqual([]);
    });
  });
});

/** How many listeners there are on what outlives a request. */
function listeners({ app }: TestApplication): Record<string, number> {
  const emitters: Record<string, EventEmitter> = {
    process: realProcess,
    server: app.getHttpServer() as Server,
    client: app.get<RedisSessionStore>(SESSION_STORE).client,
    store: app.get<RedisSessionStore>(SESSION_STORE),
  };
  return Object.fromEntries(
    Object.entries(emitters).flatMap(([name, emitter]) =>
      emitter.eventNames().map((event) => [`${name} ${String(event)}`, emitter.listenerCount(event)]),
    ),
  );
}
