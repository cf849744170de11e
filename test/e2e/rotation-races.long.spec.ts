import ms from 'ms';
import { describePlatforms, placesOn } from '../support/platforms.js';
import { raceRounds } from '../support/race-rounds.js';
import type { RedisDeployment } from '../support/redis-deployment.js';
import { redisFor, RotatingSite, SITES } from '../support/rotating-application.js';
import { idsSetBy, LateBrowser, randomFrom } from '../support/rotating-browser.js';

/** ROTATION_SEED plays a random order again. */
const SEED = Number(process.env['ROTATION_SEED'] ?? Math.floor(Math.random() * 2 ** 31));
const ROUNDS = raceRounds(50);
const PARALLEL = 50;
const STEPS = 600;
/** How late a response may arrive, in milliseconds: within the grace, and a difference between two clocks. */
const LATEST = ms('25s');

const count = <T>(all: T[], one: T): number => all.filter((other) => other === one).length;

describePlatforms((platform) => {
  describe.each(placesOn(platform, SITES))('many requests across a rotation, with sessions in %s', (where) => {
    let redis: RedisDeployment | undefined;
    let site: RotatingSite | undefined;

    beforeAll(async () => {
      redis = await redisFor(where);
    });

    afterEach(() => site?.close());

    afterAll(() => redis?.stop());

    it(`${PARALLEL} in parallel get the same offer and no failure, ${ROUNDS} times over`, async () => {
      const on = (site = await RotatingSite.start(where, {}, redis));
      const browser = await on.first.loggedIn();
      const late = new LateBrowser(browser);
      const broken: unknown[] = [];
      for (let round = 0; round < ROUNDS; round++) {
        on.distance = round % 2 ? 5 : 0;
        on.advance(ms('15m') + ms('2s')); // Due by either clock, whichever promoted the last one.
        const sent = await Promise.all(
          Array.from({ length: PARALLEL }, (_, n) => late.send(on.address(round + n, '/me'))),
        );
        const old = browser.fork();
        for (const { arrive } of sent) arrive();
        // Some of the next come with the old secret, some are the first to show the new one.
        const followers = [browser, old, browser.tab(), old.tab(), browser.tab(), old.tab()];
        const followed = await Promise.all(followers.map((one, n) => one.get(on.address(round + n, '/me'))));
        const responses = sent.map(({ response }) => response);
        const refused = [...responses, ...followed].filter(({ status }) => status !== 200).length;
        const offers = idsSetBy(...responses).map(({ secret }) => secret);
        // Who shows the old one before the new one is promoted is offered that as well.
        const different = new Set([...offers, ...idsSetBy(...followed).map(({ secret }) => secret)]).size;
        if (refused > 0 || offers.length !== PARALLEL || different !== 1) {
          broken.push({ round, refused, offers: offers.length, different });
        }
      }

      expect(broken).toEqual([]);
      expect(count(on.events(browser), 'rotated')).toBe(ROUNDS);
      expect(count(on.events(browser), 'reuse-detected')).toBe(0);
    }, 60_000);

    it.each([
      ['activity is written down with each rotation', {}],
      ['activity is written down between rotations too', { touchEvery: '3s' }],
    ])(
      `a browser whose responses arrive in any order stays signed in, where %s (seed ${SEED})`,
      async (_, lifetime) => {
        const on = (site = await RotatingSite.start(where, { ...lifetime, rotateEvery: '1m' }, redis));
        const browser = await on.first.loggedIn();
        const late = new LateBrowser(browser);
        const random = randomFrom(SEED);
        const upTo = (n: number) => Math.floor(random() * n);
        const now = () => on.first.clock.now();
        const statuses = new Set<string>();
        let underWay: { arrivesAt: number; sent: ReturnType<LateBrowser['send']> }[] = [];
        let written = 0;
        const send = () => {
          const write = random() < 0.2 ? { method: 'PUT', json: { value: 1 } } : undefined;
          const path = write ? `/session/k${written++}` : '/me';
          const sent = late.send(on.address(upTo(2), path), write);
          underWay.push({ arrivesAt: now() + upTo(random() < 0.2 ? LATEST : ms('2s')), sent });
          return sent;
        };
        const deliver = async (until: number) => {
          const arriving = underWay.filter(({ arrivesAt }) => arrivesAt <= until);
          underWay = underWay.filter(({ arrivesAt }) => arrivesAt > until);
          for (const { sent } of arriving.sort((a, b) => a.arrivesAt - b.arrivesAt)) {
            const { response, arrive } = await sent;
            statuses.add(response.status === 200 ? '200' : `${response.status} ${response.text}`);
            arrive();
          }
        };
        for (let step = 0; step < STEPS; step++) {
          const sent = Array.from({ length: 1 + upTo(3) }, send);
          if (random() < 0.5) await Promise.race(sent);
          on.advance(upTo(ms('2s')));
          await deliver(now());
        }
        await deliver(Infinity);

        expect([...statuses]).toEqual(['200']);
        expect(Object.keys((await browser.get('/session')).json()).length).toBe(written);
        expect(count(on.events(browser), 'rotated')).toBeGreaterThan(5);
        expect(count(on.events(browser), 'reuse-detected')).toBe(0);
      },
      60_000,
    );
  });
});
