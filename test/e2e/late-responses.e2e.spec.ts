import { Controller, Get, HttpCode, Inject, Param, Post, Req } from '@nestjs/common';
import type { Request } from 'express';
import type { Server } from 'node:http';
import { connect } from 'node:net';
import { promisify } from 'node:util';
import { jest } from '@jest/globals';
import { SESSION_STORE, SessionAuthService, SessionRegistry } from '../../lib/index.js';
import type { AtomicSessionStore } from '../../lib/store/session-store.js';
import { SECRET, type TestApplication } from '../support/application.js';
import type { Browser, BrowserResponse } from '../support/browser.js';
import { idOf, put, sessionsIn } from '../support/devices.js';
import { eventually } from '../support/eventually.js';
import { Gates } from '../support/gate.js';
import { describePlatforms, storesOn } from '../support/platforms.js';
import { hangUp, shownBy, signed } from '../support/rotating-browser.js';

const OLDER = `an older ${SECRET}`;
const ADA = { username: 'ada', password: 'lovelace' };
const GRACE = { username: 'grace', password: 'hopper' };

/** Handlers that wait at a gate, with their session loaded. */
@Controller('late')
class LateController {
  outcome: Promise<void> | undefined;

  constructor(
    @Inject(Gates) private readonly gates: Gates,
    private readonly sessionAuth: SessionAuthService,
  ) {}

  @Get('login')
  async logIn(@Req() request: Request) {
    await this.sessionAuth.logIn(request, { id: '1', name: 'Ada' });
    return {};
  }

  @Get('login/:gate')
  async logInEarly(@Param('gate') gate: string, @Req() request: Request) {
    await this.sessionAuth.logIn(request, { id: '1', name: 'Ada' });
    await this.gates.named(gate).pass();
    return {};
  }

  @Get('login-after/:gate')
  async logInLate(@Param('gate') gate: string, @Req() request: Request) {
    await this.gates.named(gate).pass();
    this.outcome = this.sessionAuth.logIn(request, { id: '1', name: 'Ada' });
    this.outcome.catch(() => undefined);
    await this.outcome;
    return {};
  }

  @Get('read/:gate')
  async read(@Param('gate') gate: string) {
    await this.gates.named(gate).pass();
    return {};
  }

  @Post('write/:gate')
  @HttpCode(200)
  async write(@Param('gate') gate: string, @Req() request: Request) {
    await this.gates.named(gate).pass();
    Object.assign(request.session, { late: true });
    return {};
  }

  @Post('age/:gate')
  @HttpCode(200)
  async age(@Param('gate') gate: string, @Req() request: Request) {
    await this.gates.named(gate).pass();
    request.session.cookie.maxAge = 60_000;
    return {};
  }
}

