import { Controller, Get, HttpCode, Post, Req } from '@nestjs/common';
import { RequireFreshLogin, SessionAuthService, SessionRegistry, type SessionRequest } from '../../lib/index.js';
import { Accounts, AccountStrategy, PasswordController, StampingSerializer } from '../support/accounts.js';
import { responseTo, cookieOf, handlesIn, idIn, idOf, put, sessionsIn } from '../support/devices.js';
import { describePlatforms } from '../support/platforms.js';

@Controller('vault')
class VaultController {
  @Get('open')
  @RequireFreshLogin('5m')
  open() {
    return {};
  }

  @Get('once')
  @RequireFreshLogin('5m', { once: true })
  once() {
    return {};
  }
}

@Controller('steps')
class StepsController {
  constructor(private readonly auth: SessionAuthService) {}

  @Post('begin')
  @HttpCode(200)
  async begin(@Req() request: SessionRequest) {
    await this.auth.logIn(request, { id: '1', name: 'Ada' }, { method: 'password', pending: ['totp'] });
    return {};
  }

  @Post('complete')
  @HttpCode(200)
  async complete(@Req() request: SessionRequest) {
    await this.auth.completeLogin(request, 'totp');
    return {};
  }
}

/** Requests that race each other. `share` is the part of all rounds that are played. */
export function describeRaces(share: number): void {
  const times = (rounds: number) => Math.ceil(rounds * share);

  describePlatforms((platform) => {
    // The stores settle these races: on Fastify, one of them stands for all.
    const places = platform === 'express' ? ['memory', 'redis', 'cluster'] : ['redis'];
    describe.each(places)('with sessions in %s,', (where) => {
      const home = sessionsIn(where);

      describe('a limit of sessions', () => {
        it(`leaves exactly 3 of 50 parallel logins, ${times(50)} times over`, async () => {
          const application = await home.start({ options: { maxSessions: { limit: 3 } } });
          const registry = application.app.get(SessionRegistry);
          const visitor = application.browser();
          const everybody = Array.from({ length: 50 });
          let held = 0;
          for (let round = 0; round < times(50); round++) {
            const user = { id: `round-${round}`, name: 'Ada' };
            const logins = everybody.map(() =>
              visitor.post('/proof/none', { json: { user }, headers: { cookie: undefined } }),
            );
            const cookies = (await Promise.all(logins)).map(
              ({ setCookies }) => (setCookies[0] ?? '').split(';')[0] ?? '',
            );
            const responses = await Promise.all(cookies.map((cookie) => responseTo(visitor, cookie)));
            const working = responses.filter(({ status }) => status === 200).length;
            const evicted = responses.filter(({ status, reason }) => status === 401 && reason === 'limit').length;
            const handles = cookies.filter((_, i) => responses[i]?.status === 200).map((cookie) => idIn(cookie).handle);
            const listed = (await registry.list(user.id)).map(({ handle }) => handle);
            const same = [...handles].sort().join() === [...listed].sort().join();
            if (working === 3 && evicted === 47 && same && (await registry.count(user.id)) === 3) held++;
          }

          expect(held).toBe(times(50));
          expect(await handlesIn(application)).toHaveLength(3 * times(50));
        });

        it(`lets in exactly one of 20 parallel logins, ${times(20)} times over`, async () => {
          const application = await home.start({ options: { maxSessions: { limit: 1, overflow: 'reject' } } });
          const registry = application.app.get(SessionRegistry);
          const visitor = application.browser();
          let held = 0;
          for (let round = 0; round < times(20); round++) {
            const json = { user: { id: `round-${round}`, name: 'Ada' } };
            const logins = Array.from({ length: 20 }, () =>
              visitor.post('/proof/none', { json, headers: { cookie: undefined } }),
            );
            const responses = (await Promise.all(logins)).map(
              ({ status, setCookies }) => `${status} ${setCookies.length}`,
            );
            const passed = responses.filter((response) => response === '200 1').length;
            const rejected = responses.filter((response) => response === '409 0').length;
            if (passed === 1 && rejected === 19 && (await registry.count(json.user.id)) === 1) held++;
          }

          expect(held).toBe(times(20));
        });
      });

      describe('a session that is kept', () => {
        it(`stays when the credentials change while 10 requests of its browser are under way, ${times(20)} times over`, async () => {
          const application = await home.start({
            controllers: [PasswordController],
            providers: [Accounts, AccountStrategy, StampingSerializer],
          });
          const accounts = application.app.get(Accounts);
          const registry = application.app.get(SessionRegistry);
          let held = 0;
          for (let round = 0; round < times(20); round++) {
            const password = round === 0 ? 'lovelace' : `password ${round - 1}`;
            const [laptop, phone] = [application.browser(), application.browser()];
            for (const browser of [laptop, phone]) {
              await browser.post('/login', { json: { username: 'ada', password } });
            }
            const handle = idOf(laptop).handle;
            const writes = Array.from({ length: 10 }, (_, i) => put(laptop.tab(), `k${i}`, i));
            await Promise.race(writes);
            accounts.setPassword('1', `password ${round}`);
            await registry.credentialsChanged('1', { keep: handle });
            await Promise.all(writes);
            const after = await Promise.all([laptop, phone].map((one) => responseTo(application, cookieOf(one))));
            if (after[0]?.status === 200 && after[1]?.status === 401 && idOf(laptop).handle === handle) held++;
          }

          expect(held).toBe(times(20));
        });
      });

      describe('a session that is stepped up', () => {
        it(`takes exactly one of 10 step-ups at the same time, ${times(20)} times over`, async () => {
          const application = await home.start();
          let browser = await application.loggedIn();
          let held = 0;
          for (let round = 0; round < times(20); round++) {
            await put(browser, 'round', round);
            const cookie = cookieOf(browser);
            const tabs = Array.from({ length: 10 }, () => application.browser());
            const responses = await Promise.all(tabs.map((tab) => tab.post('/proof/step-up', { headers: { cookie } })));
            const passed = responses.findIndex(({ status }) => status === 200);
            browser = tabs[passed] ?? browser;
            const refused = responses.filter(({ status }) => status === 401).length;
            const one = (await handlesIn(application)).join() === idOf(browser).handle;
            if (refused === 9 && one && (await browser.get('/session')).text === JSON.stringify({ round })) held++;
          }

          expect(held).toBe(times(20));
        });

        it(`is ended by a logout at the same time, whichever comes first, ${times(100)} times over`, async () => {
          const application = await home.start();
          const outcomes = { stepped: 0, refused: 0, survived: 0 };
          for (let round = 0; round < times(100); round++) {
            const browser = await application.loggedIn();
            const [stepping, leaving] = [browser.fork(), browser.fork()];
            const early = round % 2 === 0 ? leaving.post('/logout') : undefined;
            const [stepped, left] = await Promise.all([
              stepping.post('/proof/step-up'),
              early ?? leaving.post('/logout'),
            ]);
            outcomes[stepped.status === 200 ? 'stepped' : 'refused']++;
            const isOut = (await stepping.get('/me')).status === 401 && left.setCookies.length === 1;
            if (!isOut || (await handlesIn(application)).length > 0) outcomes.survived++;
          }

          expect(outcomes).toMatchObject({ survived: 0 });
          expect(outcomes.stepped + outcomes.refused).toBe(times(100));
        });

        it(`stays where it is named while all others are revoked, ${times(50)} times over`, async () => {
          const application = await home.start();
          const registry = application.app.get(SessionRegistry);
          const browser = await application.loggedIn();
          let held = 0;
          for (let round = 0; round < times(50); round++) {
            const other = await application.loggedIn();
            const except = idOf(browser).handle;
            const [stepped, ended] = await Promise.all([
              browser.post('/proof/step-up'),
              registry.revokeAll('1', { except }),
            ]);
            const isKept = stepped.status === 200 && (await browser.get('/me')).status === 200;
            if (isKept && ended === 1 && (await other.get('/me')).status === 401) held++;
          }

          expect(held).toBe(times(50));
        });

        it(`is fresh for one request where it is so asked: one of 20 at the same time, ${times(20)} times over`, async () => {
          const application = await home.start({ controllers: [VaultController] });
          const browser = await application.loggedIn();
          const passes = async (path: string) => (await browser.get(path)).status === 200;
          let held = 0;
          for (let round = 0; round < times(20); round++) {
            expect((await browser.post('/proof/step-up')).status).toBe(200);
            const responses = await Promise.all(Array.from({ length: 20 }, () => browser.get('/vault/once')));
            const passed = responses.filter(({ status }) => status === 200).length;
            const refused = responses.filter(
              (response) => response.json<{ code?: string }>().code === 'fresh_login_required',
            ).length;
            if (passed === 1 && refused === 19 && (await passes('/vault/open'))) held++;
          }

          expect(held).toBe(times(20));
        });
      });

      describe('a login whose last step is missing', () => {
        it(`is one login of 10 that complete it at the same time, ${times(50)} times over`, async () => {
          const application = await home.start({
            controllers: [StepsController],
            options: { maxSessions: { limit: 1 } },
          });
          let held = 0;
          for (let round = 0; round < times(50); round++) {
            const browser = application.browser();
            await browser.post('/steps/begin');
            const tabs = Array.from({ length: 10 }, () => browser.fork());
            await put(browser, 'round', round); // Each of them meets a newer version.
            const before = application.events.length;
            const responses = await Promise.all(tabs.map((tab) => tab.post('/steps/complete')));
            const logins = application.events.slice(before).filter(({ type }) => type === 'logged-in').length;
            const passed = responses.flatMap(({ status }, i) => (status === 200 ? (tabs[i] ?? []) : []));
            const refused = responses.filter(({ status, setCookies }) => status === 401 && setCookies.length === 0);
            const works = (await passed[0]?.get('/session'))?.text === JSON.stringify({ round });
            const isOnlyOne = (await handlesIn(application)).join() === idOf(passed[0] ?? browser).handle;
            if (passed.length === 1 && logins === 1 && refused.length === 9 && works && isOnlyOne) held++;
          }

          expect(held).toBe(times(50));
        });

        it(`is ended by a logout at the same time, whichever comes first, ${times(200)} times over`, async () => {
          const application = await home.start({ controllers: [StepsController] });
          const outcomes = { completed: 0, refused: 0, survived: 0 };
          for (let round = 0; round < times(200); round++) {
            const browser = application.browser();
            await browser.post('/steps/begin');
            const [completing, leaving] = [browser.fork(), browser.fork()];
            const early = round % 2 === 0 ? leaving.post('/logout') : undefined;
            const [completed, left] = await Promise.all([
              completing.post('/steps/complete'),
              early ?? leaving.post('/logout'),
            ]);
            outcomes[completed.status === 200 ? 'completed' : 'refused']++;
            const isOut = (await completing.get('/me')).status === 401 && left.status === 204;
            if (!isOut || (await handlesIn(application)).length > 0) outcomes.survived++;
          }

          expect(outcomes).toMatchObject({ survived: 0 });
          expect(outcomes.completed + outcomes.refused).toBe(times(200));
        });
      });

      describe('sessions that are revoked', () => {
        it(`end for good when everything is revoked while 30 requests write, ${times(10)} times over`, async () => {
          const application = await home.start();
          const registry = application.app.get(SessionRegistry);
          let held = 0;
          for (let round = 0; round < times(10); round++) {
            const browsers = await Promise.all([1, 2, 3].map(() => application.loggedIn()));
            const cookies = browsers.map(cookieOf);
            const writes = cookies.flatMap((cookie) =>
              Array.from({ length: 10 }, (_, i) =>
                application.browser().request('PUT', `/session/k${i}`, { json: { value: i }, headers: { cookie } }),
              ),
            );
            await Promise.race(writes);
            const ended = await registry.revokeAll('1');
            await Promise.all(writes);
            const after = await Promise.all(cookies.map((cookie) => responseTo(application, cookie)));
            const stored = await handlesIn(application);
            const backs = browsers.filter((browser) => stored.includes(idOf(browser).handle));
            if (ended === 3 && backs.length === 0 && after.every(({ reason }) => reason === 'revoked')) held++;
          }

          expect(held).toBe(times(10));
        });
      });
    });
  });
}
