import { createClient } from 'redis';
import { eventually } from '../support/eventually.js';
import { describePlatforms } from '../support/platforms.js';
import {
  askEverything,
  beginnings,
  outagesOf,
  reconnected,
  resetMidCommand,
  statuses,
  TIMEOUT,
  untilServed,
} from './outage.js';
import { ADA, isLoggedIn, put } from './scenario.js';
import { stage } from './stage.js';

// One server: how the masters of a cluster go away and come back is in test/topology and test/chaos.
describePlatforms((platform) => {
  const on = stage(platform);

  describe.each(outagesOf(on))('while Redis %s', (_, outage) => {
    const { begin, end } = beginnings(outage);

    on.control?.('control: requests get no response within a second', async () => {
      const application = await on.handWired();

      const { responses } = await askEverything(application, begin, 1_000);
      expect(statuses(responses)).toMatchObject({
        public: 'no response',
        guarded: 'no response',
        login: 'no response',
      });
    });

    it('each request is answered: public routes as ever, guarded ones and logins by 503', async () => {
      const application = await on.here({ options: { redisTimeout: TIMEOUT } });

      const { responses, member } = await askEverything(application, begin);

      expect(statuses(responses)).toEqual({
        public: 200,
        guarded: 503,
        session: 503,
        login: 503,
        again: 503,
        logout: 503,
      });
      expect(responses['public']!.response!.json()).toEqual({ name: null });
      for (const { response } of Object.values(responses)) {
        expect(response!.setCookies).toEqual([]);
        if (response!.status === 503) {
          expect(response!.json()).toMatchObject({ statusCode: 503, code: 'session_store_unavailable' });
          expect(response!.headers['retry-after']).toBe('1');
        }
      }
      expect(member.cookies.has('sid')).toBe(true);
    });

    it("onStoreError: 'anonymous' makes guarded routes 401, and logins are still 503", async () => {
      const application = await on.here({ options: { redisTimeout: TIMEOUT, onStoreError: 'anonymous' } });

      const { responses } = await askEverything(application, begin);

      expect(statuses(responses)).toEqual({
        public: 200,
        guarded: 401,
        session: 503,
        login: 503,
        again: 503,
        logout: 503,
      });
      expect(responses['guarded']!.response!.setCookies).toEqual([]);
    });

    it('everything works again as soon as Redis does, without a restart', async () => {
      const application = await on.here({ options: { redisTimeout: TIMEOUT } });
      const { member } = await askEverything(application, begin);

      await end();

      expect(await untilServed(member)).toBe(outage.forgets ? 401 : 200);
      expect(await isLoggedIn(await application.loggedIn())).toBe(true);
    });
  });

  describe('while Redis hangs', () => {
    it('the first logins after a start are answered by 503, and not carried out', async () => {
      const application = await on.here({ options: { redisTimeout: TIMEOUT } });

      on.redis.pause();
      const logins = Array.from({ length: 3 }, () => application.browser().post('/login', { json: ADA }));
      const statuses = (await Promise.all(logins)).map(({ status }) => status);
      on.redis.resume();

      expect(statuses).toEqual([503, 503, 503]);
      const login = () => application.browser().post('/login', { json: ADA });
      await eventually('another login', async () => (await login()).status === 200);
      expect(await on.sessions()).toHaveLength(1);
    });
  });

  describe('after a long time without Redis', () => {
    it('nothing is done that a client was asked meanwhile which is given, and queues while it is disconnected', async () => {
      const client = createClient({ url: on.redis.url }).on('error', () => undefined);
      await client.connect();
      on.closing({ close: () => client.destroy() });
      const application = await on.here({ options: { redis: { client }, redisTimeout: 100 } });
      const browser = await application.loggedIn();
      await on.redis.kill();
      expect((await application.browser().post('/login', { json: ADA })).status).toBe(503);
      expect((await put(application.browser(), 'a', 1)).status).toBe(503);

      await on.redis.restart();

      await untilServed(browser);
      expect(await on.sessions()).toEqual([]);
    });
  });

  describe('a connection that is reset', () => {
    on.control?.('control: takes public routes down, too', async () => {
      const line = await on.line();
      const { response } = await resetMidCommand(await on.handWired({ redis: line }), line, '/public');

      expect(response.status).toBe(500);
    });

    it('leaves public routes as they are, and is 503 on guarded ones; the next request works', async () => {
      const line = await on.line();
      const application = await on.here({ options: { redis: line.options, redisTimeout: TIMEOUT } });

      const visit = await resetMidCommand(application, line, '/public');
      expect(visit.response.status).toBe(200);
      await reconnected(visit.browser);

      const { response, browser } = await resetMidCommand(application, line, '/me');
      expect(response.json()).toMatchObject({ statusCode: 503, code: 'session_store_unavailable' });
      await reconnected(browser);
    });
  });
});
