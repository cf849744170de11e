import { type MaxSessionsOptions, SessionRegistry } from '../../lib/index.js';
import type { TestApplication } from '../support/application.js';
import type { Browser } from '../support/browser.js';
import { responseTo, cookieOf, handlesIn, idIn, idOf, put, sessionsIn } from '../support/devices.js';
import { eventually } from '../support/eventually.js';
import { describePlatforms, placesOn } from '../support/platforms.js';

const ADA = { username: 'ada', password: 'lovelace' };
const GRACE = { username: 'grace', password: 'hopper' };
const EVICTED = { status: 401, reason: 'limit' };
const OPEN = { status: 200 };

describePlatforms((platform) => {
  describe.each(placesOn(platform))('a limit of sessions, with sessions in %s', (where) => {
    const home = sessionsIn(where);
    let application: TestApplication;

    async function start(limit: number, overflow?: MaxSessionsOptions['overflow']): Promise<void> {
      application = await home.start({
        options: { maxSessions: { limit, ...(overflow && { overflow }) } },
      });
    }

    const login = (browser: Browser, json = ADA) => browser.post('/login', { json });
    const count = (userId: string) => application.app.get(SessionRegistry).count(userId);
    const visit = (browser: Browser) => responseTo(application, cookieOf(browser));
    const types = () => application.events.map(({ type }) => type);

    /** Uses the session, until that has been written down. */
    async function use(browser: Browser): Promise<void> {
      await browser.get('/me');
      const at = application.clock.now();
      const seen = async () =>
        (await application.app.get(SessionRegistry).list('1')).find(({ handle }) => handle === idOf(browser).handle)
          ?.seenAt;
      await eventually('the session to be seen', async () => (await seen())?.getTime() === at);
    }

    /** So many browsers on which Ada has logged in, a minute after one another. */
    async function loggedIn(howMany: number): Promise<Browser[]> {
      const browsers: Browser[] = [];
      while (browsers.length < howMany) {
        browsers.push(await application.loggedIn());
        application.clock.advance('1m');
      }
      return browsers;
    }

    describe('that has the oldest make room', () => {
      it('ends the session that was used least lately, not the one that is oldest', async () => {
        await start(3);
        const [first, second, third] = (await loggedIn(3)) as [Browser, Browser, Browser];
        application.clock.advance('10m');
        await use(first);
        const fourth = await application.loggedIn();

        expect(await Promise.all([first, second, third, fourth].map(visit))).toEqual([OPEN, EVICTED, OPEN, OPEN]);
        expect(await count('1')).toBe(3);
      });

      it('goes by use also where another session is remembered for longer', async () => {
        await start(2);
        const remembered = application.browser();
        await remembered.post('/proof/none', { json: { user: { id: '1', name: 'Ada' }, remember: '30d' } });
        application.clock.advance('1m');
        const [second, third] = (await loggedIn(2)) as [Browser, Browser];

        expect(await Promise.all([remembered, second, third].map(visit))).toEqual([EVICTED, OPEN, OPEN]);
      });

      it('reports who had to go before it reports who came', async () => {
        await start(1);
        const first = await application.loggedIn();
        const second = await application.loggedIn();
        const at = new Date(application.clock.now());
        const device = { ip: '127.0.0.1' };

        expect(application.events).toEqual([
          { type: 'logged-in', at, userId: '1', handle: idOf(first).handle, strategy: 'local', device },
          { type: 'revoked', at, userId: '1', handle: idOf(first).handle, reason: 'limit' },
          { type: 'logged-in', at, userId: '1', handle: idOf(second).handle, strategy: 'local', device },
        ]);
      });

      it('does not count the session that a login of the same browser replaces', async () => {
        await start(2);
        const [first, second] = (await loggedIn(2)) as [Browser, Browser];
        const before = cookieOf(second);
        await login(second);

        expect(await Promise.all([first, second].map(visit))).toEqual([OPEN, OPEN]);
        expect(await responseTo(application, before)).toEqual({ status: 401, reason: 'logged_out' });
        expect(types()).not.toContain('revoked');
      });

      it('counts neither what has expired nor what was logged out', async () => {
        await start(2);
        const [first] = (await loggedIn(1)) as [Browser];
        application.clock.advance('50m');
        const [second, third] = (await loggedIn(2)) as [Browser, Browser];
        expect(await visit(first)).toEqual(EVICTED);
        await third.post('/logout');
        const fourth = await application.loggedIn();
        expect(await Promise.all([second, fourth].map(visit))).toEqual([OPEN, OPEN]);
        application.clock.advance('61m');
        await loggedIn(2);

        expect(types().filter((type) => type === 'revoked')).toHaveLength(1);
        expect(await count('1')).toBe(2);
      });

      it('holds for each user by themselves, and not for anonymous sessions', async () => {
        await start(1);
        const [ada, grace, visitor] = [await application.loggedIn(), application.browser(), application.browser()];
        await put(visitor, 'color', 'blue');
        await login(grace, GRACE);

        expect(await Promise.all([ada, grace].map(visit))).toEqual([OPEN, OPEN]);
        expect((await visitor.get('/session')).json()).toEqual({ color: 'blue' });
      });
    });

    describe('that rejects one more', () => {
      beforeEach(() => start(1, 'reject'));

      it('responds 409, sets no cookie and stores nothing', async () => {
        const first = await application.loggedIn();
        const second = application.browser();
        const response = await login(second);

        expect(response.status).toBe(409);
        expect(response.json()).toEqual({
          statusCode: 409,
          code: 'too_many_sessions',
          message: expect.stringContaining('too many devices'),
        });
        expect([response.setCookies, second.cookies.size]).toEqual([[], 0]);
        expect(await handlesIn(application)).toEqual([idOf(first).handle]);
        expect(await visit(first)).toEqual(OPEN);
        expect(types()).toEqual(['logged-in', 'login-failed']);
      });

      it("leaves the session of the browser that is turned away as it was, another user's too", async () => {
        await application.loggedIn();
        const [visitor, grace] = [application.browser(), application.browser()];
        await put(visitor, 'color', 'blue');
        await login(grace, GRACE);
        await put(grace, 'cart', [1]);

        expect([(await login(visitor)).status, (await login(grace)).status]).toEqual([409, 409]);
        expect((await visitor.get('/session')).json()).toEqual({ color: 'blue' });
        expect((await grace.get('/session')).json()).toEqual({ cart: [1] });
        expect((await grace.get('/me')).json()).toEqual({ id: '2', name: 'Grace' });
      });

      it('lets the same browser log in again, and step up', async () => {
        const browser = await application.loggedIn();

        expect((await login(browser)).status).toBe(200);
        expect((await browser.post('/proof/step-up')).status).toBe(200);
        expect(await visit(browser)).toEqual(OPEN);
        expect(await count('1')).toBe(1);
        expect(types()).toEqual(['logged-in', 'logged-out', 'logged-in', 'reauthenticated']);
      });

      it('lets in the next one once there is room again', async () => {
        const browser = await application.loggedIn();
        await browser.post('/logout');
        await application.loggedIn();
        application.clock.advance('61m');
        await application.loggedIn();
        expect(await application.app.get(SessionRegistry).revokeAll('1')).toBe(1);

        expect((await login(application.browser())).status).toBe(200);
      });
    });
  });

  describe('a limit that was lowered', () => {
    const home = sessionsIn('redis');

    it('is reached with the next login', async () => {
      const before = await home.start({ options: { maxSessions: { limit: 5 } } });
      const cookies: string[] = [];
      for (let i = 0; i < 5; i++) {
        cookies.push(cookieOf(await before.loggedIn()));
        before.clock.advance('1m');
      }
      const after = await home.start({ options: { maxSessions: { limit: 2 } }, clock: before.clock });
      const last = await after.loggedIn();

      expect(await Promise.all([...cookies, cookieOf(last)].map((cookie) => responseTo(after, cookie)))).toEqual([
        ...[1, 2, 3, 4].map(() => EVICTED),
        OPEN,
        OPEN,
      ]);
    });

    it('spares nobody in place of the session that a login replaces', async () => {
      const before = await home.start({ options: { maxSessions: { limit: 5 } } });
      const browsers: Browser[] = [];
      for (let i = 0; i < 3; i++) {
        browsers.push(await before.loggedIn());
        before.clock.advance('1m');
      }
      const cookies = browsers.map(cookieOf);
      const after = await home.start({ options: { maxSessions: { limit: 1 } }, clock: before.clock });
      const response = await after.browser().post('/login', { json: ADA, headers: { cookie: cookies[0] } });

      expect(await Promise.all(cookies.map((cookie) => responseTo(after, cookie)))).toEqual([
        { status: 401, reason: 'logged_out' },
        EVICTED,
        EVICTED,
      ]);
      expect(await handlesIn(after)).toEqual([idIn(response.setCookies[0] ?? '').handle]);
    });
  });
});
