import { createHash } from 'node:crypto';
import { Body, Controller, Get, HttpCode, Post, Req } from '@nestjs/common';
import type { Request } from 'express';
import type { SessionData } from 'express-session';
import { AuditLogger, SessionAuthService, SessionRegistry, type SessionRequest } from '../../lib/index.js';
import { LocalStrategy, SnapshotSerializer, type TestApplication } from '../support/application.js';
import type { Browser } from '../support/browser.js';
import { cookieFor, cookieOf, handlesIn, idOf, put, responseTo, sessionsIn } from '../support/devices.js';
import { LogRecorder } from '../support/log-recorder.js';
import { describePlatforms, storesOn } from '../support/platforms.js';

const ADA = { username: 'ada', password: 'lovelace' };
const GRACE = { username: 'grace', password: 'hopper' };

interface Ids {
  id: string;
  sessionID: string;
}

/** What code that was written for express-session asks of a request. */
@Controller('ids')
class IdsController {
  constructor(private readonly sessionAuth: SessionAuthService) {}

  @Get()
  ids(@Req() request: Request): Ids {
    return { id: request.session.id, sessionID: request.sessionID };
  }

  /** Everything that an application can read of its session. */
  @Get('all')
  all(@Req() request: Request) {
    const { session, sessionID } = request;
    const current = this.sessionAuth.current(request);
    return { ...this.ids(request), session, keys: Object.keys(request), sessionID, current };
  }

  @Post('log-in')
  @HttpCode(200)
  async logIn(@Req() request: Request) {
    const before = this.ids(request);
    await this.sessionAuth.logIn(request, { id: '1', name: 'Ada' });
    return { before, after: this.ids(request) };
  }

  @Post('step-up')
  @HttpCode(200)
  async stepUp(@Req() request: Request) {
    const before = this.ids(request);
    await this.sessionAuth.reauthenticate(request);
    return { before, after: this.ids(request) };
  }

  @Post('log-out')
  @HttpCode(200)
  async logOut(@Req() request: Request) {
    const before = this.ids(request);
    await this.sessionAuth.logOut(request);
    return { before, after: this.ids(request) };
  }

  @Post('regenerate')
  @HttpCode(200)
  async regenerate(@Req() request: Request) {
    const before = this.ids(request);
    await new Promise((resolve) => request.session.regenerate(resolve));
    Object.assign(request.session, { regenerated: true });
    return { before, after: this.ids(request) };
  }

  @Post('get')
  @HttpCode(200)
  async get(@Req() request: Request, @Body() { sid = request.sessionID }: { sid?: string }) {
    const found = await new Promise<SessionData | null | undefined>((resolve, reject) => {
      request.sessionStore.get(sid, (error, data) => (error ? reject(error as Error) : resolve(data)));
    });
    return { found: found ?? null };
  }

  @Post('destroy')
  @HttpCode(200)
  async destroy(@Req() request: Request, @Body() { sid = request.sessionID }: { sid?: string }) {
    await new Promise<void>((resolve, reject) => {
      request.sessionStore.destroy(sid, (error) => (error ? reject(error as Error) : resolve()));
    });
    return { user: (request as SessionRequest).user };
  }
}

