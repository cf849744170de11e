import { SessionConnections, SessionRegistry } from '../../lib/index.js';
import { LocalStrategy, type TestApplication } from '../support/application.js';
import { idOf, sessionsIn } from '../support/devices.js';
import { eventually } from '../support/eventually.js';
import { OpenGateway, type TestClient, TRANSPORTS } from '../support/gateways.js';
import { describePlatforms } from '../support/platforms.js';
import { gone, SESSION_ENDINGS, VanishingSerializer } from '../support/session-ends.js';

describePlatforms((platform) => {
  describe.each(TRANSPORTS)('connections to gateways over $name', ({ configure, open }) => {
    const clients: TestClient[] = [];
    afterEach(() => {
      for (const client of clients.splice(0)) client.close();
      gone.clear();
    });
    const home = sessionsIn(platform === 'express' ? 'redis' : 'memory');
    let application: TestApplication;
    let connections: SessionConnections;

    beforeEach(async () => {
      application = await home.start({
        configure,
        options: {
          maxSessions: { limit: 1 },
          lifetime: { rotateEvery: '15m', rotationGrace: '30s' },
          connections: { recheck: 200 },
        },
        // Not guarded: the ends have to be heard of, and not only found by messages.
        providers: [VanishingSerializer, LocalStrategy, OpenGateway],
      });
      connections = application.app.get(SessionConnections);
    });
    const arrive = async (username?: string, password?: string) => {
      const browser = await application.loggedIn(username, password);
      const connect = async () => {
        const client = await open(application, browser);
        clients.push(client);
        return client;
      };
      return { application, browser, connect, handle: idOf(browser).handle };
    };

    it.each(SESSION_ENDINGS)('are closed by $cause, with the reason $reason', async ({ reason, end, endsOthers }) => {
      const other = await (await arrive('grace', 'hopper')).connect();
      const visit = await arrive();
      const tabs = [await visit.connect(), await visit.connect()];

      await end(visit);

      for (const tab of tabs) expect(await tab.ended()).toBe(reason);
      await eventually('the book to forget them', () => connections.count({ handle: visit.handle }) === 0);
      expect(other.isOpen || endsOthers).toBe(true);
      const closed = application.events.filter(({ type, userId }) => type === 'connection-closed' && userId === '1');
      const event = { type: 'connection-closed', at: expect.any(Date), userId: '1', handle: visit.handle, reason };
      expect(closed).toEqual([event, event]);
    });

    it('go over to the new handle at a step-up, and end with that', async () => {
      const { browser, connect, handle } = await arrive();
      const client = await connect();

      await browser.post('/proof/step-up');

      const { handle: next } = idOf(browser);
      expect([connections.count({ handle }), connections.count({ handle: next })]).toEqual([0, 1]);
      expect(await client.ask('anybody')).toBe('Ada');
      await application.app.get(SessionRegistry).revoke('1', next);
      expect(await client.ended()).toBe('revoked');
    });

    it('stay open while the secret rotates', async () => {
      const { browser, connect, handle } = await arrive();
      const client = await connect();

      for (let round = 0; round < 3; round++) {
        application.clock.advance(16 * 60_000);
        await browser.get('/me'); // Offers the next secret.
        await browser.get('/me'); // Shows it.
      }

      expect(application.events.filter(({ type }) => type === 'rotated')).toHaveLength(3);
      expect(await client.ask('anybody')).toBe('Ada');
      expect(connections.count({ handle })).toBe(1);
    });
  });
});
