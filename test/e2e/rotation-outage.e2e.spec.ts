import type { RedisOptions } from '../../lib/index.js';
import type { TestApplication } from '../support/application.js';
import type { Browser } from '../support/browser.js';
import { eventually } from '../support/eventually.js';
import { Gates } from '../support/gate.js';
import { describePlatforms, placesOn } from '../support/platforms.js';
import { DEPLOYMENTS, RedisDeployment } from '../support/redis-deployment.js';
import { RedisServer } from '../support/redis-server.js';
import { rotatingApplication } from '../support/rotating-application.js';
import { eventsOf, expectSignedIn, shownBy } from '../support/rotating-browser.js';

const count = <T>(all: T[], one: T): number => all.filter((other) => other === one).length;

let application: TestApplication;
let browser: Browser;

async function start(redis: RedisOptions): Promise<void> {
  application = await rotatingApplication({ options: { redis, redisTimeout: 300 } });
  browser = await application.loggedIn();
}

const rotated = () => count(eventsOf(application, shownBy(browser)), 'rotated');
const gate = () => application.app.get(Gates).named('outage');
const back = () =>
  eventually('Redis to be back', async () => (await browser.fork().get('/me')).status === 200, { timeout: 10_000 });

/** Whatever has been offered and lost meanwhile: the next offer arrives, and takes over. */
async function expectToCatchUp(): Promise<void> {
  application.clock.advance('31s');
  await expectSignedIn(browser, 1);
  await expectSignedIn(browser);
  application.clock.advance('31s');
  await expectSignedIn(browser);
  expect(rotated()).toBe(1);
}

describePlatforms((platform) => {
  describe.each(placesOn(platform, DEPLOYMENTS))('with sessions in %s, while Redis', (where) => {
    let redis: RedisDeployment;

    beforeAll(async () => {
      redis = await RedisDeployment.start(where);
    });

    beforeEach(() => start(redis.options));

    afterEach(() => application.close());

    afterAll(() => redis.stop());

    const askAll = async (...words: string[]) =>
      Promise.all((await redis.masters()).map((master) => master.ask(...words)));

    describe.each([
      ['refuses to write', () => redis.refuseWrites(), () => redis.refuseWrites(false), 3],
      [
        // The first to do so holds up whatever comes after it on the connection.
        'hangs when it is to write',
        () => askAll('CLIENT', 'PAUSE', '60000', 'WRITE'),
        () => askAll('CLIENT', 'UNPAUSE'),
        1,
      ],
    ])('%s', (_, begin, end, requests) => {
      afterEach(() => end());

      it('no secret is offered, and nobody notices', async () => {
        application.clock.advance('15m');
        await begin();
        for (let n = 0; n < requests; n++) await expectSignedIn(browser);
        await end();

        await back();
        await expectToCatchUp();
      });

      it('an offered secret is good before it can take over, and so is the old one', async () => {
        const old = browser.fork();
        application.clock.advance('15m');
        await expectSignedIn(browser, 1);
        await begin();
        for (let n = 0; n < requests; n++) {
          await expectSignedIn(browser);
          application.clock.advance('20s');
        }
        await end();
        await eventually('Redis to be back', async () => (await old.get('/me')).status === 200);
        await expectSignedIn(browser);

        application.clock.advance('1m');
        await expectSignedIn(browser);
        expect(rotated()).toBeLessThanOrEqual(1); // Done after its time, it is done unheard.
      });
    });
  });

  // One server: what becomes of requests when a master of a cluster hangs or dies is in test/topology and test/chaos.
  describe('while Redis', () => {
    let redis: RedisServer;
    let admin: Awaited<ReturnType<RedisServer['client']>>;

    beforeEach(async () => {
      redis = await RedisServer.start({ args: ['--appendonly', 'yes', '--appendfsync', 'always'] });
      admin = await redis.client();
      await start({ url: redis.url });
    });

    afterEach(async () => {
      await application.close();
      await redis.stop();
    });

    it('is hung as a secret is to be offered, the request is answered and nobody is signed out', async () => {
      const response = browser.get('/slow/read/outage');
      await gate().reached;
      application.clock.advance('15m');
      redis.pause();
      gate().open();
      expect([(await response).status, (await response).setCookies]).toEqual([200, []]);
      redis.resume();

      await back();
      await expectToCatchUp();
    });

    it('dies as a secret is to be offered, the request is answered and nobody is signed out', async () => {
      const response = browser.get('/slow/read/outage');
      await gate().reached;
      application.clock.advance('15m');
      await redis.kill();
      gate().open();
      expect([(await response).status, (await response).setCookies]).toEqual([200, []]);
      await redis.restart();

      await back();
      await expectToCatchUp();
    });

    it('dies as a secret is to take over, the request is answered and nobody is signed out', async () => {
      const old = browser.fork();
      application.clock.advance('15m');
      await expectSignedIn(browser, 1);
      await admin.sendCommand(['CLIENT', 'PAUSE', '60000', 'WRITE']);
      const taken = browser.get('/me');
      await eventually('the script to wait', async () => /blocked_clients:1/.test(await admin.info('clients')), {
        interval: 2,
      });
      await redis.kill();
      expect([(await taken).status, (await taken).setCookies]).toEqual([200, []]);
      await redis.restart();

      await eventually('Redis to be back', async () => (await old.get('/me')).status === 200);
      await expectSignedIn(browser);
      application.clock.advance('29s');
      await expectSignedIn(old);
      await expectSignedIn(browser);
      expect(eventsOf(application, shownBy(browser))).toEqual(['logged-in', 'rotated']);
    });
  });
});
