import { Controller, Get } from '@nestjs/common';
import { APP_GUARD } from '@nestjs/core';
import { FreshLoginGuard, Public, RequireFreshLogin, SessionGuard } from '../../lib/index.js';
import { LocalStrategy, SnapshotSerializer, type TestApplication } from '../support/application.js';
import type { Browser } from '../support/browser.js';
import { idOf, put, sessionsIn } from '../support/devices.js';
import { describePlatforms, storesOn } from '../support/platforms.js';

/** Routes of several demands. */
@Controller('vault')
class VaultController {
  @Get('open')
  @RequireFreshLogin('5m')
  open() {
    return {};
  }

  @Get('key')
  @RequireFreshLogin('5m', { methods: ['webauthn', 'totp'] })
  key() {
    return {};
  }

  @Get('once')
  @RequireFreshLogin('5m', { once: true })
  once() {
    return {};
  }

  @Public()
  @Get('public')
  @RequireFreshLogin('5m')
  public() {
    return {};
  }
}

@Controller('safe')
@RequireFreshLogin('5m', { once: true })
class SafeController {
  @Get()
  byClass() {
    return {};
  }

  @Get('longer')
  @RequireFreshLogin('1h')
  byMethod() {
    return {};
  }

  @Get('twice')
  @RequireFreshLogin('5m', { once: true })
  byBoth() {
    return {};
  }
}

const CONTROLLERS = [VaultController, SafeController];

describePlatforms((platform) => {
  describe.each(storesOn(platform))('a step-up, with sessions in %s', (where) => {
    const home = sessionsIn(where);
    let application: TestApplication;
    let browser: Browser;

    beforeEach(async () => {
      application = await home.start({ controllers: CONTROLLERS });
      browser = await application.loggedIn();
    });

    const ask = async (path: string, by = browser) => {
      const { status, json } = await by.get(path);
      const { code } = json<{ code?: string }>();
      return code ?? status;
    };
    const stepUp = (method?: string) => browser.post('/proof/step-up', { json: { method } });
    const STALE = 'fresh_login_required';

    it('is asked for 5 minutes after the login, in spite of activity and rotation', async () => {
      const frequent = await home.start({
        options: { lifetime: { rotateEvery: '1m', touchEvery: '10s' } },
        controllers: CONTROLLERS,
        clock: application.clock,
      });
      browser = await frequent.loggedIn();
      const { secret } = idOf(browser);
      for (let minute = 0; minute < 4; minute++) {
        expect(await ask('/vault/open')).toBe(200);
        application.clock.advance('1m');
        expect((await browser.get('/me')).status).toBe(200);
      }
      application.clock.advance(60_000 - 1);
      expect([await ask('/vault/open'), idOf(browser).secret === secret]).toEqual([200, false]);
      application.clock.advance(1);
      const response = await browser.get('/vault/open');

      expect(response.status).toBe(401);
      expect(response.json()).toEqual({ statusCode: 401, code: STALE, message: expect.any(String), maxAge: 300 });
      expect(await ask('/me')).toBe(200);
    });

    it('makes the login fresh, for as long again', async () => {
      application.clock.advance('5m');
      expect(await ask('/vault/open')).toBe(STALE);
      await stepUp();
      expect(await ask('/vault/open')).toBe(200);
      application.clock.advance('5m');

      expect(await ask('/vault/open')).toBe(STALE);
    });

    it('is asked by its terms', async () => {
      const terms = async (path: string) => {
        const { statusCode: _, message: __, ...rest } = (await browser.get(path)).json<Record<string, unknown>>();
        return rest;
      };
      application.clock.advance('2h');
      await browser.post('/login', { json: { username: 'ada', password: 'lovelace' } });
      application.clock.advance('5m');

      expect(await terms('/vault/key')).toEqual({ code: STALE, maxAge: 300, methods: ['webauthn', 'totp'] });
      expect(await terms('/vault/once')).toEqual({ code: STALE, maxAge: 300, once: true });
      expect(await terms('/safe')).toEqual({ code: STALE, maxAge: 300, once: true });
    });

    it('does not stand in for a login, nor does @Public()', async () => {
      const nobody = application.browser();
      await put(nobody, 'color', 'blue');

      for (const path of ['/vault/open', '/vault/key', '/vault/once', '/vault/public', '/safe']) {
        expect([path, await ask(path, nobody)]).toEqual([path, 'unauthenticated']);
      }
      expect((await nobody.post('/proof/step-up')).json()).toMatchObject({ statusCode: 401, code: 'unauthenticated' });
      expect(await ask('/vault/public')).toBe(200);
      application.clock.advance('5m');
      expect(await ask('/vault/public')).toBe(STALE);
    });

    it.each([
      [undefined, STALE],
      ['password', STALE],
      ['webauthn', 200],
      ['totp', 200],
    ])('by %p gives a route of methods %p', async (method, expected) => {
      expect(await ask('/vault/key')).toBe(STALE);
      await stepUp(method);

      expect([await ask('/vault/key'), await ask('/vault/open')]).toEqual([expected, 200]);
    });

    it('may be asked of a class, and a method may ask otherwise', async () => {
      expect([await ask('/safe/longer'), await ask('/safe/longer'), await ask('/safe')]).toEqual([200, 200, 200]);
      expect([await ask('/safe'), await ask('/safe/twice'), await ask('/safe/longer')]).toEqual([STALE, STALE, 200]);
      await stepUp();
      expect([await ask('/safe/twice'), await ask('/safe/twice')]).toEqual([200, STALE]);
      application.clock.advance('10m');
      expect(await ask('/safe/longer')).toBe(200);
    });

    it('is what a remembered login needs first', async () => {
      await browser.post('/proof/none', { json: { remember: '30d' } });
      expect([await ask('/vault/open'), await ask('/vault/once'), await ask('/me')]).toEqual([STALE, STALE, 200]);
      await stepUp();

      expect([await ask('/vault/open'), await ask('/vault/once')]).toEqual([200, 200]);
    });
  });

  describe('a step-up where every route is guarded', () => {
    const home = sessionsIn('memory');

    it.each([
      ['by SessionGuard', [SessionGuard]],
      ['by both guards', [SessionGuard, FreshLoginGuard]],
    ])('%s is asked where it is marked, and nowhere else', async (_, guards) => {
      const application = await home.start({
        controllers: CONTROLLERS,
        providers: [SnapshotSerializer, LocalStrategy, ...guards.map((useClass) => ({ provide: APP_GUARD, useClass }))],
      });
      const browser = application.browser();
      const status = async (path: string) => (await browser.get(path)).status;
      const login = await browser.post('/proof/password', { json: { username: 'ada', password: 'lovelace' } });

      expect(login.status).toBe(200);
      expect([await status('/vault/open'), await status('/safe'), await status('/safe')]).toEqual([200, 200, 401]);
      application.clock.advance('5m');
      expect([await status('/vault/open'), await status('/public'), await status('/me')]).toEqual([401, 200, 200]);
      expect((await browser.post('/proof/step-up')).status).toBe(200);
      expect([await status('/safe/twice'), await status('/safe/twice'), await status('/vault/open')]).toEqual([
        200, 401, 200,
      ]);
      expect((await application.browser().get('/vault/open')).json()).toMatchObject({ code: 'unauthenticated' });
    });
  });
});

it.each(['password', ['password', ''], [1], {}, null])(
  '@RequireFreshLogin refuses methods that are no list of words: %j',
  (methods) => {
    expect(() => RequireFreshLogin('5m', { methods: methods as string[] })).toThrow(/methods is no list of words/);
  },
);
