import { createHash } from 'node:crypto';
import session from 'express-session';
import { SessionRegistry } from '../../lib/index.js';
import type { TestApplication } from '../support/application.js';
import type { Browser } from '../support/browser.js';
import { idOf, put, sessionsIn } from '../support/devices.js';
import { eventually } from '../support/eventually.js';
import { describePlatforms, placesOn } from '../support/platforms.js';

interface Listed {
  handle: string;
  seenAt: string;
}

describePlatforms((platform) => {
  describe.each(placesOn(platform))('the sessions of a user, with sessions in %s', (where) => {
    const home = sessionsIn(where);
    let application: TestApplication;
    let registry: SessionRegistry;

    beforeEach(async () => {
      application = await home.start();
      registry = application.app.get(SessionRegistry);
    });

    const list = async (browser: Browser) => (await browser.get('/devices')).json<Listed[]>();
    const revoke = async (browser: Browser, handle: string) =>
      (await browser.post('/devices/revoke', { json: { handle } })).json<{ revoked: boolean }>().revoked;
    const revokeAll = async (browser: Browser, query = '') =>
      (await browser.request('DELETE', `/devices${query}`)).json<{ revoked: number }>().revoked;
    const status = async (browser: Browser) => (await browser.get('/me')).status;

    it('are listed by what their owner may know, and by nothing else', async () => {
      const at = application.clock.now();
      const browser = application.browser();
      const json = { username: 'ada', password: 'lovelace' };
      await browser.post('/login', { json, headers: { 'user-agent': 'Difference Engine' } });
      application.clock.advance('1m');

      expect(await list(browser)).toEqual([
        {
          handle: idOf(browser).handle,
          userId: '1',
          createdAt: new Date(at).toISOString(),
          authenticatedAt: new Date(at).toISOString(),
          seenAt: new Date(at).toISOString(),
          expiresAt: new Date(at + 3_600_000).toISOString(),
          device: { ip: '127.0.0.1', userAgent: 'Difference Engine' },
        },
      ]);
    });

    it('are listed without secret, hash, cookie or data, though they have rotated and are offered another secret', async () => {
      const browser = await application.loggedIn();
      await put(browser, 'note', 'a private note');
      const secrets = [idOf(browser).secret];
      for (const time of ['16m', '1s', '16m'] as const) {
        application.clock.advance(time);
        await browser.get('/me');
        secrets.push(idOf(browser).secret);
      }
      const { text, status } = await browser.get('/devices');

      expect([status, new Set(secrets).size]).toEqual([200, 3]);
      for (const secret of secrets) {
        expect(text).not.toContain(secret);
        expect(text).not.toContain(createHash('sha256').update(secret).digest('base64url').slice(0, 22));
      }
      expect(text).not.toMatch(/s:|s%3A|private note|passport|secret|hash|version/);
    });

    it('are found by a number, as @CurrentUser gives it whatever type is written there, and never by nothing', async () => {
      const [here, there] = [await application.loggedIn(), await application.loggedIn()];
      const [one, nobody] = [1, undefined] as unknown as [number, string];
      const { handle } = idOf(here);

      expect((await registry.list(one)).map((listed) => listed.handle).sort()).toEqual(
        [handle, idOf(there).handle].sort(),
      );
      expect(await registry.count(one)).toBe(2);
      expect(await registry.credentialsChanged(one, { keep: handle })).toBe(1);
      expect(await registry.revoke(one, handle)).toBe(true);
      expect([await status(here), await status(there)]).toEqual([401, 401]);
      await expect(registry.revokeAll(nobody)).rejects.toThrow(/needs a user, or the id of one/);
      await expect(registry.revoke(nobody, 'no-handle-at-all')).rejects.toThrow(/needs a user, or the id of one/);
    });

    it('are listed with the last seen first', async () => {
      const [first, second, third] = [
        await application.loggedIn(),
        await application.loggedIn(),
        application.browser(),
      ];
      application.clock.advance('1m');
      await third.post('/login', { json: { username: 'ada', password: 'lovelace' } });
      application.clock.advance('10m');
      await first.get('/me'); // Which is written down off the response's path.
      const { handle } = idOf(first);
      await eventually('the first to be seen', async () => (await registry.list('1'))[0]?.handle === handle);

      expect((await registry.list('1')).map((one) => one.handle)).toEqual(
        [first, third, second].map((b) => idOf(b).handle),
      );
      expect((await list(second)).map(({ seenAt }) => Date.parse(seenAt))).toEqual(
        [600_000 + 60_000, 60_000, 0].map((after) => application.clock.now() - 660_000 + after),
      );
    });

    it('are all listed and counted where they are many, and nobody else is', async () => {
      const browsers = await Promise.all(Array.from({ length: 230 }, () => application.loggedIn()));
      const grace = await application.loggedIn('grace', 'hopper');
      await put(application.browser(), 'color', 'blue');
      const [ada] = browsers as [Browser];

      expect((await list(ada)).map(({ handle }) => handle).sort()).toEqual(browsers.map((b) => idOf(b).handle).sort());
      expect((await ada.get('/devices/count')).json()).toEqual({ count: 230 });
      expect((await grace.get('/devices/count')).json()).toEqual({ count: 1 });
      expect([await registry.list('nobody'), await registry.count('nobody')]).toEqual([[], 0]);
      expect(await revokeAll(ada, `?except=${idOf(ada).handle}`)).toBe(229);
      expect([await registry.count('1'), await registry.count('2'), await status(ada)]).toEqual([1, 1, 200]);
    });

    it('are neither listed nor counted once they have expired or were logged out', async () => {
      const [old, left] = [await application.loggedIn(), await application.loggedIn()];
      await left.post('/logout');
      expect(await registry.count('1')).toBe(1);
      application.clock.advance('61m');

      expect([await registry.list('1'), await registry.count('1')]).toEqual([[], 0]);
      expect(await registry.revoke('1', idOf(old).handle)).toBe(false);
    });

    it('keep their handle while their secret rotates', async () => {
      const browser = await application.loggedIn();
      const { handle, secret } = idOf(browser);
      application.clock.advance('16m');
      await browser.get('/me');
      await browser.get('/me');

      expect(idOf(browser)).toEqual({ handle, secret: expect.not.stringContaining(secret) });
      expect(await list(browser)).toEqual([expect.objectContaining({ handle })]);
      expect(await revoke(browser, handle)).toBe(true);
      expect(await status(browser)).toBe(401);
    });
  });

  describe('with the store option', () => {
    const home = sessionsIn('memory');

    it.each<[string, (registry: SessionRegistry, handle: string) => Promise<unknown>]>([
      ['list', (registry) => registry.list('1')],
      ['pages', (registry) => registry.pages('1').next()],
      ['count', (registry) => registry.count('1')],
      ['revoke', (registry, handle) => registry.revoke('1', handle)],
      ['revokeAll', (registry) => registry.revokeAll('1')],
      ['credentialsChanged', (registry, keep) => registry.credentialsChanged('1', { keep })],
      ['userDisabled', (registry) => registry.userDisabled('1')],
      ['revokeEveryone', (registry) => registry.revokeEveryone()],
    ])('%s() says that such a store knows no users, and changes nothing', async (_, ask) => {
      const application = await home.start({ options: { store: new session.MemoryStore() } });
      const browser = await application.loggedIn();

      await expect(ask(application.app.get(SessionRegistry), idOf(browser).handle)).rejects.toMatchObject({
        code: 'registry_unavailable',
      });
      expect((await browser.get('/me')).status).toBe(200);
    });

    it('a route that asks the registry responds 500 and the remedy', async () => {
      const application = await home.start({ options: { store: new session.MemoryStore() } });
      const browser = await application.loggedIn();

      expect((await browser.get('/devices')).json()).toEqual({
        statusCode: 500,
        code: 'registry_unavailable',
        message: expect.stringContaining('use the option redis'),
      });
    });
  });
});
