import { Controller, Get, HttpCode, Post, Req, Res, Sse, UseGuards } from '@nestjs/common';
import type { ServerResponse } from 'node:http';
import { map, Subject } from 'rxjs';
import {
  EndsWithSession,
  PendingLogin,
  SessionAuthService,
  SessionConnections,
  SessionGuard,
  type SessionRequest,
} from '../../lib/index.js';
import type { TestApplication } from '../support/application.js';
import type { Browser, OpenResponse } from '../support/browser.js';
import { cookieOf, sessionsIn } from '../support/devices.js';
import { eventually } from '../support/eventually.js';
import { describePlatforms, storesOn, takeOver } from '../support/platforms.js';
import { MINUTE } from '../support/session-stores.js';

const news = new Subject<string>();

@Controller('steps')
@EndsWithSession()
class StepsController {
  constructor(private readonly auth: SessionAuthService) {}

  @Post('begin')
  @HttpCode(200)
  async begin(@Req() request: SessionRequest) {
    await this.auth.logIn(request, { id: '1', name: 'Ada' }, { pending: ['totp', 'sms'] });
    return {};
  }

  @Post('totp')
  @HttpCode(200)
  @PendingLogin()
  @UseGuards(SessionGuard)
  async totp(@Req() request: SessionRequest) {
    await this.auth.completeLogin(request, 'totp');
    return {};
  }

  @Post('sms')
  @HttpCode(200)
  @PendingLogin()
  @UseGuards(SessionGuard)
  async sms(@Req() request: SessionRequest) {
    await this.auth.completeLogin(request, 'sms');
    return {};
  }

  @Sse('events')
  @PendingLogin()
  @UseGuards(SessionGuard)
  events() {
    return news.pipe(map((data) => ({ data })));
  }

  @Get('written')
  @PendingLogin()
  @UseGuards(SessionGuard)
  written(@Res() response: ServerResponse) {
    takeOver(response).write('half');
  }
}

const KINDS: [kind: string, path: string, end: 'whole' | 'broken'][] = [
  ['an event stream', '/steps/events', 'whole'],
  ['a response that is marked', '/steps/written', 'broken'],
];

describePlatforms((platform) => {
  describe.each(storesOn(platform))('with sessions in %s,', (where) => {
    describe.each(KINDS)('%s that is opened while the login is pending', (_, path, end) => {
      const home = sessionsIn(where);
      const open: OpenResponse[] = [];
      let application: TestApplication;
      let browser: Browser;
      let response: { end: 'whole' | 'broken' | undefined };

      /** Ends must be heard of: nobody asks for an hour. */
      const start = () => home.start({ controllers: [StepsController], options: { connections: { recheck: '1h' } } });
      const connections = () => application.app.get(SessionConnections);
      const endOf = () => eventually('the response to end', () => response.end);

      beforeEach(async () => {
        application = await start();
        browser = application.browser();
        await browser.post('/steps/begin');
        const { body } = await openResponse(browser);
        response = { end: undefined };
        body.on('close', () => (response.end = body.complete ? 'whole' : 'broken'));
        await eventually('it to be registered', () => connections().count() === 1);
      });

      const openResponse = async (by: Browser) => {
        const opened = await by.open('GET', path);
        expect(opened.status).toBe(200);
        opened.body.on('error', () => undefined); // It is closed, too.
        opened.body.resume();
        open.push(opened);
        return opened;
      };

      afterEach(() => {
        for (const { body } of open.splice(0)) body.destroy();
      });

      it('is ended by a logout', async () => {
        await browser.tab().post('/logout');

        expect(await endOf()).toBe(end);
      });

      if (where === 'redis') {
        it('is ended by a logout in another process', async () => {
          const other = await start();
          const headers = { cookie: cookieOf(browser) };
          await eventually('the application to listen', async () => (await home.subscribers('sess:ended')) > 0);
          await other.browser().post('/logout', { headers });

          expect(await endOf()).toBe(end);
        });
      }

      it('is ended by the login of another user in its place', async () => {
        await browser.tab().post('/login', { json: { username: 'grace', password: 'hopper' } });

        expect(await endOf()).toBe(end);
      });

      it('ends after ten minutes', async () => {
        application.clock.advance(10 * MINUTE - 1);
        await browser.tab().get('/public');
        expect(response.end).toBeUndefined();
        application.clock.advance(1);

        expect(await endOf()).toBe(end);
      });

      it("is nobody's until the login is complete, and ends with the user's session then", async () => {
        const tab = browser.tab();
        const counts = () => [connections().count({ user: '1' }), connections().count()];
        expect(counts()).toEqual([0, 1]);
        expect((await tab.post('/steps/totp')).status).toBe(200);
        expect(counts()).toEqual([0, 1]);
        expect((await tab.post('/steps/sms')).status).toBe(200); // Its route is marked, too.
        await eventually('it to go over', () => connections().count({ user: '1' }) === 1);
        application.clock.advance(20 * MINUTE);
        expect([(await tab.get('/me')).status, response.end]).toEqual([200, undefined]);
        await tab.post('/logout');

        expect(await endOf()).toBe(end);
        await eventually('it to be forgotten', () => connections().count() === 0);
      });
    });
  });
});
