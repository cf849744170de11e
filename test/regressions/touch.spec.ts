import type { BrowserResponse } from '../support/browser.js';
import { eventually } from '../support/eventually.js';
import type { RedisLine } from '../support/redis-line.js';
import { type Application, gate, isLoggedIn, near } from './scenario.js';
import { describeStages } from './stage.js';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** A lifetime without rotation, which has its own time and its own tests. */
const STILL = { rotateEvery: false } as const;

/** As a cookie tells its end. */
function inWholeSeconds(milliseconds: number): number {
  return Math.floor(milliseconds / 1000) * 1000;
}

describeStages((on) => {
  /** Milliseconds until Redis drops the one session there is. */
  async function lifeLeft(): Promise<number> {
    const [key = ''] = await on.sessions();
    return on.client.pTTL(key);
  }

  describe('reads of a logged-in user', () => {
    async function hundredReads(application: Application) {
      const browser = await application.loggedIn();
      const tabs = Array.from({ length: 10 }, () => browser.tab());
      return on.asked(async () => {
        for (let round = 0; round < 10; round++) {
          for (const { status } of await Promise.all(tabs.map((tab) => tab.get('/me')))) expect(status).toBe(200);
        }
      });
    }

    on.control?.('control: cost Redis a write each', async () => {
      expect(await hundredReads(await on.handWired())).toEqual({ get: 100, expire: 100 });
    });

    it('cost Redis a GET each and nothing else within touchEvery', async () => {
      expect(await hundredReads(await on.here())).toEqual({ get: 100 });
    });

    it('cost it one write more, of the first to come after touchEvery', async () => {
      const application = await on.here({ options: { lifetime: { touchEvery: '5m', rotateEvery: false } } });
      const browser = await application.loggedIn();
      const afterwards = async (wait: number) => {
        application.clock.advance(wait);
        return on.asked(async () => {
          for (let i = 0; i < 100; i++) await browser.get('/me');
        });
      };

      await afterwards(5 * MINUTE); // The server knows the script from here on.
      expect(await afterwards(5 * MINUTE - 1)).toEqual({ get: 100 });
      const { get, evalsha, pexpire } = await afterwards(1);
      // One step moves the session and its user's index.
      expect({ get, evalsha, pexpire }).toEqual({ get: 100, evalsha: 1, pexpire: 2 });
      expect(await lifeLeft()).toEqual(near(HOUR));
    });

    it('cost it one write more for twenty at once, each of which finds it due', async () => {
      const application = await on.here({ options: { lifetime: STILL } });
      const browser = await application.loggedIn();
      application.clock.advance('30m');
      const names = Array.from({ length: 20 }, (_, i) => `read ${i}`);
      const responses = names.map((name) => browser.tab().get(`/gated/${name}`));
      await Promise.all(names.map((name) => gate(application, name).reached));

      const { pexpire } = await on.asked(async () => {
        for (const name of names) gate(application, name).open();
        await Promise.all(responses);
        await eventually('the activity to be written down', async () => (await lifeLeft()) > HOUR - MINUTE);
      });

      expect(pexpire).toBe(2); // Of the session and its user's index: once, in one step.
    });
  });

  describe('noting activity', () => {
    /** Redis stops answering after the session has been read, until the activity is on its way. */
    async function readWithTouchUnderWay(application: Application, line: RedisLine) {
      const browser = await application.loggedIn();
      application.clock.advance('30m');
      let answered = false;
      const response = browser.get('/gated/slow').then(({ status }) => {
        answered = true;
        return status;
      });
      await gate(application, 'slow').reached;
      line.pause();
      gate(application, 'slow').open();
      await eventually('the activity to be on its way', () => line.held > 0);
      return { response, answered: () => answered };
    }

    on.control?.('control: holds the end of the response back', async () => {
      const line = await on.line();
      const { response, answered } = await readWithTouchUnderWay(await on.handWired({ redis: line }), line);

      expect(answered()).toBe(false);
      line.resume();
      expect(await response).toBe(200);
    });

    it('does not hold the response back', async () => {
      const line = await on.line();
      const application = await on.here({ options: { redis: line.options, redisTimeout: '20s', lifetime: STILL } });
      const { response } = await readWithTouchUnderWay(application, line);

      expect(await response).toBe(200);
      line.resume();
      await eventually('the activity to be written down', async () => (await lifeLeft()) > HOUR - MINUTE);
    });

    it('leaves the response as it is when it fails, and says so as an event', async () => {
      const application = await on.here({ options: { lifetime: STILL } });
      const browser = await application.loggedIn();
      application.clock.advance('30m');
      await on.refuseWrites();

      const { status, text } = await browser.get('/me');

      expect({ status, text }).toEqual({ status: 200, text: '{"id":"1","name":"Ada"}' });
      const event = await eventually('the event', () => application.events.find(({ type }) => type === 'touch-failed'));
      expect(event).toMatchObject({ handle: expect.stringMatching(/^[\w-]{28}$/), error: expect.any(Error) });
    });

    on.single?.('leaves the response as it is when Redis hangs just then', async () => {
      const application = await on.here({ options: { redisTimeout: 100, lifetime: STILL } });
      const browser = await application.loggedIn();
      application.clock.advance('30m');
      const answered = browser.get('/gated/slow');
      await gate(application, 'slow').reached;
      on.redis.pause();
      try {
        gate(application, 'slow').open();
        expect((await answered).status).toBe(200);
        await eventually('the event', () => application.events.some(({ type }) => type === 'touch-failed'));
      } finally {
        on.redis.resume();
      }
    });
  });

  describe('the cookie of a busy session', () => {
    /** A request every five minutes for three hours. */
    async function threeBusyHours(application: Application) {
      const browser = await application.loggedIn();
      const responses: BrowserResponse[] = [];
      for (let minutes = 0; minutes < 180; minutes += 5) {
        application.clock.advance('5m');
        responses.push(await browser.get('/public'));
      }
      return {
        renewed: responses.filter(({ setCookies }) => setCookies.length > 0).length,
        uncacheable: responses.filter(({ headers }) => headers['cache-control'] === 'no-store').length,
        loggedIn: await isLoggedIn(browser),
        sessions: (await on.sessions()).length,
        responses,
      };
    }

    on.control?.('control: ends while the session goes on (rolling: false)', async () => {
      const application = await on.handWired({ session: { cookie: { maxAge: HOUR } } });

      expect(await threeBusyHours(application)).toMatchObject({ renewed: 0, loggedIn: false, sessions: 1 });
    });

    on.control?.('control: comes with every response, for caches to keep (rolling: true)', async () => {
      const application = await on.handWired({ session: { rolling: true, cookie: { maxAge: HOUR } } });

      expect(await threeBusyHours(application)).toMatchObject({ renewed: 36, uncacheable: 0, loggedIn: true });
    });

    it('is not renewed by activity: every response may be cached', async () => {
      const lifetime = { idle: '1h', touchEvery: '20m', ...STILL } as const;
      const { responses: _, ...seen } = await threeBusyHours(await on.here({ options: { lifetime } }));

      expect(seen).toEqual({ renewed: 0, uncacheable: 0, loggedIn: true, sessions: 1 });
    });

    it('is renewed with each new secret, with Cache-Control: no-store, and by no other response', async () => {
      const lifetime = { idle: '1h', touchEvery: '20m', rotateEvery: '15m' } as const;
      const application = await on.here({ options: { lifetime } });

      const { responses, ...seen } = await threeBusyHours(application);

      expect(seen).toEqual({ renewed: 9, uncacheable: 9, loggedIn: true, sessions: 1 });
      for (const { setCookies, headers } of responses) {
        expect(headers['cache-control']).toBe(setCookies.length > 0 ? 'no-store' : undefined);
      }
    });

    it('outlives the session, whose end activity puts off: who comes too late is told that it has expired', async () => {
      const application = await on.here({ options: { lifetime: { idle: '1h', touchEvery: '20m', ...STILL } } });
      const browser = await application.loggedIn();
      const end = application.clock.now() + DAY + DAY;

      expect(browser.cookies.find('sid')?.expires).toBe(inWholeSeconds(end));
      expect(await lifeLeft()).toEqual(near(HOUR));
      application.clock.advance('20m');
      expect((await browser.get('/me')).setCookies).toEqual([]);
      await eventually('the activity to be written down', async () => (await lifeLeft()) > HOUR - MINUTE);
      expect(await lifeLeft()).toEqual(near(HOUR));

      application.clock.advance(HOUR - 1);
      expect(await isLoggedIn(browser.fork())).toBe(true);
      application.clock.advance(HOUR);
      const { status, text, setCookies } = await browser.get('/me');
      expect([status, JSON.parse(text)]).toMatchObject([401, { reason: 'expired' }]);
      expect(setCookies).toEqual([]);
      application.clock.advance(end - application.clock.now());
      expect(browser.cookies.has('sid')).toBe(false);
    });

    it('ends a day after the absolute limit, and the key at that limit, however busy the session is', async () => {
      const lifetime = { idle: '1h', absolute: '90m', ...STILL } as const;
      const application = await on.here({ options: { lifetime } });
      const browser = await application.loggedIn();
      const end = application.clock.now() + 90 * MINUTE;

      for (const left of [50 * MINUTE, 10 * MINUTE]) {
        application.clock.advance('40m');
        await browser.get('/me');
        await eventually('the activity to be written down', async () => (await lifeLeft()) <= left);
        expect(await lifeLeft()).toEqual(near(left));
        expect(browser.cookies.find('sid')?.expires).toBe(inWholeSeconds(end + DAY));
      }

      application.clock.advance('10m');
      expect((await browser.get('/me')).json()).toMatchObject({ statusCode: 401, reason: 'expired' });
    });
  });
});
