import ms from 'ms';
import { SessionRegistry } from '../../lib/index.js';
import { SECRET, type TestApplication } from '../support/application.js';
import type { BrowserResponse, Browser } from '../support/browser.js';
import { eventually } from '../support/eventually.js';
import { Gates } from '../support/gate.js';
import { describePlatforms, placesOn } from '../support/platforms.js';
import { RedisDeployment } from '../support/redis-deployment.js';
import { ROTATING, rotatingApplication } from '../support/rotating-application.js';
import { eventsOf, expectSignedIn, idIn, idsSetBy, recordOf, shownBy, signed } from '../support/rotating-browser.js';

type Current = Record<'handle' | 'createdAt' | 'authenticatedAt' | 'seenAt' | 'expiresAt', string>;
const OLDER_SECRET = 'an older secret that is only good for tests';

describePlatforms((platform) => {
  describe.each(placesOn(platform))('rotation of the secret, with sessions in %s', (where) => {
    let redis: RedisDeployment | undefined;
    let application: TestApplication;
    const closers: (() => unknown)[] = [];

    beforeAll(async () => {
      redis = await RedisDeployment.startIn(where);
      application = await rotatingApplication({
        options: { redis: redis?.options, secret: [SECRET, OLDER_SECRET] },
      });
    });

    afterEach(async () => {
      for (const close of closers.splice(0).reverse()) await close();
    });

    afterAll(async () => {
      await application.close();
      await redis?.stop();
    });

    /** An application whose sessions live otherwise. */
    async function withLifetime(lifetime: object): Promise<TestApplication> {
      const started = await rotatingApplication({
        options: { redis: redis?.options, lifetime: { ...ROTATING, ...lifetime } },
      });
      closers.push(() => started.close());
      return started;
    }

    const put = (browser: Browser, key: string, value: unknown = true) =>
      browser.request('PUT', `/session/${key}`, { json: { value } });
    const stored = async (browser: Browser) => (await browser.get('/session')).json();

    /** Until a new secret is due, is offered, and has taken over. */
    async function rotate(browser: Browser): Promise<void> {
      application.clock.advance('15m');
      await expectSignedIn(browser, 1);
      await expectSignedIn(browser);
    }

    it('changes nothing before its time', async () => {
      const browser = await application.loggedIn();
      const id = shownBy(browser);
      const before = await recordOf(application, id);
      application.clock.advance(ms('15m') - 1);
      await expectSignedIn(browser);

      expect(await recordOf(application, id)).toEqual(before);
      application.clock.advance(1);
      await expectSignedIn(browser, 1);
    });

    it('brings a new cookie of the same handle with the next response, which is not to be cached', async () => {
      const browser = await application.loggedIn();
      const before = shownBy(browser);
      application.clock.advance('15m');
      const { setCookies, headers } = await expectSignedIn(browser, 1);

      const offered = idIn(setCookies[0]);
      expect(offered.handle).toBe(before.handle);
      expect(offered.secret).not.toBe(before.secret);
      expect(setCookies[0]).toMatch(/; Path=\/; .*HttpOnly; SameSite=Lax/);
      expect(headers['cache-control']).toBe('no-store');
      await expectSignedIn(browser);
    });

    it('keeps the handle, the login, the data and the absolute limit, however often', async () => {
      const browser = await application.loggedIn();
      await put(browser, 'cart', ['tea', {}, []]);
      const { handle } = shownBy(browser);
      const before = (await browser.get('/current')).json<Current>();
      const secrets = new Set<string>();
      for (let quarter = 1; quarter < 24 * 4; quarter++) {
        await rotate(browser);
        secrets.add(shownBy(browser).secret);
      }

      expect(secrets.size).toBe(24 * 4 - 1);
      const { createdAt, authenticatedAt, ...after } = (await browser.get('/current')).json<Current>();
      expect({ createdAt, authenticatedAt, handle }).toEqual({
        createdAt: before.createdAt,
        authenticatedAt: before.createdAt,
        handle: after.handle,
      });
      expect(Date.parse(after.expiresAt)).toBe(Date.parse(before.createdAt) + ms('24h'));
      expect((await application.app.get(SessionRegistry).list('1')).map((info) => info.handle)).toContain(handle);
      expect(await stored(browser)).toEqual({ cart: ['tea', {}, []] });

      const cookie = `sid=${signed(shownBy(browser))}`;
      application.clock.advance('15m');
      expect((await browser.get('/me', { headers: { cookie } })).json()).toMatchObject({ reason: 'expired' });
    });

    it('is reported once, when the new secret is promoted', async () => {
      const browser = await application.loggedIn();
      const old = browser.fork();
      const id = shownBy(browser);
      application.clock.advance('15m');
      await browser.get('/me');
      expect(eventsOf(application, id)).toEqual(['logged-in']);

      await browser.get('/me');
      expect(eventsOf(application, id)).toEqual(['logged-in', 'rotated']);
      await old.get('/me');
      await browser.get('/me');
      expect(eventsOf(application, id)).toEqual(['logged-in', 'rotated']);
      expect(application.events.at(-1)).toMatchObject({ userId: '1', handle: id.handle });
    });

    it('leaves the old secret good for the grace, counted from the promotion, and offers its holder none', async () => {
      const browser = await application.loggedIn();
      const old = browser.fork();
      application.clock.advance('15m');
      await browser.get('/me');
      application.clock.advance('10m'); // Nobody has shown the new one: the old one is as good as ever.
      const late = old.fork();
      await expectSignedIn(late, 1);

      await browser.get('/me');
      application.clock.advance(ms('30s') - 1);
      await expectSignedIn(old);
      await expectSignedIn(browser);
    });

    it('keeps what is written by the request that gets the offer, and by the one that first shows it', async () => {
      const browser = await application.loggedIn();
      application.clock.advance('15m');
      expect(idsSetBy(await put(browser, 'with-offer'))).toHaveLength(1);
      expect(idsSetBy(await put(browser, 'with-promotion'))).toEqual([]);

      expect(await stored(browser)).toEqual({ 'with-offer': true, 'with-promotion': true });
      expect(eventsOf(application, shownBy(browser))).toEqual(['logged-in', 'rotated']);
    });

    it('concerns anonymous sessions with data as well', async () => {
      const browser = application.browser();
      await put(browser, 'color', 'blue');
      const before = shownBy(browser);
      application.clock.advance('15m');
      await browser.get('/session');
      const after = shownBy(browser);

      expect(after).toEqual({ handle: before.handle, secret: expect.not.stringContaining(before.secret) });
      expect(await stored(browser)).toEqual({ color: 'blue' });
      expect(eventsOf(application, before)).toEqual(['rotated']);
      expect((await browser.get('/public')).setCookies).toEqual([]);
    });

    it('never happens with rotateEvery: false', async () => {
      const steady = await withLifetime({ idle: '24h', rotateEvery: false });
      const browser = await steady.loggedIn();
      const before = shownBy(browser);
      for (let hour = 1; hour < 24; hour++) {
        steady.clock.advance('1h');
        await expectSignedIn(browser);
      }

      expect(shownBy(browser)).toEqual(before);
      expect(eventsOf(steady, before)).toEqual(['logged-in']);
    });

    it('signs with the first of several secrets, and a cookie that an older one signed goes through it', async () => {
      const browser = await application.loggedIn();
      application.clock.advance('15m');
      browser.cookies.set('sid', signed(shownBy(browser), OLDER_SECRET));
      const byOlder = browser.fork();
      await expectSignedIn(browser, 1);
      expect(browser.cookies.get('sid')).toBe(signed(shownBy(browser)));

      const again = byOlder.fork();
      await expectSignedIn(again, 1); // The same offer.
      expect(shownBy(again)).toEqual(shownBy(browser));
      browser.cookies.set('sid', signed(shownBy(browser), OLDER_SECRET));
      await expectSignedIn(browser, 1);
      expect(browser.cookies.get('sid')).toBe(signed(shownBy(browser)));
      await expectSignedIn(byOlder);
      expect(eventsOf(application, shownBy(browser))).toEqual(['logged-in', 'rotated']);
    });

    it.each<[string, (browser: Browser) => Promise<BrowserResponse>, number]>([
      ['a HEAD', (browser) => browser.request('HEAD', '/me'), 200],
      ['a 304', (browser) => browser.get('/me', { headers: { 'if-none-match': '*' } }), 304],
      ['a 404', (browser) => browser.get('/nowhere'), 404],
      ['a redirect', (browser) => browser.get('/responses/redirect'), 302],
      ['a streamed response', (browser) => browser.get('/responses/stream'), 200],
      ['a response with its head written by hand', (browser) => browser.get('/responses/head-first'), 200],
      ['an error', (browser) => browser.get('/responses/error'), 500],
    ])('goes with %s', async (_, ask, status) => {
      const browser = await application.loggedIn();
      const before = shownBy(browser);
      application.clock.advance('15m');
      const response = await ask(browser);

      expect(response.status).toBe(status);
      expect(response.headers['cache-control']).toBe('no-store');
      expect(idsSetBy(response)).toEqual([
        { handle: before.handle, secret: expect.not.stringContaining(before.secret) },
      ]);
      await expectSignedIn(browser);
      expect(eventsOf(application, before)).toEqual(['logged-in', 'rotated']);
    });

    it('offers nothing with the end of a stream whose head has long gone', async () => {
      const browser = await application.loggedIn();
      const { body } = await browser.open('GET', '/slow/stream/over-the-quarter');
      application.clock.advance('15m');
      application.app.get(Gates).named('over-the-quarter').open();
      await eventually('the stream to end', () => body.resume().readableEnded);

      await expectSignedIn(browser, 1);
    });

    it('comes with what a page polls, which extends nothing', async () => {
      const browser = await application.loggedIn();
      const { seenAt, expiresAt } = (await browser.get('/current')).json<Current>();
      application.clock.advance('15m');
      expect(idsSetBy(await browser.get('/passive'))).toHaveLength(1);
      expect(browser.cookies.find('sid')?.expires).toBe(cookieEnd(application, ms('15m')));
      await browser.request('PUT', '/passive/polls');
      expect(eventsOf(application, shownBy(browser))).toEqual(['logged-in', 'rotated']);
      application.clock.advance('15m');
      expect(idsSetBy(await browser.request('PUT', '/passive/polls'))).toHaveLength(1);
      await browser.request('PUT', '/passive/polls');

      const [listed] = await application.app
        .get(SessionRegistry)
        .list('1')
        .then(ofHandle(shownBy(browser).handle));
      expect([listed?.seenAt, listed?.expiresAt].map((date) => date?.toISOString())).toEqual([seenAt, expiresAt]);
      application.clock.advance('90m');
      expect((await browser.get('/me')).status).toBe(401);
    });

    it('writes activity down in the same step', async () => {
      const busy = await withLifetime({ touchEvery: '5m' });
      const monitor = await redis?.monitor();
      closers.push(() => monitor?.stop());
      const browser = await busy.loggedIn();
      const id = shownBy(browser);
      busy.clock.advance('15m');
      const commands = await monitor?.during(() => expectSignedIn(browser, 1));
      if (monitor === undefined) await expectSignedIn(browser, 1);

      expect(await recordOf(busy, id)).toMatchObject({ seenAt: busy.clock.now() });
      expect(browser.cookies.find('sid')?.expires).toBe(cookieEnd(busy, ms('15m')));
      if (commands) {
        const outside = commands.filter(({ inScript }) => !inScript).map(({ name }) => name.replace(/sha$/, ''));
        expect([...new Set(outside)]).toEqual(['get', 'eval']);
      }
    });

    const inRedis = where === 'memory' ? undefined : it;

    inRedis?.('costs Redis nothing while it is not due, and one script for each response with the offer', async () => {
      const monitor = await redis!.monitor();
      closers.push(() => monitor.stop());
      const asked = async (browser: Browser) => {
        const commands = await monitor.during(() => browser.get('/me'));
        return commands.filter(({ inScript }) => !inScript).map(({ name }) => name);
      };
      const browser = await application.loggedIn();
      await rotate(browser); // The scripts are known to the server by now.
      const old = browser.fork();

      expect(await asked(browser)).toEqual(['get']);
      application.clock.advance('15m');
      expect(await asked(browser)).toEqual(['get', 'evalsha']);
      expect(await asked(old.fork())).toEqual(['get', 'evalsha']);
      expect(await asked(browser)).toEqual(['get', 'evalsha']);
      expect(await asked(browser)).toEqual(['get']);
      expect(await asked(old)).toEqual(['get']);
    });
  });
});

/** The end of the cookie of a login of so long ago: 24 h after the absolute limit, in whole seconds. */
function cookieEnd({ clock }: TestApplication, ago: number): number {
  return Math.floor((clock.now() - ago + ms('48h')) / 1000) * 1000;
}

const ofHandle =
  (handle: string) =>
  <T extends { handle: string }>(all: T[]): T[] =>
    all.filter((one) => one.handle === handle);
