import { Body, Controller, Get, Param, Put, Req, UseGuards } from '@nestjs/common';
import {
  CurrentSession,
  type LifetimePreset,
  PassiveRoute,
  SessionAuthService,
  SessionGuard,
  type SessionInfo,
  SessionRegistry,
  type SessionRequest,
} from '../../lib/index.js';
import type { TestApplication, TestApplicationOptions } from '../support/application.js';
import type { Browser } from '../support/browser.js';
import { responseTo, cookieOf, idOf, put, sessionsIn } from '../support/devices.js';
import { eventually } from '../support/eventually.js';
import { describePlatforms, storesOn } from '../support/platforms.js';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const ADA = { username: 'ada', password: 'lovelace' };

@Controller()
@UseGuards(SessionGuard)
class AccountController {
  constructor(private readonly sessionAuth: SessionAuthService) {}

  @Get('remaining')
  @PassiveRoute()
  remaining(@Req() request: SessionRequest) {
    return this.sessionAuth.current(request);
  }
}

@Controller('widget')
@PassiveRoute()
@UseGuards(SessionGuard)
class WidgetController {
  @Get()
  show() {
    return {};
  }

  @Put(':key')
  keep(
    @CurrentSession() session: Record<string, unknown>,
    @Param('key') key: string,
    @Body() body: { value: unknown },
  ) {
    session[key] = body.value;
    return {};
  }
}

