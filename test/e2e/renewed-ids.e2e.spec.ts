import { Controller, HttpCode, Inject, Injectable, Param, Post, Req } from '@nestjs/common';
import { SessionAuthService, SessionRegistry, type SessionRequest } from '../../lib/index.js';
import { type Account, Accounts, AccountStrategy, StampingSerializer } from '../support/accounts.js';
import type { TestApplication } from '../support/application.js';
import type { Browser } from '../support/browser.js';
import { cookieOf, handlesIn, idOf, responseTo, sessionsIn } from '../support/devices.js';
import { type Gate, Gates } from '../support/gate.js';
import { describePlatforms, placesOn, storesOn } from '../support/platforms.js';

/** Logs out once the test says so. */
@Controller('leave')
class LeaveController {
  constructor(
    @Inject(Gates) private readonly gates: Gates,
    private readonly sessionAuth: SessionAuthService,
  ) {}

  @Post('site/:gate')
  @HttpCode(204)
  async logOut(@Req() request: SessionRequest, @Param('gate') gate: string) {
    await this.gates.named(gate).pass();
    await this.sessionAuth.logOut(request, { clearSiteData: true });
  }

  @Post('saved/:gate')
  @HttpCode(204)
  async saveAndLogOut(@Req() request: SessionRequest, @Param('gate') gate: string) {
    await this.gates.named(gate).pass();
    Object.assign(request.session!, { last: 'words' });
    await new Promise((resolve) => request.session!.save(resolve));
    await this.sessionAuth.logOut(request);
  }

  @Post('destroyed/:gate')
  @HttpCode(204)
  async destroy(@Req() request: SessionRequest, @Param('gate') gate: string) {
    await this.gates.named(gate).pass();
    await new Promise((resolve) => request.session!.destroy(resolve));
  }
}

/** Waits with a user whom it has restored. */
@Injectable()
class SlowSerializer extends StampingSerializer {
  restored?: Gate;

  override async deserializeUser(id: string): Promise<Account | undefined> {
    const user = await super.deserializeUser(id);
    await this.restored?.pass();
    return user;
  }
}

const ADA = { username: 'ada', password: 'lovelace' };
const GRACE = { username: 'grace', password: 'hopper' };
const CLEARED = /^sid=; Path=\/; Expires=Thu, 01 Jan 1970/;

