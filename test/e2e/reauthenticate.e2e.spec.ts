import { Controller, Get } from '@nestjs/common';
import { RequireFreshLogin, SessionRegistry } from '../../lib/index.js';
import { type TestApplication } from '../support/application.js';
import type { Browser } from '../support/browser.js';
import { responseTo, cookieOf, handlesIn, idOf, put, sessionsIn } from '../support/devices.js';
import { Gates } from '../support/gate.js';
import { describePlatforms, storesOn } from '../support/platforms.js';

@Controller('vault')
class VaultController {
  @Get('key')
  @RequireFreshLogin('5m', { methods: ['totp'] })
  key() {
    return {};
  }
}

describePlatforms((platform) => {
  describe.each(storesOn(platform))('a session that is stepped up, in %s', (where) => {
    const home = sessionsIn(where);
    let application: TestApplication;
    let browser: Browser;

    beforeEach(async () => {
      application = await home.start({ controllers: [VaultController] });
      browser = await application.loggedIn();
    });

    const stepUp = (method?: string, by = browser) => by.post('/proof/step-up', { json: { method } });
    const status = async (path: string) => (await browser.get(path)).status;
    const session = async () => (await browser.get('/session')).json();
    const gate = (name: string) => application.app.get(Gates).named(name);

    it('goes on under another handle and secret, and what was known before opens nothing', async () => {
      await put(browser, 'cart', [1]);
      const [before, old] = [idOf(browser), cookieOf(browser)];
      const response = await stepUp('totp');
      const after = idOf(browser);

      expect(response.json()).toEqual({ user: { id: '1', name: 'Ada' }, handle: after.handle });
      expect([response.setCookies.length, after.handle === before.handle, after.secret === before.secret]).toEqual([
        1,
        false,
        false,
      ]);
      expect(await responseTo(application, old)).toEqual({ status: 401 });
      expect(await handlesIn(application)).toEqual([after.handle]);
      expect(await application.app.get(SessionRegistry).count('1')).toBe(1);
      expect(await session()).toEqual({ cart: [1] });
      expect(application.events.at(-1)).toEqual({
        type: 'reauthenticated',
        at: new Date(application.clock.now()),
        userId: '1',
        handle: after.handle,
        previous: before.handle,
        method: 'totp',
      });
    });

    it('keeps what other requests wrote while it was under way', async () => {
      await put(browser, 'gone', 1);
      const other = browser.tab();
      const stepping = browser.post('/proof/step-up/written');
      await gate('written').reached;
      await put(other, 'theirs', 'theirs');
      await put(other, 'both', 'theirs');
      await other.request('DELETE', '/session/gone');
      gate('written').open();

      expect((await stepping).status).toBe(200);
      expect(await session()).toEqual({ own: 'own', theirs: 'theirs', both: 'own', after: 'after' });
      expect(await status('/vault/key')).toBe(200);
    });

    it('leaves nothing to a request that was running meanwhile, nor its cookie', async () => {
      const running = browser.tab().post('/slow/meanwhile');
      await gate('meanwhile').reached;
      await stepUp();
      const { handle } = idOf(browser);
      gate('meanwhile').open();
      const response = await running;

      expect([response.status, response.setCookies]).toEqual([200, []]);
      expect([await session(), await handlesIn(application)]).toEqual([{}, [handle]]);
      expect(application.events.at(-1)).toMatchObject({ type: 'save-dropped' });
      expect(await status('/me')).toBe(200);
    });

    it.each<[string, string, () => Promise<unknown>]>([
      ['was revoked', 'revoked', () => application.app.get(SessionRegistry).revoke('1', idOf(browser).handle)],
      ['was logged out', 'logged_out', () => browser.fork().post('/logout')],
    ])(
      'is refused that where it %s meanwhile, and told so, at once and with the next request',
      async (_, reason, end) => {
        const stepping = browser.post('/proof/step-up/late');
        await gate('late').reached;
        await end();
        const events = application.events.length;
        gate('late').open();
        const response = await stepping;

        expect(response.json()).toMatchObject({ statusCode: 401, code: 'unauthenticated', reason });
        expect(response.setCookies).toEqual([]);
        expect(await responseTo(browser, cookieOf(browser))).toEqual({ status: 401, reason });
        expect([await handlesIn(application), application.events.length]).toEqual([[], events]);
      },
    );

    it.each<[string, () => Promise<unknown>]>([
      ['stepped up', () => stepUp(undefined, browser.tab())],
      ['logged in', () => browser.tab().post('/login', { json: { username: 'ada', password: 'lovelace' } })],
    ])('stays the one of the tab that %s, where another tab comes too late with its step-up', async (_, first) => {
      const stepping = browser.post('/proof/step-up/second');
      await gate('second').reached;
      await first();
      const { handle } = idOf(browser);
      gate('second').open();
      const response = await stepping;

      expect([response.status, response.setCookies]).toEqual([401, []]);
      expect([idOf(browser).handle, await status('/me')]).toEqual([handle, 200]);
    });
  });
});