describePlatforms((platform) => {
  describe.each(storesOn(platform))('the life of a session, with sessions in %s', (where) => {
    const home = sessionsIn(where);
    let application: TestApplication;
    let begun: number;

    async function start(lifetime: NonNullable<TestApplicationOptions['options']>['lifetime']): Promise<void> {
      application = await home.start({ options: { lifetime }, controllers: [AccountController, WidgetController] });
      begun = application.clock.now();
    }

    const since = (time: Date | number) => Number(time) - begun;
    /** So long after the beginning, as a cookie's Expires tells it: in whole seconds. */
    const wholeSeconds = (time: number) => since(Math.floor((begun + time) / 1000) * 1000);
    const info = async (userId = '1'): Promise<SessionInfo> =>
      (await application.app.get(SessionRegistry).list(userId))[0]!;
    const expiry = (browser: Browser) => since(browser.cookies.find('sid')?.expires ?? NaN);

    /**
     * Uses the session every so often until it is refused.
     *
     * @returns how long it lived from now on, the reason, and what it said of its end at the most
     */
    async function useUntilTheEnd(browser: Browser, every: number, longest: number) {
      const from = application.clock.now();
      let latest = 0;
      for (;;) {
        const cookie = cookieOf(browser);
        application.clock.advance(every);
        const response = await responseTo(browser, cookie);
        const lived = application.clock.now() - from;
        if (response.status !== 200) return { lived, reason: response.reason, latest };
        if (lived > longest) throw new Error(`It lives on after ${lived} ms`);
        const end = Number((await info()).expiresAt); // Asked behind the write that notes the use.
        const ttl = where === 'redis' ? application.clock.now() + (await home.ttl(idOf(browser).handle)) : 0;
        latest = Math.max(latest, end, ttl);
      }
    }

    describe('of 10 minutes idle and an hour at the most', () => {
      const LIFETIME = { idle: '10m', absolute: '1h' } as const;

      it.each([
        ['never passes its absolute end however busy it is', false],
        ['is not prolonged by rotation', '15m'],
      ] as const)('%s', async (_, rotateEvery) => {
        await start({ ...LIFETIME, rotateEvery });
        const browser = await application.loggedIn();
        const { lived, reason, latest } = await useUntilTheEnd(browser, 5 * MINUTE, HOUR);

        expect({ lived, reason }).toEqual({ lived: HOUR, reason: 'expired' });
        expect(since(latest)).toBeLessThanOrEqual(HOUR);
        expect(since(latest)).toBeGreaterThan(HOUR - 1000);
        expect(expiry(browser)).toBe(wholeSeconds(HOUR + DAY));
        expect(application.events.filter(({ type }) => type === 'rotated')).toHaveLength(rotateEvery ? 2 : 0);
      });

      it('ends when it is not used, a day before its cookie would have lost the reason', async () => {
        await start(LIFETIME);
        const browser = await application.loggedIn();
        const cookie = cookieOf(browser);
        expect([expiry(browser), since((await info()).expiresAt)]).toEqual([wholeSeconds(HOUR + DAY), 10 * MINUTE]);
        application.clock.advance(10 * MINUTE - 1);
        expect(await responseTo(application, cookie)).toEqual({ status: 200 });
      });

      it.each([
        ['a login', (browser: Browser) => browser.post('/login', { json: ADA })],
        ['a step-up', (browser: Browser) => browser.post('/proof/step-up')],
      ])('begins anew with %s', async (_, renew) => {
        await start(LIFETIME);
        const browser = await application.loggedIn();
        for (let i = 0; i < 10; i++) {
          application.clock.advance('5m');
          await browser.get('/me');
        }
        expect((await renew(browser)).status).toBe(200);

        expect(since((await info()).createdAt)).toBe(50 * MINUTE);
        expect(await useUntilTheEnd(browser, 5 * MINUTE, HOUR)).toMatchObject({
          lived: HOUR,
          reason: 'expired',
        });
      });

      it('may be remembered for longer, through a step-up too, while others are not', async () => {
        await start(LIFETIME);
        const [remembered, other] = [await application.loggedIn(), await application.loggedIn('grace', 'hopper')];
        await remembered.post('/proof/none', { json: { remember: '30d' } });
        expect(expiry(remembered)).toBe(wholeSeconds(31 * DAY));
        const cookie = cookieOf(other);
        application.clock.advance('29d');
        expect((await remembered.get('/me')).status).toBe(200);
        expect(await responseTo(application, cookie)).toMatchObject({ status: 401 });
        await remembered.post('/proof/step-up');

        expect(since((await info()).expiresAt)).toBe(59 * DAY);
        expect(await useUntilTheEnd(remembered, 10 * DAY, 30 * DAY)).toMatchObject({
          lived: 30 * DAY,
          reason: 'expired',
        });
      });
    });

    it.each<[LifetimePreset, number, number, number]>([
      ['aal1', 30 * DAY, 30 * DAY, 5 * DAY],
      ['aal2', HOUR, 24 * HOUR, HOUR / 2],
      ['aal3', 15 * MINUTE, 12 * HOUR, 10 * MINUTE],
    ])('of the preset %s: %d ms unused, %d ms at the most', async (preset, idle, absolute, every) => {
      await start(preset);
      const browser = await application.loggedIn();
      expect(since((await info()).expiresAt)).toBe(idle);

      expect(await useUntilTheEnd(browser, every, absolute)).toMatchObject({ lived: absolute });
      const unused = await application.loggedIn();
      const cookie = cookieOf(unused);
      application.clock.advance(idle);
      expect(await responseTo(application, cookie)).toMatchObject({ status: 401 });
    });

    describe('on a passive route', () => {
      let browser: Browser;

      beforeEach(async () => {
        await start({ idle: '10m', absolute: '1h' });
        browser = await application.loggedIn();
      });

      it.each(['/remaining', '/widget'])('is not prolonged: it ends unused though %s is polled', async (path) => {
        const cookie = cookieOf(browser);
        const before = await info();
        for (let minute = 1; minute < 10; minute++) {
          application.clock.advance('1m');
          const { status, setCookies } = await browser.get(path);
          expect([status, setCookies]).toEqual([200, []]);
        }
        expect(await info()).toEqual(before);
        application.clock.advance('1m');

        expect(await responseTo(application, cookie, path)).toEqual({ status: 401, reason: 'expired' });
      });

      it('tells its caller when it ends, the same each time', async () => {
        const ends: number[] = [];
        for (let minute = 0; minute < 10; minute++) {
          ends.push(since(Date.parse((await browser.get('/remaining')).json<{ expiresAt: string }>().expiresAt)));
          application.clock.advance('1m');
        }

        expect(new Set(ends)).toEqual(new Set([10 * MINUTE]));
      });

      it('is prolonged by a request to any other, meanwhile', async () => {
        application.clock.advance('9m');
        await browser.get('/remaining');
        await browser.get('/me');
        await eventually('the use to be written', async () => since((await info()).seenAt) === 9 * MINUTE);
        application.clock.advance('9m');

        expect((await browser.get('/widget')).status).toBe(200);
      });

      it('is saved with what was written there, and ends as before', async () => {
        const before = await info();
        application.clock.advance('9m');
        const response = await browser.request('PUT', '/widget/seen', { json: { value: [1] } });

        expect([response.status, response.setCookies]).toEqual([200, []]);
        expect(await info()).toEqual(before);
        if (where === 'redis') expect(await home.ttl(idOf(browser).handle)).toBeLessThanOrEqual(MINUTE);
        expect((await browser.get('/session')).json()).toEqual({ seen: [1] });
      });

      it('ends as before, too, where it shows a new secret', async () => {
        application.clock.advance('9m');
        await put(browser, 'used', 1);
        application.clock.advance('7m');
        const responses = [await browser.get('/remaining'), await browser.get('/remaining')];

        expect(responses.map(({ setCookies }) => setCookies.length)).toEqual([1, 0]);
        expect(application.events.at(-1)?.type).toBe('rotated');
        expect([since((await info()).expiresAt), expiry(browser)]).toEqual([19 * MINUTE, wholeSeconds(HOUR + DAY)]);
      });
    });
  });

  describe('a passive route, with sessions in Redis', () => {
    const home = sessionsIn('redis');

    it('costs one command that reads, and none that writes', async () => {
      const application = await home.start({ controllers: [WidgetController] });
      const browser = await application.loggedIn();
      const monitor = await home.monitor();
      application.clock.advance('14m');
      const polled = await monitor.during(() => browser.get('/widget'));
      const used = await monitor.during(async () => {
        await browser.get('/me');
        const lastSeen = async () => (await application.app.get(SessionRegistry).list('1'))[0]?.seenAt.getTime();
        await eventually('the use to be written', async () => (await lastSeen()) === application.clock.now());
      });
      monitor.stop();

      expect(polled.map(({ name }) => name)).toEqual(['get']);
      expect(used.map(({ name }) => name)).toContain('setrange');
    });
  });
});