describePlatforms((platform) => {
  describe.each(storesOn(platform))('req.session.id and req.sessionID, with sessions in %s,', (where) => {
    const home = sessionsIn(where);
    let application: TestApplication;
    let log: LogRecorder;

    beforeEach(async () => {
      log = new LogRecorder();
      application = await home.start({
        controllers: [IdsController],
        providers: [SnapshotSerializer, LocalStrategy, AuditLogger],
        logger: log,
      });
    });

    const both = (handle: string): Ids => ({ id: handle, sessionID: handle });
    const ids = async (browser: Browser) => (await browser.get('/ids')).json<Ids>();
    const change = async (browser: Browser, path: string) =>
      (await browser.post(`/ids/${path}`)).json<{ before: Ids; after: Ids }>();

    it('are the handle: that of the cookie, of current() and of the registry', async () => {
      const browser = await application.loggedIn();
      const { handle } = idOf(browser);
      const [listed] = await application.app.get(SessionRegistry).list('1');

      expect(await ids(browser)).toEqual(both(handle));
      expect((await browser.get('/current')).json()).toMatchObject({ handle });
      expect(listed).toMatchObject({ handle });
    });

    it('are that of an anonymous session, too, and of one that is not stored yet', async () => {
      const browser = application.browser();
      const { id, sessionID } = await ids(browser);
      expect([id, (await ids(browser)).id === id]).toEqual([sessionID, false]);
      await put(browser, 'color', 'blue');

      expect([id.length, await ids(browser)]).toEqual([24, both(idOf(browser).handle)]);
    });

    it('stay the same when the secret rotates', async () => {
      const browser = await application.loggedIn();
      const { handle, secret } = idOf(browser);
      application.clock.advance('16m');

      expect(await ids(browser)).toEqual(both(handle)); // The response offers the next secret, ...
      expect(await ids(browser)).toEqual(both(handle)); // ... which this request is the first to show.
      expect(application.events.map(({ type }) => type)).toEqual(['logged-in', 'rotated']);
      expect(idOf(browser)).toEqual({ handle, secret: expect.not.stringMatching(secret) });
    });

    it.each([
      ['a login of an anonymous visitor', 'log-in', (browser: Browser) => put(browser, 'color', 'blue')],
      ['a login of who is logged in', 'log-in', (browser: Browser) => browser.post('/login', { json: ADA })],
      ['a login of another user', 'log-in', (browser: Browser) => browser.post('/login', { json: GRACE })],
      ['a step-up', 'step-up', (browser: Browser) => browser.post('/login', { json: ADA })],
      ['a regenerate()', 'regenerate', (browser: Browser) => browser.post('/login', { json: ADA })],
    ])('are new at %s, from that moment on', async (_, path, begin) => {
      const browser = application.browser();
      await begin(browser);
      const former = idOf(browser).handle;
      const { before, after } = await change(browser, path);

      expect(before).toEqual(both(former));
      expect(after).toEqual(both(idOf(browser).handle));
      expect(after.id).not.toBe(former);
      expect(await ids(browser)).toEqual(after);
    });

    it('are those of a new, empty session after a logout', async () => {
      const browser = await application.loggedIn();
      const { handle } = idOf(browser);
      const { before, after } = await change(browser, 'log-out');

      expect([before, after.id === after.sessionID, after.id === handle]).toEqual([both(handle), true, false]);
      expect([browser.cookies.size, await handlesIn(application)]).toEqual([0, []]);
    });

    it('open nothing, and neither they nor a log, an event or the request ever holds a secret', async () => {
      const browser = await application.loggedIn();
      const seen: unknown[] = [];
      const secrets = new Set<string>();
      const look = async () => {
        const [, signature = ''] = /\.([^.]+)$/.exec(decodeURIComponent(browser.cookies.get('sid')!)) ?? [];
        const { secret } = idOf(browser);
        secrets.add(secret).add(signature).add(createHash('sha256').update(secret).digest('base64url').slice(0, 22));
        const all = await browser.get('/ids/all');
        seen.push(all.text, (await browser.post('/ids/get', { json: {} })).text, all.json<Ids>().id);
      };
      await look();
      application.clock.advance('16m');
      await look(); // The next secret is offered, ...
      await look(); // ... and has been shown.
      await change(browser, 'step-up');
      await look();
      await browser.post('/login', { json: ADA });
      await look();
      const copy = cookieOf(browser);
      application.clock.advance('16m');
      await look();
      await look();
      application.clock.advance('31s');
      expect(await responseTo(application, copy)).toEqual({ status: 401, reason: 'reuse_detected' });

      expect(application.events.map(({ type }) => type)).toEqual([
        'logged-in',
        'rotated',
        'reauthenticated',
        'logged-out',
        'logged-in',
        'rotated',
        'reuse-detected',
      ]);
      const text = [...seen, JSON.stringify(application.events), ...log.lines.map((line) => line.text)].join('\n');
      expect(log.lines.filter((line) => line.text.includes('reuse-detected'))).toHaveLength(1);
      expect([secrets.size, [...secrets].filter((secret) => text.includes(secret))]).toEqual([5 * 3, []]);
    });

    it('do not open the session for who has them, signed or not', async () => {
      const browser = await application.loggedIn();
      const { id } = await ids(browser);
      const stranger = application.browser();

      for (const cookie of [
        `sid=${id}`,
        cookieFor({ handle: id, secret: '' }),
        cookieFor({ handle: id, secret: id }),
      ]) {
        expect(await responseTo(stranger, cookie)).toEqual({ status: 401 });
      }
      expect((await browser.get('/me')).status).toBe(200);
    });

    describe('in the hands of req.sessionStore', () => {
      const found = async (browser: Browser, sid?: string) =>
        (await browser.post('/ids/get', { json: { sid } })).json<{ found: SessionData | null }>().found;
      const destroy = (browser: Browser, sid?: string) => browser.post('/ids/destroy', { json: { sid } });

      it('give the session, with its data and its own end', async () => {
        const browser = await application.loggedIn();
        await put(browser, 'color', 'blue');

        expect(await found(browser)).toEqual({
          color: 'blue',
          passport: { user: { id: '1', name: 'Ada' } },
          cookie: expect.objectContaining({
            expires: new Date(application.clock.now() + 3_600_000).toISOString(),
            originalMaxAge: 3_600_000,
          }),
        });
      });

      it('give it after a rotation as before, and what is no session is none', async () => {
        const browser = await application.loggedIn();
        const { handle, secret } = idOf(browser);
        application.clock.advance('16m');
        await browser.get('/me');
        await browser.get('/me');
        application.clock.advance('31s');

        expect(await found(browser, handle)).toMatchObject({ passport: { user: { id: '1' } } });
        expect(await found(browser, `${handle}.${idOf(browser).secret}`)).toMatchObject({
          passport: { user: { id: '1' } },
        });
        for (const sid of [`${handle}.${secret}`, `${handle}.`, `${handle}x`, handle.slice(1), secret, '*', '']) {
          expect([sid, await found(browser, sid)]).toEqual([sid, null]);
        }
      });

      it('end it, for every copy of its cookie', async () => {
        const [browser, other] = [await application.loggedIn(), await application.loggedIn()];
        const response = await destroy(browser);

        expect([response.status, response.setCookies]).toEqual([200, []]);
        expect(await responseTo(application, cookieOf(browser))).toEqual({ status: 401, reason: 'logged_out' });
        expect(await found(other, idOf(browser).handle)).toBeNull();
        expect(await handlesIn(application)).toEqual([idOf(other).handle]);
        expect((await other.get('/me')).status).toBe(200);
      });

      it('end nothing where they come with a secret that is not good', async () => {
        const browser = await application.loggedIn();
        const { handle } = idOf(browser);
        for (const sid of [`${handle}.${'A'.repeat(43)}`, `${handle}.`, `${handle}*`, '']) await destroy(browser, sid);

        expect((await browser.get('/me')).status).toBe(200);
        await destroy(browser, `${handle}.${idOf(browser).secret}`);
        expect(await responseTo(application, cookieOf(browser))).toEqual({ status: 401, reason: 'logged_out' });
      });

      it('end an anonymous session', async () => {
        const browser = application.browser();
        await put(browser, 'color', 'blue');
        await destroy(browser);

        expect((await browser.get('/session')).json()).toEqual({});
        expect(await handlesIn(application)).toEqual([]);
      });
    });
  });
});
