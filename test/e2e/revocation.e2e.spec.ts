import { SessionRegistry } from '../../lib/index.js';
import { splitHandle } from '../../lib/model/session-id.js';
import type { TestApplication } from '../support/application.js';
import type { Browser } from '../support/browser.js';
import { responseTo, cookieOf, handlesIn, idOf, keyOf, put, sessionsIn } from '../support/devices.js';
import { Gates } from '../support/gate.js';
import { describePlatforms, placesOn } from '../support/platforms.js';
import { TestClock } from '../support/test-clock.js';

describePlatforms((platform) => {
  describe.each(placesOn(platform))('sessions that are revoked, in %s,', (where) => {
    const home = sessionsIn(where);
    let application: TestApplication;
    let registry: SessionRegistry;

    beforeEach(async () => {
      application = await home.start();
      registry = application.app.get(SessionRegistry);
    });

    const revoke = async (browser: Browser, handle: string) =>
      (await browser.post('/devices/revoke', { json: { handle } })).json<{ revoked: boolean }>().revoked;
    const revokeAll = async (browser: Browser, query = '') =>
      (await browser.request('DELETE', `/devices${query}`)).json<{ revoked: number }>().revoked;
    const status = async (browser: Browser) => (await browser.get('/me')).status;

    it('end one by one, from the next request on, and once', async () => {
      const [laptop, phone] = [await application.loggedIn(), await application.loggedIn()];
      const { handle } = idOf(phone);

      expect(await revoke(laptop, handle)).toBe(true);
      expect(await responseTo(application, cookieOf(phone))).toEqual({ status: 401, reason: 'revoked' });
      expect(await registry.list('1')).toEqual([expect.objectContaining({ handle: idOf(laptop).handle })]);
      expect(await revoke(laptop, handle)).toBe(false);
      expect(await status(laptop)).toBe(200);
      expect(application.events.filter(({ type }) => type === 'revoked')).toEqual([
        { type: 'revoked', at: new Date(application.clock.now()), userId: '1', handle, reason: 'user' },
      ]);
    });

    it('end all at once, or all but one, and say how many did', async () => {
      const adas = [await application.loggedIn(), await application.loggedIn(), await application.loggedIn()] as const;
      const grace = await application.loggedIn('grace', 'hopper');

      expect(await revokeAll(adas[0], `?except=${idOf(adas[0]).handle}`)).toBe(2);
      expect(await Promise.all(adas.map(status))).toEqual([200, 401, 401]);
      expect(await revokeAll(adas[0])).toBe(1);
      expect(await Promise.all([...adas, grace].map(status))).toEqual([401, 401, 401, 200]);
      expect(await registry.revokeAll('1')).toBe(0);
    });

    it('all end where the one to spare is none of theirs', async () => {
      const [ada, grace] = [await application.loggedIn(), await application.loggedIn('grace', 'hopper')];

      expect(await registry.revokeAll('1', { except: idOf(grace).handle })).toBe(1);
      expect([await status(ada), await status(grace)]).toEqual([401, 200]);
    });

    it("are the user's own, whatever handle they name", async () => {
      const [ada, grace, visitor] = [
        await application.loggedIn(),
        await application.loggedIn('grace', 'hopper'),
        application.browser(),
      ];
      await put(visitor, 'color', 'blue');
      const gone = await application.loggedIn('grace', 'hopper');
      const { handle: ended } = idOf(gone);
      const cookie = cookieOf(gone);
      await gone.post('/logout');
      const hers = idOf(grace).handle;
      const { tag, rest } = splitHandle(hers);
      const before = [await handlesIn(application), await registry.list('1'), await registry.list('2')];
      const named = [
        hers,
        idOf(visitor).handle,
        `${idOf(ada).handle}.${idOf(ada).secret}`,
        ended,
        tag, // The index of a user's sessions is named by it in Redis, ...
        rest, // ... and a session in it by this.
        keyOf(hers),
        `{${tag}}${rest}`,
        `${tag}*`,
        tag + '*'.repeat(rest.length),
        'garbage',
        '__proto__',
        '',
        ' ',
      ];

      for (const handle of named) {
        expect([handle, await revoke(ada, handle)]).toEqual([handle, false]);
      }
      expect([await handlesIn(application), await registry.list('1'), await registry.list('2')]).toEqual(before);
      expect([await status(ada), await status(grace)]).toEqual([200, 200]);
      expect((await visitor.get('/session')).json()).toEqual({ color: 'blue' });
      expect(await responseTo(application, cookie)).toEqual({ status: 401, reason: 'logged_out' });
      expect(application.events.filter(({ type }) => type === 'ended' || type === 'revoked')).toEqual([]);
    });

    it('are not brought back by a request that was running when they were revoked', async () => {
      const [laptop, phone] = [await application.loggedIn(), await application.loggedIn()];
      const gate = application.app.get(Gates).named('write');
      const { handle } = idOf(phone);
      const response = phone.post('/slow/write');
      await gate.reached;
      expect(await revoke(laptop, handle)).toBe(true);
      gate.open();
      const { status, setCookies } = await response;

      // By now the cookie may be that of a login in another tab. If it is not, the next request tells why the session ended.
      expect([status, setCookies]).toEqual([200, []]);
      expect(await responseTo(phone, cookieOf(phone))).toEqual({ status: 401, reason: 'revoked' });
      expect(await handlesIn(application)).toEqual([idOf(laptop).handle]);
      expect(application.events.at(-1)).toMatchObject({ type: 'save-dropped', handle, userId: '1' });
    });

    it("are nobody's to end where the user is missing", async () => {
      const visitor = application.browser();
      await put(visitor, 'color', 'blue');
      const nobody = undefined as unknown as string;
      const ended = (handle: string) => registry.revoke(nobody, handle).catch(() => false);

      expect([await ended(idOf(visitor).handle), await ended('garbage')]).toEqual([false, false]);
      expect((await visitor.get('/session')).json()).toEqual({ color: 'blue' });
    });
  });

  describe('two processes on one Redis', () => {
    const home = sessionsIn('redis');

    it('refuse a session from the moment that either revokes it', async () => {
      const clock = new TestClock();
      const [here, there] = [await home.start({ clock }), await home.start({ clock })];
      const browser = await here.loggedIn();
      const cookie = cookieOf(browser);
      const gate = there.app.get(Gates).named('write');
      expect(await responseTo(there, cookie)).toEqual({ status: 200 });
      const running = there.browser().post('/slow/write', { headers: { cookie } });
      await gate.reached;

      expect(await here.app.get(SessionRegistry).revoke('1', idOf(browser).handle)).toBe(true);
      expect(await responseTo(there, cookie)).toEqual({ status: 401, reason: 'revoked' });
      gate.open();
      await running;
      expect(await responseTo(there, cookie)).toEqual({ status: 401, reason: 'revoked' });
      expect([await handlesIn(here), await there.app.get(SessionRegistry).count('1')]).toEqual([[], 0]);
    });
  });
});
