import {
  Controller,
  type ExecutionContext,
  Get,
  HttpException,
  HttpStatus,
  Injectable,
  UseGuards,
} from '@nestjs/common';
import { sign } from 'cookie-signature';
import type { Response } from 'express';
import { PassiveRoute, SessionGuard, SessionRegistry, UnauthenticatedException } from '../../lib/index.js';
import { newAnonymousSessionId, newSecret, newUserSessionId } from '../../lib/model/session-id.js';
import type { TestApplication } from '../support/application.js';
import type { Browser } from '../support/browser.js';
import { responseTo, cookieFor, cookieOf, idOf, keyOf, put, sessionsIn } from '../support/devices.js';
import { eventually } from '../support/eventually.js';
import { describePlatforms, storesOn } from '../support/platforms.js';

const ADA = { username: 'ada', password: 'lovelace' };
const GRACE = { username: 'grace', password: 'hopper' };
const HOUR = 3_600_000;
const DAY = 24 * HOUR;
/** A cookie's end is told in whole seconds. */
const toSecond = (time: number) => Math.floor(time / 1000) * 1000;

/** Sends who is not logged in to the login page, which can say why. */
@Injectable()
class RedirectingGuard extends SessionGuard {
  protected override handleDenied(reason: HttpException, context: ExecutionContext): Promise<boolean> {
    const why = reason instanceof UnauthenticatedException ? reason.reason : 'nobody knows';
    context.switchToHttp().getResponse<Response>().header('Location', `/login?reason=${why}`);
    return Promise.reject(new HttpException('', HttpStatus.FOUND));
  }
}

@Controller()
class PagesController {
  @Get('page')
  @UseGuards(RedirectingGuard)
  page() {
    return {};
  }

  @Get('polled')
  @UseGuards(SessionGuard)
  @PassiveRoute()
  polled() {
    return {};
  }
}

