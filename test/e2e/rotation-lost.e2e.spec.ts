import { hashSecret } from '../../lib/model/session-id.js';
import { type TestApplication } from '../support/application.js';
import { eventually } from '../support/eventually.js';
import { Gates } from '../support/gate.js';
import { describePlatforms, placesOn } from '../support/platforms.js';
import { RedisDeployment } from '../support/redis-deployment.js';
import { ROTATING, rotatingApplication } from '../support/rotating-application.js';
import {
  eventsOf,
  expectSignedIn,
  hangUp,
  idsSetBy,
  LateBrowser,
  recordOf,
  shownBy,
} from '../support/rotating-browser.js';

describePlatforms((platform) => {
  describe.each(placesOn(platform))('when a response with a new secret, with sessions in %s,', (where) => {
    let redis: RedisDeployment | undefined;
    let application: TestApplication;
    const closers: (() => unknown)[] = [];

    beforeAll(async () => {
      redis = await RedisDeployment.startIn(where);
      application = await rotatingApplication({ options: { redis: redis?.options } });
    });

    afterEach(async () => {
      for (const close of closers.splice(0).reverse()) await close();
    });

    afterAll(async () => {
      await application.close();
      await redis?.stop();
    });

    /** An application whose sessions live otherwise. */
    async function withLifetime(lifetime: object): Promise<TestApplication> {
      const started = await rotatingApplication({
        options: { redis: redis?.options, lifetime: { ...ROTATING, ...lifetime } },
      });
      closers.push(() => started.close());
      return started;
    }

    it('is not waited for, the old one goes on and the next response brings the same', async () => {
      const browser = await application.loggedIn();
      const id = shownBy(browser);
      application.clock.advance('15m');
      const gate = application.app.get(Gates).named(`left-${where}`);
      await hangUp(browser, `/slow/read/left-${where}`, gate.reached);
      gate.open();
      await eventually('the offer', async () => (await recordOf(application, id))?.rotation?.pending);

      await expectSignedIn(browser, 1);
      expect((await recordOf(application, id))?.rotation?.pending).toBe(hashSecret(shownBy(browser).secret));
      await expectSignedIn(browser);
      expect(eventsOf(application, id)).toEqual(['logged-in', 'rotated']);
    });

    it.each([2, 10])('is lost %i times in a row, the next one brings the same', async (times) => {
      const browser = await application.loggedIn();
      const id = shownBy(browser);
      application.clock.advance('15m');
      const offers = new Set<string>();
      for (let lost = 0; lost < times; lost++) {
        const deaf = browser.fork();
        await expectSignedIn(deaf, 1);
        offers.add(shownBy(deaf).secret);
        application.clock.advance('30s');
      }

      await expectSignedIn(browser, 1);
      expect([...offers]).toEqual([shownBy(browser).secret]);
      await expectSignedIn(browser);
      application.clock.advance('1m');
      await expectSignedIn(browser);
      expect(eventsOf(application, id)).toEqual(['logged-in', 'rotated']);
    });

    it('arrives late, after another one has been promoted, it brings the same', async () => {
      const browser = await application.loggedIn();
      const id = shownBy(browser);
      const late = new LateBrowser(browser);
      const first = browser.fork();
      application.clock.advance('15m');
      const { response, arrive } = await late.send('/me');
      expect(idsSetBy(response)).toHaveLength(1);
      application.clock.advance('30s');
      await expectSignedIn(browser, 1);
      await expectSignedIn(browser);
      const taken = browser.fork();

      arrive();
      await expectSignedIn(browser);
      await expectSignedIn(taken);
      await expectSignedIn(first);
      application.clock.advance('1m');
      await expectSignedIn(browser);
      expect(eventsOf(application, id)).toEqual(['logged-in', 'rotated']);
    });

    it('is lost, activity is written down all the same, and sets no cookie before or after', async () => {
      const seldom = await withLifetime({ idle: '1h', touchEvery: '10m', rotateEvery: '8h' });
      const browser = await seldom.loggedIn();
      for (let third = 0; third < 8 * 3; third++) {
        await expectSignedIn(browser);
        seldom.clock.advance('20m');
      }
      await expectSignedIn(browser.fork(), 1); // An offer, and nobody shows it.
      seldom.clock.advance('50m');
      await expectSignedIn(browser, 1);
      await expectSignedIn(browser);

      for (let third = 0; third < 4 * 3; third++) {
        seldom.clock.advance('20m');
        await expectSignedIn(browser);
      }
      expect(eventsOf(seldom, shownBy(browser))).toEqual(['logged-in', 'rotated']);
    });
  });
});
