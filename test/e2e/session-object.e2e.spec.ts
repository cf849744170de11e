import { Body, Controller, Param, Post, Put, Req, UseGuards } from '@nestjs/common';
import type { Request } from 'express';
import expressSession from 'express-session';
import { LoginGuard, SessionAuthService } from '../../lib/index.js';
import { TestApplication, type TestApplicationOptions } from '../support/application.js';
import { LogRecorder } from '../support/log-recorder.js';
import { describePlatforms } from '../support/platforms.js';

const DAY = 24 * 3_600_000;

/** Takes `req.session` away, as applications do that know cookie-session. */
function take(request: Partial<Request>, how: string): void {
  if (how === 'deleted') {
    delete request.session;
  } else {
    Object.assign(request, { session: { null: null, undefined, false: false }[how] });
  }
}

@Controller()
class ObjectController {
  constructor(private readonly sessionAuth: SessionAuthService) {}

  @Put('empty-object')
  empty(@Req() request: { session: unknown }) {
    request.session = {};
  }

  @Put('object-of-its-own')
  own(@Req() request: { session: unknown }) {
    request.session = { color: 'red' };
  }

  @Put('spread-copy')
  copy(@Req() request: Request) {
    Object.assign(request, { session: Object.assign({}, request.session, { color: 'red' }) });
  }

  @Put('null')
  nothing(@Req() request: { session: unknown }) {
    request.session = null;
  }

  @Put('deleted')
  deleted(@Req() request: Partial<Request>) {
    delete request.session;
  }

  @Post('taken/:how')
  async taken(@Req() request: Request, @Param('how') how: string) {
    take(request, how);
    await this.sessionAuth.logIn(request, { id: '1', name: 'Ada' }, { keep: ['cart'] });
    Object.assign(request.session, { color: 'blue' });
    const { cookie: _cookie, passport: _passport, ...data } = request.session as unknown as Record<string, unknown>;
    return data;
  }

  @Post('taken/:how/step-up')
  async stepUp(@Req() request: Request, @Param('how') how: string) {
    take(request, how);
    await this.sessionAuth.reauthenticate(request);
  }

  @Post('taken/:how/logout')
  async logOut(@Req() request: Request, @Param('how') how: string) {
    take(request, how);
    await this.sessionAuth.logOut(request);
  }

  @Put('assigned')
  assigned(@Req() request: Request) {
    Object.assign(request.session, { color: 'blue' });
  }

  @Put('regenerated')
  async regenerated(@Req() request: Request) {
    await new Promise((resolve) => request.session.regenerate(resolve));
    Object.assign(request.session, { color: 'blue' });
  }

  @Put('max-age')
  maxAge(@Req() request: Request, @Body() { maxAge }: { maxAge: number | null }) {
    Object.assign(request.session, { seen: true });
    request.session.cookie.maxAge = maxAge as number;
  }

  @Put('remembered')
  @UseGuards(LoginGuard('local', { remember: '30d' }))
  remembered(@Req() request: Request) {
    request.session.cookie.maxAge = 30 * DAY;
  }
}

let application: TestApplication;
let log: LogRecorder;

async function started(options: TestApplicationOptions = {}): Promise<TestApplication> {
  log = new LogRecorder();
  application = await TestApplication.start({ controllers: [ObjectController], logger: log, ...options });
  return application;
}

const warnings = (about: string) => log.at('warn').filter((line) => line.includes(about));

afterEach(() => application.close());

describePlatforms(() => {
  describe('an object that is no session, put at req.session,', () => {
    it.each(['empty-object', 'object-of-its-own', 'spread-copy'])(
      'is not stored, and the log says once what to do instead (%s)',
      async (route) => {
        const browser = await (await started()).loggedIn();
        await browser.request('PUT', '/session/color', { json: { value: 'green' } });

        for (const one of [browser, browser, application.browser()]) {
          expect((await one.request('PUT', `/${route}`)).status).toBe(200);
        }

        expect((await browser.get('/session')).json()).toEqual({ color: 'green' });
        expect((await browser.get('/me')).status).toBe(200);
        expect(warnings('req.session')).toEqual([
          expect.stringMatching(/replaced by an object.*Object\.assign\(req\.session, .*regenerate\(\)/),
        ]);
      },
    );

    it.each(['null', 'deleted', 'assigned', 'regenerated'])('is not meant where the session is %s', async (route) => {
      const browser = await (await started()).loggedIn();
      await browser.request('PUT', `/${route}`);

      expect(warnings('req.session')).toEqual([]);
    });

    it('is not meant where an express-session at another path puts its own there', async () => {
      await started({
        configure: (app) =>
          app.use(
            '/assigned',
            expressSession({ secret: 'of its own', resave: false, saveUninitialized: true, name: 'other' }),
          ),
      });
      expect((await application.browser().request('PUT', '/assigned')).setCookies).toEqual([
        expect.stringContaining('other='),
      ]);

      expect(warnings('req.session')).toEqual([]);
    });
  });

  describe('a login after a handler has taken req.session away', () => {
    it.each(['null', 'undefined', 'false', 'deleted'])('succeeds, on a new session (%s)', async (how) => {
      const browser = await (await started()).loggedIn();
      const before = browser.cookies.get('sid');
      const login = await browser.post(`/taken/${how}`);

      expect([login.status, login.setCookies.length]).toEqual([201, 1]);
      expect(login.json()).toEqual({ color: 'blue' });
      expect((await browser.get('/session')).json()).toEqual({ color: 'blue' });
      expect((await browser.get('/me')).json()).toMatchObject({ name: 'Ada' });
      expect((await application.browser().get('/me', { headers: { cookie: `sid=${before!}` } })).status).toBe(401);
    });

    it.each(['null', 'undefined', 'false', 'deleted'])('is no matter to a step-up and a logout (%s)', async (how) => {
      const browser = await (await started()).loggedIn();
      expect((await browser.post(`/taken/${how}/step-up`)).status).toBe(201);
      expect((await browser.get('/me')).status).toBe(200);
      expect((await browser.post(`/taken/${how}/logout`)).status).toBe(201);

      expect(browser.cookies.size).toBe(0);
    });
  });

  describe('req.session.cookie.maxAge', () => {
    it('beyond the absolute limit is warned of once per application, naming `remember`', async () => {
      const browser = await (await started()).loggedIn();
      for (const visitor of [browser, application.browser(), browser]) {
        expect((await visitor.request('PUT', '/max-age', { json: { maxAge: 30 * DAY } })).status).toBe(200);
      }

      expect(warnings('maxAge')).toEqual([
        expect.stringMatching(/beyond the absolute limit.*`remember`.*remember: '30d'/),
      ]);
    });

    it('of a new session beyond the absolute limit is warned of, too', async () => {
      await (await started()).browser().request('PUT', '/max-age', { json: { maxAge: DAY + 1_000 } });

      expect(warnings('maxAge')).toHaveLength(1);
    });

    it.each([[DAY], [60_000], [null]])(
      'of %p is nothing to warn of where the absolute limit is a day',
      async (maxAge) => {
        const browser = await (await started()).loggedIn();
        await browser.request('PUT', '/max-age', { json: { maxAge } });

        expect(warnings('maxAge')).toEqual([]);
      },
    );

    it('within the limit that `remember` has given a session is nothing to warn of', async () => {
      const browser = (await started()).browser();
      await browser.request('PUT', '/remembered', { json: { username: 'ada', password: 'lovelace' } });

      expect(warnings('maxAge')).toEqual([]);
    });
  });
});
