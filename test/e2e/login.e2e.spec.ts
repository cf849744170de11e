import { RedisServer } from '../support/redis-server.js';
import { TestApplication } from '../support/application.js';
import { describePlatforms, storesOn } from '../support/platforms.js';

describePlatforms((platform) => {
  describe.each(storesOn(platform))('login with sessions in %s', (where) => {
    let redis: RedisServer | undefined;
    let application: TestApplication;

    beforeAll(async () => {
      redis = where === 'redis' ? await RedisServer.start() : undefined;
      application = await TestApplication.start({ options: { redis: { url: redis?.url } } });
    });

    afterAll(async () => {
      await application.close();
      await redis?.stop();
    });

    it('turns away who is not logged in', async () => {
      const response = await application.browser().get('/me');

      expect(response.status).toBe(401);
      expect(response.json()).toEqual({ statusCode: 401, code: 'unauthenticated', message: 'You are not logged in.' });
      expect(response.setCookies).toEqual([]);
    });

    it('lets in who has logged in, from one request to the next', async () => {
      const browser = await application.loggedIn();

      expect((await browser.get('/me')).json()).toEqual({ id: '1', name: 'Ada' });
      expect((await browser.get('/me')).json()).toEqual({ id: '1', name: 'Ada' });
    });

    it('turns away a wrong password', async () => {
      const browser = application.browser();
      const response = await browser.post('/login', { json: { username: 'ada', password: 'wrong' } });

      expect(response.status).toBe(401);
      expect(response.json()).toMatchObject({ code: 'login_failed' });
      expect(response.setCookies).toEqual([]);
    });

    it('forgets who has logged out', async () => {
      const browser = await application.loggedIn();
      const before = browser.fork();
      const response = await browser.post('/logout');

      expect(response.status).toBe(204);
      expect(response.setCookies).toEqual([
        'sid=; Path=/; Expires=Thu, 01 Jan 1970 00:00:00 GMT; HttpOnly; SameSite=Lax',
      ]);
      expect((await browser.get('/me')).status).toBe(401);
      expect((await before.get('/me')).status).toBe(401);
    });

    it('keeps what an anonymous visitor stored', async () => {
      const browser = application.browser();
      await browser.request('PUT', '/session/color', { json: { value: 'blue' } });

      expect((await browser.get('/session')).json()).toEqual({ color: 'blue' });
    });
  });
});
