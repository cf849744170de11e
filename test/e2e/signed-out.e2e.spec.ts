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
import { newSecret, newSessionId } from '../../lib/session/session-id.js';
import type { TestApplication } from '../support/application.js';
import type { Browser } from '../support/browser.js';
import { responseTo, cookieFor, cookieOf, idOf, sessionsIn } from '../support/devices.js';
import { eventually } from '../support/eventually.js';

const ADA = { username: 'ada', password: 'lovelace' };
const GRACE = { username: 'grace', password: 'hopper' };
const DAY = 24 * 3600_000;

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

describe.each(['memory', 'redis'])('who was signed out is told why, with sessions in %s:', (where) => {
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
    ['stepped up', 'logged_out', () => browser.post('/proof/step-up')],
  ])('%s: %s, and only to the holder of the cookie', async (_, reason, end) => {
    const id = idOf(browser);
    expect(await why()).toEqual({ status: 200 });
    await end();
    const another = cookieFor({ ...id, secret: newSecret().secret });
    const foreign = sign(`${id.handle}.${id.secret}`, 'another signing secret altogether');
    const forged = `sid=${encodeURIComponent(`s:${foreign}`)}`;
    const unsigned = `sid=${encodeURIComponent(`s:${id.handle}.${id.secret}`)}`;

    for (const wrong of [another, forged, unsigned, cookieFor(newSessionId()), `sid=${id.handle}`]) {
      expect(await responseTo(application, wrong)).toEqual(out());
    }
    expect([await why(), await why()]).toEqual([out(reason), out(reason)]);
  });

  it('unused: idle_timeout, and only to the holder of the cookie', async () => {
    const { handle } = idOf(browser);
    application.clock.advance('1h');

    expect(await responseTo(application, cookieFor({ handle, secret: newSecret().secret }))).toEqual(out());
    expect(await why()).toEqual(out('idle_timeout'));
  });

  it('absolute_timeout', async () => {
    for (let minutes = 0; minutes < 180; minutes += 45) {
      expect(await responseTo(browser, cookieOf(browser))).toEqual({ status: 200 });
      cookie = cookieOf(browser);
      const seenAt = async () => (await registry.list('1'))[0]?.seenAt.getTime();
      await eventually('the use to be written down', async () => (await seenAt()) === application.clock.now());
      application.clock.advance('45m');
    }

    expect(await why()).toEqual(out('absolute_timeout'));
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

  it('for a day', async () => {
    const { handle } = idOf(browser);
    await registry.revoke('1', handle);
    if (where === 'redis') {
      const ttl = await home.ttl(handle, ':ended');
      expect([ttl > DAY - 60_000, ttl <= DAY]).toEqual([true, true]);
      await home.client.pExpire(`sess:{${handle.slice(0, 8)}}${handle.slice(8)}:ended`, 1);
      await eventually('Redis to forget', async () => (await home.ttl(handle, ':ended')) === -2);
    } else {
      application.clock.advance(DAY - 1);
      expect(await why()).toEqual(out('revoked'));
      application.clock.advance(1);
    }

    expect(await why()).toEqual(out());
  });

  it('for an hour where it ran out by itself', async () => {
    const { handle } = idOf(browser);
    if (where === 'redis') {
      const [session, ended] = [await home.ttl(handle), await home.ttl(handle, ':ended')];
      expect(Math.abs(ended - session - 3_600_000)).toBeLessThan(10_000);
    } else {
      application.clock.advance(2 * 3_600_000 - 1);
      expect(await why()).toEqual(out('idle_timeout'));
      application.clock.advance(1);
      expect(await why()).toEqual(out());
    }
  });
});

describe('what Redis remembers of a session whose key it has expired', () => {
  const home = sessionsIn('redis');

  it.each([
    ['the idle limit', 30, 90, 'idle_timeout'],
    ['the absolute limit, which its use has brought nearer', 150, 180, 'absolute_timeout'],
  ])('is that it reached %s', async (_, usedUntil, asked, reason) => {
    const application = await home.start({ options: { lifetime: { idle: '1h', absolute: '3h', rotateEvery: false } } });
    const browser = await application.loggedIn();
    const { handle } = idOf(browser);
    for (let minutes = 30; minutes <= usedUntil; minutes += 30) {
      application.clock.advance('30m');
      expect(await responseTo(browser, cookieOf(browser))).toEqual({ status: 200 });
    }
    const left = (asked - usedUntil) * 60_000;
    const lastSeen = async () => (await application.app.get(SessionRegistry).list('1'))[0]?.seenAt.getTime();
    await eventually('the use to be written', async () => (await lastSeen()) === application.clock.now());
    expect(Math.abs((await home.ttl(handle)) - left)).toBeLessThan(10_000);
    await home.client.pExpire(`sess:{${handle.slice(0, 8)}}${handle.slice(8)}`, 1);
    await eventually('the key to expire', async () => (await home.ttl(handle)) === -2);
    const cookie = cookieOf(browser);
    application.clock.advance(left);

    expect(await responseTo(application, cookie)).toEqual({ status: 401, reason });
    expect(await responseTo(application, cookieFor({ handle, secret: newSecret().secret }))).toEqual({ status: 401 });
  });
});
