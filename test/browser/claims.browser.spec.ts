import { Body, Controller, Get, Header, Post, Query, Redirect, Req, UseGuards } from '@nestjs/common';
import {
  CurrentSession,
  CurrentUser,
  LoginGuard,
  SessionAuthService,
  type SessionContents,
  SessionGuard,
  type SessionRequest,
} from '../../lib/index.js';
import { Chromium, type ChromiumWindow } from '../sample/chromium.js';
import { TestApplication } from '../support/application.js';
import { eventually } from '../support/eventually.js';

const DAY = 24 * 3_600;

/** A login page with a tick box, a page behind the login, and a logout that leaves nothing behind. */
@Controller('site')
class SiteController {
  constructor(private readonly auth: SessionAuthService) {}

  @Get('login')
  @Header('Content-Type', 'text/html')
  form(@CurrentSession() session: SessionContents, @Query('to') to?: string) {
    if (to !== undefined) session['returnTo'] = to;
    return `<form method="post"><input name="username"><input name="password" type="password">
      <input type="checkbox" name="remember"></form>`;
  }

  @Post('login')
  @UseGuards(
    LoginGuard('local', {
      keep: ['returnTo'],
      successReturnToOrRedirect: '/site/home',
      remember: (_user, request) => ((request as { body?: { remember?: string } }).body?.remember ? '30d' : undefined),
    }),
  )
  login(@Body() _body: unknown) {
    return {};
  }

  @Get(['home', 'orders'])
  @UseGuards(SessionGuard)
  @Header('Content-Type', 'text/html')
  home(@CurrentUser('name') name: string) {
    return `<h1>${name}</h1>`;
  }

  @Post('leave')
  @Redirect('/site/login', 303)
  async leave(@Req() request: SessionRequest) {
    await this.auth.logOut(request, { clearSiteData: true });
  }
}

describe('In a Chromium', () => {
  let application: TestApplication;
  let chromium: Chromium;
  let window: ChromiumWindow;

  beforeAll(async () => {
    [application, chromium] = await Promise.all([
      TestApplication.start({ controllers: [SiteController] }),
      Chromium.start(),
    ]);
  }, 60_000);
  beforeEach(async () => {
    window = await chromium.open();
  });
  afterEach(() => window.close());
  afterAll(async () => {
    await chromium.stop();
    await application.close();
  });

  async function logIn(isRemembered = false, query = ''): Promise<void> {
    await window.goTo(`${application.url}/site/login${query}`);
    await window.eval(`document.querySelector('[name=remember]').checked = ${isRemembered}`);
    await window.submit('form', { username: 'ada', password: 'lovelace' });
    await window.until(`location.pathname !== '/site/login' && document.querySelector('h1') !== null`);
  }

  /** Seconds that the browser keeps the session cookie, also over a restart of its own. */
  async function cookieLives(): Promise<number> {
    const { cookies } = await window.send<{ cookies: { name: string; session: boolean; expires: number }[] }>(
      'Network.getCookies',
      { urls: [application.url] },
    );
    const { session, expires } = cookies.find(({ name }) => name === 'sid')!;
    return session ? 0 : expires - application.clock.now() / 1_000;
  }

  it('a login with the tick box keeps its cookie for as long as it is remembered, and one without it for its day', async () => {
    await logIn(true);
    expect(Math.round((await cookieLives()) / DAY)).toBe(31); // With the day in which it is told how it has ended.
    await window.send('Network.clearBrowserCookies');
    await logIn(false);
    expect(Math.round((await cookieLives()) / DAY)).toBe(2);
  });

  it('a login leads back to the page that was asked for', async () => {
    await logIn(false, '?to=/site/orders');
    expect(await window.eval('location.pathname')).toBe('/site/orders');
    await logIn(false, '?to=//evil.test/');
    expect(await window.eval('location.pathname')).toBe('/site/home');
  });

  it('a session that has run out says that it has expired', async () => {
    await logIn();
    application.clock.advance('2h');
    expect(await window.eval(`fetch('/me').then((response) => response.json())`)).toMatchObject({ reason: 'expired' });
  });

  it('a logout with clearSiteData empties what the site has stored in the browser', async () => {
    await logIn();
    await window.eval(`localStorage.setItem('draft', 'secret')`);
    await window.eval(`fetch('/site/leave', { method: 'POST', redirect: 'manual' }).then(() => true)`);

    await eventually('the storage to be empty', () => window.eval<boolean>(`localStorage.getItem('draft') === null`));
    await window.goTo(`${application.url}/site/login`);
    expect(await window.eval(`fetch('/me').then(({ status }) => status)`)).toBe(401);
  });
});