describePlatforms((platform) => {
  describe.each(storesOn(platform))('a late response, with sessions in %s,', (where) => {
    const home = sessionsIn(where);
    let application: TestApplication;
    let gates: Gates;
    let names = 0;

    beforeEach(async () => {
      application = await home.start({ options: { secret: [SECRET, OLDER] }, controllers: [LateController] });
      gates = application.app.get(Gates);
    });

    /** A browser whose session's cookie was signed by the secret before. */
    async function withOlderCookie(begin: (browser: Browser) => Promise<unknown>): Promise<Browser> {
      const browser = application.browser();
      await begin(browser);
      browser.cookies.set('sid', signed(shownBy(browser), OLDER));
      return browser;
    }

    const login =
      (json = ADA) =>
      (browser: Browser) =>
        browser.post('/login', { json });
    const visit = (browser: Browser) => put(browser, 'color', 'blue');

    /** Holds a slow request of one tab while `meanwhile` happens in the other, then lets it respond. */
    async function during(browser: Browser, kind: string, meanwhile: () => Promise<unknown>): Promise<BrowserResponse> {
      const name = String(++names);
      const response = browser.tab().request(kind === 'read' ? 'GET' : 'POST', `/late/${kind}/${name}`);
      await gates.named(name).reached;
      await meanwhile();
      gates.named(name).open();
      return response;
    }

    it.each(['read', 'write'])(
      'of a %s signs the cookie anew, with the same id, where nothing came between',
      async (kind) => {
        const browser = await withOlderCookie(login());
        const id = idOf(browser);
        const { status, setCookies, headers } = await during(browser, kind, () => Promise.resolve());

        expect([status, setCookies]).toEqual([200, [expect.stringContaining(`sid=${signed(id)};`)]]);
        expect(headers['cache-control']).toBe('no-store');
        expect((await browser.get('/me')).setCookies).toEqual([]);
      },
    );

    describe.each(['read', 'write', 'age'])('of a %s that showed a cookie of an older signature', (kind) => {
      it.each<[string, (browser: Browser) => Promise<unknown>, (browser: Browser) => Promise<unknown>, string]>([
        ['a login of the same user', login(), login(), 'Ada'],
        ['a login of another user', login(), login(GRACE), 'Grace'],
        ['a login of an anonymous visitor', visit, login(), 'Ada'],
        ['a step-up', login(), (browser) => browser.post('/proof/step-up'), 'Ada'],
      ])('does not put that over the cookie of %s', async (_, begin, meanwhile, name) => {
        const browser = await withOlderCookie(begin);
        const { status, setCookies } = await during(browser, kind, () => meanwhile(browser));
        const { handle } = idOf(browser);

        expect([status, setCookies]).toEqual([200, []]);
        expect((await browser.get('/me')).json()).toMatchObject({ name });
        expect((await browser.get('/current')).json()).toMatchObject({ handle });
      });

      it('does not bring it back after a logout', async () => {
        const browser = await withOlderCookie(login());
        const { status, setCookies } = await during(browser, kind, () => browser.post('/logout'));

        expect([status, setCookies, browser.cookies.size]).toEqual([200, [], 0]);
      });

      it('does not put it over that of a rotation', async () => {
        const browser = await withOlderCookie(login());
        const { secret } = idOf(browser);
        const { setCookies } = await during(browser, kind, async () => {
          application.clock.advance('16m');
          await browser.get('/me'); // The next secret is offered, ...
          await browser.get('/me'); // ... and this request shows it.
        });

        expect([setCookies, idOf(browser).secret === secret]).toEqual([[], false]);
        application.clock.advance('31s');
        expect((await browser.get('/me')).status).toBe(200);
      });

      it('offers what all others do where the rotation is not completed', async () => {
        const browser = await withOlderCookie(login());
        const { setCookies } = await during(browser, kind, async () => {
          application.clock.advance('16m');
          await browser.get('/me');
        });

        expect(setCookies).toEqual([expect.stringContaining(`sid=${signed(idOf(browser))};`)]);
        expect((await browser.get('/me')).status).toBe(200);
      });
    });

    it('to a request that was loaded after a login had replaced its anonymous session leaves the new cookie', async () => {
      const browser = application.browser();
      await put(browser, 'color', 'blue');
      const before = browser.fork();
      await browser.post('/login', { json: ADA });
      const late = await put(before, 'color', 'red');

      expect([late.status, late.setCookies]).toEqual([200, []]);
      expect(application.events.at(-1)?.type).toBe('save-dropped');
      expect((await browser.get('/me')).status).toBe(200);
    });

    it('to a login whose client has hung up meanwhile leaves no session', async () => {
      const store = application.app.get<AtomicSessionStore>(SESSION_STORE);
      const logIn = store.logIn.bind(store);
      let asked = (): void => undefined;
      const reached = new Promise<void>((resolve) => (asked = resolve));
      const gate = gates.named('login');
      jest.spyOn(store, 'logIn').mockImplementation(async (...args) => {
        asked();
        await gate.pass();
        return logIn(...args);
      });
      await hangUp(application.browser(), '/late/login', reached);
      await disconnected();
      gate.open();

      await eventually('the session to end', () => application.events.some(({ type }) => type === 'logged-out'));
      expect(await application.app.get(SessionRegistry).count('1')).toBe(0);
    });

    it('to a login whose client hangs up before its handler is done leaves no session', async () => {
      const gate = gates.named('abandoned');
      await hangUp(application.browser(), '/late/login/abandoned', gate.reached);
      await disconnected();
      expect(await application.app.get(SessionRegistry).count('1')).toBe(1);
      gate.open();

      await eventually('no session', async () => (await application.app.get(SessionRegistry).count('1')) === 0);
    });

    it('to a pipelined login whose client has hung up meanwhile leaves no session', async () => {
      const [first, second] = [gates.named('first'), gates.named('second')];
      const { hostname, port } = new URL(application.url);
      const socket = connect(Number(port), hostname);
      socket.write(
        ['read/first', 'login-after/second']
          .map((path) => `GET /late/${path} HTTP/1.1\r\nHost: localhost\r\n\r\n`)
          .join(''),
      );
      await Promise.all([first.reached, second.reached]);
      socket.destroy();
      await disconnected();
      second.open();

      await eventually('the login', () => application.app.get(LateController).outcome !== undefined);
      await expect(application.app.get(LateController).outcome).rejects.toMatchObject({ code: 'cookie_not_sendable' });
      expect(await application.app.get(SessionRegistry).count('1')).toBe(0);
      first.open();
    });

    /** The server has heard that its client is gone. */
    async function disconnected(): Promise<void> {
      const server = application.app.getHttpServer() as Server;
      const connections = promisify(server.getConnections.bind(server));
      await eventually('the server to notice', async () => (await connections()) === 0);
    }
  });
});