describePlatforms((platform) => {
  describe.each(placesOn(platform))('a session that a step-up has given a new id, in %s,', (where) => {
    const home = sessionsIn(where);
    let application: TestApplication;
    let browser: Browser;
    let former: string;
    let formerHandle: string;

    beforeEach(async () => {
      application = await home.start({ controllers: [LeaveController] });
      browser = await application.loggedIn();
      former = cookieOf(browser);
      formerHandle = idOf(browser).handle;
    });

    const stepUp = async (times = 1) => {
      for (let i = 0; i < times; i++) expect((await browser.post('/proof/step-up')).status).toBe(200);
    };
    const gate = (name: string) => application.app.get(Gates).named(name);
    const registry = () => application.app.get(SessionRegistry);

    it.each([
      ['site', 1],
      ['site', 3],
      ['saved', 2],
      ['destroyed', 1],
    ])('is ended by a logout that was under way (%s), %s step-up(s) later', async (how, times) => {
      const leaving = browser.fork().post(`/leave/${how}/under-way`);
      await gate('under-way').reached;
      await stepUp(times);
      const { handle } = idOf(browser);
      gate('under-way').open();
      const { status, setCookies } = await leaving;

      expect(status).toBe(204);
      expect(setCookies).toEqual(how === 'destroyed' ? [] : [expect.stringMatching(CLEARED)]);
      expect(await handlesIn(application)).toEqual([]);
      expect(await responseTo(application, cookieOf(browser))).toEqual({ status: 401, reason: 'logged_out' });
      expect(application.events.filter(({ type }) => type === 'logged-out')).toMatchObject([{ userId: '1', handle }]);
    });

    it.each([1, 3])('is ended by a logout that shows the id from before, %s step-up(s) later', async (times) => {
      await stepUp(times);
      gate('now').open();
      const left = await application.browser().post('/leave/site/now', { headers: { cookie: former } });

      expect([left.status, left.headers['clear-site-data']]).toEqual([204, '"cache", "storage"']);
      expect(left.setCookies).toEqual([expect.stringMatching(CLEARED)]);
      expect(await responseTo(application, cookieOf(browser))).toEqual({ status: 401, reason: 'logged_out' });
    });

    it.each([ADA, GRACE])('is ended by a login of $username that shows the id from before', async (json) => {
      await stepUp();
      const other = application.browser();
      expect((await other.post('/login', { json, headers: { cookie: former } })).status).toBe(200);

      expect(await handlesIn(application)).toEqual([idOf(other).handle]);
      expect(await responseTo(application, cookieOf(browser))).toEqual({ status: 401, reason: 'logged_out' });
    });

    it('is not ended by who knows the former handle and not its secret', async () => {
      const { secret } = idOf(await application.loggedIn());
      await stepUp();
      const cookie = former.replace(/(?<=\.)[\w-]{43}(?=\.)/, secret);
      const left = await application.browser().post('/logout', { headers: { cookie } });

      expect([left.status, left.setCookies]).toEqual([204, []]);
      expect((await browser.get('/me')).status).toBe(200);
    });

    it('is open to nobody who shows the id from before, who is told no reason', async () => {
      await stepUp();
      const denied = await application.browser().get('/me', { headers: { cookie: former } });

      expect(denied.json()).toEqual({
        statusCode: 401,
        message: expect.any(String) as string,
        code: 'unauthenticated',
      });
      expect((await browser.get('/me')).status).toBe(200);
    });

    it('is no successor of the one that a login replaces: a late logout of that one leaves it alone', async () => {
      const leaving = browser.fork().post('/leave/site/late');
      await gate('late').reached;
      await browser.post('/login', { json: ADA });
      gate('late').open();

      expect((await leaving).setCookies).toEqual([]);
      expect((await browser.get('/me')).status).toBe(200);
    });

    it('is revoked by its former handle, and by no other user', async () => {
      await stepUp(2);

      expect(await registry().revoke('2', formerHandle)).toBe(false);
      expect(await registry().revoke('1', formerHandle)).toBe(true);
      expect(await responseTo(browser, cookieOf(browser))).toEqual({ status: 401, reason: 'revoked' });
    });

    it('is spared where its former handle is named', async () => {
      const others = [await application.loggedIn(), await application.loggedIn()];
      await stepUp(2);

      expect(await registry().revokeAll('1', { except: formerHandle })).toBe(2);
      await application.loggedIn();
      expect(await registry().credentialsChanged('1', { keep: formerHandle })).toBe(1);
      expect((await browser.get('/me')).status).toBe(200);
      expect(await handlesIn(application)).toEqual([idOf(browser).handle]);
      for (const other of others) {
        expect(await responseTo(other, cookieOf(other))).toEqual({ status: 401, reason: 'revoked' });
      }
    });
  });

  describe.each(storesOn(platform))('a session that is to stay when the credentials change, in %s,', (where) => {
    const home = sessionsIn(where);
    let application: TestApplication;
    let browser: Browser;

    beforeEach(async () => {
      application = await home.start({
        providers: [Accounts, AccountStrategy, SlowSerializer],
      });
      browser = await application.loggedIn();
    });

    const gate = (name: string) => application.app.get(Gates).named(name);
    const change = (keep: string) => {
      application.app.get(Accounts).setPassword('1', 'another');
      return application.app.get(SessionRegistry).credentialsChanged('1', { keep });
    };

    it('stays after a step-up before the change, by its former handle', async () => {
      const { handle } = idOf(browser);
      await browser.post('/proof/step-up');
      await change(handle);

      expect((await browser.get('/me')).status).toBe(200);
    });

    it('stays after a step-up that was under way, whose user was restored before', async () => {
      const stepping = browser.post('/proof/step-up/loaded');
      await gate('loaded').reached;
      const restored = (application.app.get(SlowSerializer).restored = gate('restored'));
      gate('loaded').open();
      await restored.reached;
      await change(idOf(browser).handle);
      restored.open();

      expect((await stepping).status).toBe(200);
      expect((await browser.get('/me')).status).toBe(200);
    });
  });
});