describePlatforms((platform) => {
  describe.each(storesOn(platform))('who was signed out is told why, with sessions in %s:', (where) => {
    const home = sessionsIn(where);
    let application: TestApplication;
    let registry: SessionRegistry;
    let browser: Browser;
    let cookie: string;

    beforeEach(async () => {
      application = await home.start({
        options: { lifetime: { idle: '1h', absolute: '3h' }, maxSessions: { limit: 2 } },
        controllers: [PagesController],
      });
      registry = application.app.get(SessionRegistry);
      browser = await application.loggedIn();
      cookie = cookieOf(browser);
    });

    const why = () => responseTo(application, cookie);
    const out = (reason?: string) => ({ status: 401, ...(reason !== undefined && { reason }) });

    it.each<[string, string, () => unknown]>([
      ['revoked', 'revoked', () => registry.revoke('1', idOf(browser).handle)],
      ['revoked with all others', 'revoked', () => registry.revokeAll('1')],
      ['disabled', 'revoked', () => registry.userDisabled('1')],
      ['revoked with everybody', 'revoked', () => registry.revokeEveryone()],
      ['signed out by new credentials', 'credentials_changed', () => registry.credentialsChanged('1')],
      [
        'over the limit',
        'limit',
        async () => {
          application.clock.advance(1);
          await application.loggedIn();
          await application.loggedIn();
        },
      ],
      ['logged out', 'logged_out', () => browser.post('/logout')],
      ['logged in again on the same browser', 'logged_out', () => browser.post('/login', { json: ADA })],
      ['replaced by another user', 'logged_out', () => browser.post('/login', { json: GRACE })],
    ])('%s: %s, and only to the holder of the cookie', async (_, reason, end) => {
      const id = idOf(browser);
      expect(await why()).toEqual({ status: 200 });
      await end();
      const another = cookieFor({ ...id, secret: newSecret() });
      const foreign = sign(`${id.handle}.${id.secret}`, 'another signing secret altogether');
      const forged = `sid=${encodeURIComponent(`s:${foreign}`)}`;
      const unsigned = `sid=${encodeURIComponent(`s:${id.handle}.${id.secret}`)}`;

      for (const wrong of [another, forged, unsigned, cookieFor(newAnonymousSessionId()), `sid=${id.handle}`]) {
        expect(await responseTo(application, wrong)).toEqual(out());
      }
      expect([await why(), await why()]).toEqual([out(reason), out(reason)]);
    });

    it('unused: expired, to whoever shows a cookie that was signed here', async () => {
      const { handle, secret } = idOf(browser);
      application.clock.advance('1h');
      const foreign = sign(`${handle}.${secret}`, 'another signing secret altogether');
      const forged = `sid=${encodeURIComponent(`s:${foreign}`)}`;

      expect([await why(), await why()]).toEqual([out('expired'), out('expired')]);
      expect(await responseTo(application, cookieFor({ handle, secret: newSecret() }))).toEqual(out('expired'));
      expect(await responseTo(application, cookieFor(newUserSessionId('1')))).toEqual(out('expired'));
      expect(await responseTo(application, cookieFor(newAnonymousSessionId()))).toEqual(out());
      expect(await responseTo(application, forged)).toEqual(out());
    });

    it('used all the while, up to the absolute limit: expired', async () => {
      for (let minutes = 0; minutes < 180; minutes += 45) {
        expect(await responseTo(browser, cookieOf(browser))).toEqual({ status: 200 });
        cookie = cookieOf(browser);
        const seenAt = async () => (await registry.list('1'))[0]?.seenAt.getTime();
        await eventually('the use to be written down', async () => (await seenAt()) === application.clock.now());
        application.clock.advance('45m');
      }

      expect(await why()).toEqual(out('expired'));
    });

    it('with the cookie that is still there, until a day after the absolute limit', async () => {
      const absoluteEnd = application.clock.now() + 3 * HOUR;
      expect(browser.cookies.find('sid')?.expires).toBe(toSecond(absoluteEnd + DAY));
      application.clock.advance('30m');
      await browser.get('/me');
      application.clock.advance(absoluteEnd + DAY - application.clock.now() - 1_000);

      const told = await browser.get('/me');
      expect(told.json()).toEqual({
        statusCode: 401,
        code: 'unauthenticated',
        message: 'Your session has expired.',
        reason: 'expired',
      });
      expect(told.setCookies).toEqual([]);
      application.clock.advance(1_000);
      expect(browser.cookies.size).toBe(0);
      expect((await browser.get('/me')).json()).toEqual({
        statusCode: 401,
        code: 'unauthenticated',
        message: 'You are not logged in.',
      });
    });

    it('unless their session was an anonymous one, whose cookie goes with it', async () => {
      const visitor = application.browser();
      await put(visitor, 'color', 'blue');
      const anonymous = cookieOf(visitor);
      expect(visitor.cookies.find('sid')?.expires).toBe(toSecond(application.clock.now() + 3 * HOUR));
      application.clock.advance('1h');

      expect(await responseTo(visitor, anonymous)).toEqual(out());
      expect((await visitor.get('/session')).json()).toEqual({});
      application.clock.advance('2h');
      expect(visitor.cookies.size).toBe(0);
      expect(await responseTo(application, anonymous)).toEqual(out());
    });

    it('reuse_detected, to the holder of the copy and of the true cookie', async () => {
      application.clock.advance('16m');
      await browser.get('/me');
      await browser.get('/me');
      application.clock.advance('31s');

      expect(await why()).toEqual(out('reuse_detected'));
      expect(await responseTo(application, cookieOf(browser))).toEqual(out('reuse_detected'));
      expect(await why()).toEqual(out('reuse_detected'));
    });

    it('with words that a page can show', async () => {
      await registry.revoke('1', idOf(browser).handle);

      expect((await browser.get('/me')).json()).toEqual({
        statusCode: 401,
        code: 'unauthenticated',
        message: 'Your session was ended.',
        reason: 'revoked',
      });
    });

    it('whichever of its secrets they hold, where it has rotated', async () => {
      application.clock.advance('16m');
      await browser.get('/me');
      const offered = cookieOf(browser);
      await browser.post('/logout', { headers: { cookie } });

      expect(offered).not.toBe(cookie);
      expect([await why(), await responseTo(application, offered)]).toEqual([out('logged_out'), out('logged_out')]);
    });

    it('to a guard of the application, which can redirect by it', async () => {
      await registry.revoke('1', idOf(browser).handle);
      const visits = [await browser.get('/page'), await application.browser().get('/page')];

      expect(visits.map(({ status, headers }) => [status, headers.location])).toEqual([
        [302, '/login?reason=revoked'],
        [302, '/login?reason=undefined'],
      ]);
    });

    it('for a day, and from then on that it has expired', async () => {
      const { handle } = idOf(browser);
      await registry.revoke('1', handle);
      if (where === 'redis') {
        const ttl = await home.ttl(handle);
        expect([ttl > DAY - 60_000, ttl <= DAY]).toEqual([true, true]);
        await home.client.pExpire(keyOf(handle), 1);
        await eventually('Redis to forget', async () => (await home.ttl(handle)) === -2);
      } else {
        application.clock.advance(DAY - 1);
        expect(await why()).toEqual(out('revoked'));
        application.clock.advance(1);
      }

      expect(await why()).toEqual(out('expired'));
    });
  });

  describe('what Redis remembers of a session that has reached', () => {
    const home = sessionsIn('redis');

    it.each([
      ['its idle limit', 30, 90],
      ['its absolute limit, which its use has brought nearer', 150, 180],
    ])('%s is nothing, and its browser is told that it has expired', async (_, usedUntil, asked) => {
      const application = await home.start({
        options: { lifetime: { idle: '1h', absolute: '3h', rotateEvery: false } },
      });
      const browser = await application.loggedIn();
      const { handle } = idOf(browser);
      const [index] = (await home.keys()).filter((key) => key !== keyOf(handle));
      for (let minutes = 30; minutes <= usedUntil; minutes += 30) {
        application.clock.advance('30m');
        expect(await responseTo(browser, cookieOf(browser))).toEqual({ status: 200 });
      }
      const left = (asked - usedUntil) * 60_000;
      const lastSeen = async () => (await application.app.get(SessionRegistry).list('1'))[0]?.seenAt.getTime();
      await eventually('the use to be written', async () => (await lastSeen()) === application.clock.now());
      expect(await home.keys()).toEqual([index, keyOf(handle)].sort());
      // Redis's own clock has stood still: what was to live until the same time at an earlier request has longer to live.
      for (const [key, longest] of [
        [keyOf(handle), left],
        [index!, HOUR],
      ] as const) {
        const ttl = await home.client.pTTL(key);
        expect([key, ttl > left - 10_000, ttl <= longest]).toEqual([key, true, true]);
        await home.client.pExpire(key, 1);
      }
      await eventually('the keys to expire', async () => (await home.keys()).length === 0);
      application.clock.advance(left);

      expect(await responseTo(browser, cookieOf(browser))).toEqual({ status: 401, reason: 'expired' });
      expect(await home.keys()).toEqual([]);
    });
  });
});
