import { All, Controller, Req } from '@nestjs/common';
import type { Request } from 'express';
import { SECRET } from '../support/application.js';
import { Browser } from '../support/browser.js';
import { LogRecorder } from '../support/log-recorder.js';
import { ADA, type Application, dataOf, FORGOTTEN, gate, isLoggedIn, put } from './scenario.js';
import { describeStages } from './stage.js';

const HOUR = 3_600_000;
const NEWER = `a newer ${SECRET}`;

/** The same browser, before another instance of the application. */
function carriedTo(application: Application, browser: Browser): Browser {
  return new Browser(application.url, { now: application.clock.now }, browser.cookies);
}

describeStages((on) => {
  describe('an anonymous request that is answered after a login', () => {
    async function lateResponse(application: Application) {
      const browser = application.browser();
      const late = browser.tab().get('/gated/late');
      await gate(application, 'late').reached;
      await browser.post('/login', { json: ADA });
      gate(application, 'late').open();
      const { setCookies } = await late;
      return { cookies: setCookies.length, loggedIn: await isLoggedIn(browser) };
    }

    on.control?.('control: overwrites the cookie of the login', async () => {
      const application = await on.handWired({ session: { saveUninitialized: true } });

      expect(await lateResponse(application)).toEqual({ cookies: 1, loggedIn: false });
    });

    it('sets no cookie when it stores nothing', async () => {
      expect(await lateResponse(await on.here())).toEqual({ cookies: 0, loggedIn: true });
    });

    it('asks Redis nothing', async () => {
      const application = await on.here();
      const monitor = await on.monitor();

      expect(await monitor.during(() => application.browser().get('/session'))).toEqual([]);
    });
  });

  describe('a request of a session that another login replaces', () => {
    /** It is due to be offered a new secret, and it may want to store something, too. */
    async function lateResponse(application: Application, write: boolean) {
      const browser = await application.loggedIn();
      application.clock.advance('30m');
      const late = write ? put(browser.tab(), 'note', 1, { at: 'late' }) : browser.tab().get('/gated/late');
      await gate(application, 'late').reached;
      application.clock.advance(1_000);
      await browser.post('/login', { json: ADA });
      gate(application, 'late').open();
      const { status } = await late;
      return { status, loggedIn: await isLoggedIn(browser) };
    }

    on.control?.('control: overwrites the cookie of that login', async () => {
      const application = await on.handWired({ session: { rolling: true, cookie: { maxAge: HOUR } } });

      expect(await lateResponse(application, false)).toEqual({ status: 200, loggedIn: false });
    });

    it.each([
      ['reads', false],
      ['writes', true],
    ])('leaves the cookie of that login alone (%s)', async (_, write) => {
      expect(await lateResponse(await on.here(), write)).toEqual({ status: 200, loggedIn: true });
    });
  });

  describe('a Secure cookie behind a proxy that is not trusted', () => {
    async function threeLogins(application: Application) {
      const responses = [];
      for (let i = 0; i < 3; i++) responses.push(await application.browser().post('/login', { json: ADA }));
      return {
        statuses: responses.map(({ status }) => status),
        cookies: responses.flatMap(({ setCookies }) => setCookies),
        sessions: (await on.sessions()).length,
        responses,
      };
    }

    const spoken = (log: LogRecorder) => log.at('warn', 'error').filter((line) => line.includes('trust proxy'));

    on.control?.('control: is not sent, without a word; every login leaves a key behind', async () => {
      const logger = new LogRecorder();
      const application = await on.handWired({ session: { cookie: { secure: true } }, logger });

      expect(await threeLogins(application)).toMatchObject({ statuses: [200, 200, 200], cookies: [], sessions: 3 });
      expect(spoken(logger)).toEqual([]);
    });

    it('fails the login with its code and stores nothing; the log says why and what to do, at boot and once later', async () => {
      const logger = new LogRecorder();
      const application = await on.here({ options: { cookie: { secure: true } }, logger });
      expect(spoken(logger)).toHaveLength(1);

      const { responses, ...seen } = await threeLogins(application);

      expect(seen).toEqual({ statuses: [500, 500, 500], cookies: [], sessions: 0 });
      for (const response of responses) expect(response.json()).toMatchObject({ code: 'cookie_not_sendable' });
      expect(spoken(logger)).toHaveLength(2);
    });

    it('leaves no key of an anonymous visitor behind', async () => {
      const application = await on.here({ options: { cookie: { secure: true } } });

      expect((await put(application.browser(), 'a', 1)).status).toBe(200);
      expect(await on.sessions()).toEqual([]);
    });

    it('is sent where the proxy is trusted, without a warning', async () => {
      const logger = new LogRecorder();
      const application = await on.here({
        options: { cookie: { secure: true } },
        logger,
        trustProxy: true,
      });
      const headers = { 'X-Forwarded-Proto': 'https' };
      const { status, setCookies } = await application.browser().post('/login', { json: ADA, headers });

      expect({ status, setCookies }).toEqual({
        status: 200,
        setCookies: [expect.stringContaining('; HttpOnly; Secure; ')],
      });
      expect(spoken(logger)).toEqual([]);
    });
  });

  describe("secure: 'auto'", () => {
    const login = async (application: Application) =>
      (await application.browser().post('/login', { json: ADA })).setCookies;

    on.control?.('control: sets no cookie over HTTP when a function gives the attributes', async () => {
      const application = await on.handWired({ session: { cookie: () => ({ secure: 'auto' as const }) } });

      expect(await login(application)).toEqual([]);
    });

    it('is resolved first: a cookie over HTTP, a Secure one over HTTPS', async () => {
      const application = await on.here({
        options: { cookie: { secure: 'auto' } },
        trustProxy: true,
      });
      const secure = await application
        .browser()
        .post('/login', { json: ADA, headers: { 'X-Forwarded-Proto': 'https' } });

      expect(await login(application)).toEqual([expect.stringMatching(/^sid=s%3A[^;]+;.*; HttpOnly; SameSite=Lax$/)]);
      expect(secure.setCookies).toEqual([expect.stringMatching(/^sid=s%3A[^;]+;.*; HttpOnly; Secure; SameSite=Lax$/)]);
    });
  });

  describe("path: '/admin'", () => {
    @Controller()
    class PathController {
      @All(['admin', 'admin/users', 'administrator'])
      hasSession(@Req() { session }: Partial<Request>): boolean {
        return session !== undefined;
      }
    }

    async function sessionsByPath(application: Application) {
      const browser = application.browser();
      const paths = ['/admin', '/admin/users', '/admin?a=b', '/administrator'];
      return Promise.all(paths.map(async (path) => [path, (await browser.get(path)).json<boolean>()]));
    }

    on.control?.('control: has a session at /administrator, too', async () => {
      const application = await on.handWired({
        session: { cookie: { path: '/admin' } },
        controllers: [PathController],
      });

      expect(await sessionsByPath(application)).toContainEqual(['/administrator', true]);
    });

    it('ends at a segment', async () => {
      const application = await on.here({ options: { cookie: { path: '/admin' } }, controllers: [PathController] });

      expect(await sessionsByPath(application)).toEqual([
        ['/admin', true],
        ['/admin/users', true],
        ['/admin?a=b', true],
        ['/administrator', false],
      ]);
    });
  });

  describe('a session from before a change of the configuration', () => {
    /** What the next cookie that a later deployment sets looks like, but for its value. */
    async function renewedBy([before, after]: [Application, Application]) {
      const loggedInAt = before.clock.now();
      const browser = carriedTo(after, await before.loggedIn());
      before.clock.advance('30m');
      if (after.clock.now() < before.clock.now()) after.clock.advance('30m');
      const { setCookies } = await browser.get('/me');
      return {
        loggedInAt,
        now: after.clock.now(),
        setCookies: setCookies.map((cookie) => cookie.replace(/^sid=[^;]+/, 'sid=...')),
      };
    }

    on.control?.('control: keeps the attributes of its first day', async () => {
      const old = { rolling: true, cookie: { sameSite: 'lax', maxAge: HOUR } } as const;
      const applications: [Application, Application] = [
        await on.handWired({ session: old }),
        await on.handWired({ session: { ...old, cookie: { sameSite: 'strict', maxAge: 8 * HOUR } } }),
      ];

      const { now, setCookies } = await renewedBy(applications);

      const expires = new Date(now + HOUR).toUTCString();
      expect(setCookies).toEqual([`sid=...; Path=/; Expires=${expires}; HttpOnly; SameSite=Lax`]);
    });

    it('has the new attributes, and the new end, in its next cookie', async () => {
      const applications: [Application, Application] = [
        await on.here({ options: { cookie: { sameSite: 'lax' }, lifetime: { absolute: '24h' } } }),
        await on.here({
          options: {
            cookie: { sameSite: 'strict', domain: '127.0.0.1' },
            lifetime: { absolute: '48h', rotateEvery: '20m' },
          },
        }),
      ];

      const { loggedInAt, setCookies } = await renewedBy(applications);

      const expires = new Date(loggedInAt + 72 * HOUR).toUTCString();
      expect(setCookies).toEqual([`sid=...; Domain=127.0.0.1; Path=/; Expires=${expires}; HttpOnly; SameSite=Strict`]);
    });
  });

  describe('two cookies of one name', () => {
    /** The first is of a session that has ended, as one for a parent domain or a longer path may be. */
    async function deadBeforeLive(application: Application, dead = 1) {
      const ended = [];
      for (let i = 0; i < dead; i++) {
        const browser = await application.loggedIn();
        ended.push(`sid=${browser.cookies.get('sid')!}`);
        await browser.post('/logout');
      }
      const live = `sid=${(await application.loggedIn()).cookies.get('sid')!}`;
      const me = async (...cookies: string[]) =>
        (await application.browser().get('/me', { headers: { cookie: cookies.join('; ') } })).status === 200;
      return { alone: await me(live), deadFirst: await me(...ended, live), deadLast: await me(live, ...ended) };
    }

    on.control?.('control: lock the user out when the first is dead', async () => {
      expect(await deadBeforeLive(await on.handWired())).toEqual({ alone: true, deadFirst: false, deadLast: true });
    });

    it('are both tried', async () => {
      expect(await deadBeforeLive(await on.here())).toEqual({ alone: true, deadFirst: true, deadLast: true });
    });

    it('are tried up to sixteen, so that a request cannot have Redis asked at will', async () => {
      const application = await on.here();
      expect(await deadBeforeLive(application, 3)).toMatchObject({ deadFirst: true });

      const dead: string[] = [];
      for (let i = 0; i < 20; i++) {
        const browser = await application.loggedIn();
        dead.push(`sid=${browser.cookies.get('sid')!}`);
        await browser.post('/logout');
      }
      const monitor = await on.monitor();
      const asked = async (cookies: string[]) =>
        (await monitor.during(() => application.browser().get('/me', { headers: { cookie: cookies.join('; ') } })))
          .length;

      expect(await asked(dead)).toBe(16);
      expect(await asked(dead.map((cookie) => `${cookie.slice(0, -3)}abc`))).toBe(0);
    });
  });

  describe('a cookie signed by a secret that has been replaced', () => {
    async function secretRotated([old, both, newer]: [Application, Application, Application]) {
      const before = await old.loggedIn();
      const value = before.cookies.get('sid')!;
      const browser = carriedTo(both, before);
      const { status, setCookies } = await browser.get('/me');
      const again = await browser.get('/me');
      return {
        status,
        setCookies,
        again: again.setCookies,
        sameId: browser.cookies.get('sid')!.split('.')[0] === value.split('.')[0],
        afterwards: await isLoggedIn(carriedTo(newer, browser)),
      };
    }

    on.control?.('control: is not signed anew, and dead when the old secret goes', async () => {
      const applications: [Application, Application, Application] = [
        await on.handWired({ session: { secret: SECRET } }),
        await on.handWired({ session: { secret: [NEWER, SECRET] } }),
        await on.handWired({ session: { secret: NEWER } }),
      ];

      expect(await secretRotated(applications)).toMatchObject({ status: 200, setCookies: [], afterwards: false });
    });

    it('is signed anew on its next use, once, for the same session', async () => {
      const applications: [Application, Application, Application] = [
        await on.here({ options: { secret: SECRET } }),
        await on.here({ options: { secret: [NEWER, SECRET] } }),
        await on.here({ options: { secret: NEWER } }),
      ];

      const { setCookies, ...seen } = await secretRotated(applications);

      expect(seen).toEqual({ status: 200, again: [], sameId: true, afterwards: true });
      expect(setCookies).toEqual([
        expect.stringMatching(
          /^sid=s%3A[\w-]{28}\.[\w-]{43}\.[^;]+; Path=\/; Expires=[^;]+ GMT; HttpOnly; SameSite=Lax$/,
        ),
      ]);
    });

    it('comes with Cache-Control: no-store when it is signed anew', async () => {
      const old = await on.here({ options: { secret: SECRET } });
      const both = await on.here({ options: { secret: [NEWER, SECRET] } });
      const { headers } = await carriedTo(both, await old.loggedIn()).get('/public');

      expect(headers['cache-control']).toBe('no-store');
    });
  });

  it('the cookie of a login, of a rotation and of a logout differ in value and expiry alone', async () => {
    const application = await on.here({ options: { lifetime: { absolute: '24h', rotateEvery: '15m' } } });
    const browser = application.browser();
    // Until a day after the session's absolute limit.
    const expires = new Date(application.clock.now() + 48 * HOUR).toUTCString();
    const cookie = () => `sid=${browser.cookies.get('sid')!}; Path=/; Expires=${expires}; HttpOnly; SameSite=Lax`;

    expect((await browser.post('/login', { json: ADA })).setCookies).toEqual([cookie()]);
    const first = browser.cookies.get('sid');
    application.clock.advance('30m');
    expect((await browser.get('/me')).setCookies).toEqual([cookie()]);
    expect(browser.cookies.get('sid')).not.toBe(first);
    expect((await browser.post('/logout')).setCookies).toEqual([FORGOTTEN]);
    expect(await dataOf(browser)).toEqual({});
  });
});
