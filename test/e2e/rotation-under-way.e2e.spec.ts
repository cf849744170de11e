import ms from 'ms';
import { hashSecret } from '../../lib/model/session-id.js';
import type { BrowserResponse, Browser } from '../support/browser.js';
import { eventually } from '../support/eventually.js';
import { describePlatforms, placesOn } from '../support/platforms.js';
import { RotatingSite, SITES } from '../support/rotating-application.js';
import { expectSignedIn, idsSetBy, LateBrowser, recordOf, shownBy } from '../support/rotating-browser.js';

describePlatforms((platform) => {
  describe.each(placesOn(platform, SITES))('requests under way, with sessions in %s', (where) => {
    let site: RotatingSite;
    let names = 0;

    beforeAll(async () => {
      site = await RotatingSite.start(where, { touchEvery: '10m' });
    });

    afterAll(() => site.close());

    /** Holds a request of this browser while `meanwhile` happens, then lets it answer. Its cookie arrives last. */
    async function during(
      browser: Browser,
      kind: 'read' | 'write',
      meanwhile: () => unknown,
    ): Promise<BrowserResponse> {
      const name = `${kind}-${++names}`;
      const method = kind === 'read' ? 'GET' : 'POST';
      const response = browser.tab().request(method, site.first.url + `/slow/${kind}/${name}`);
      await site.gates.named(name).reached;
      await meanwhile();
      site.gates.named(name).open();
      return response;
    }

    /** A secret is offered, by the application whose clock is ahead, and promoted. */
    async function rotate(browser: Browser): Promise<void> {
      await expectSignedIn(browser, 1, site.last.url);
      await expectSignedIn(browser, 0, site.last.url);
    }

    it.each(['read', 'write'] as const)('a %s that ends long after its secret has been superseded', async (kind) => {
      const browser = await site.first.loggedIn();
      const response = await during(browser, kind, async () => {
        site.advance('15m');
        await rotate(browser);
        site.advance('1m');
      });

      expect([response.status, response.setCookies]).toEqual([200, []]);
      await expectSignedIn(browser);
      const kept = kind === 'write' ? { [`written-write-${names}`]: true } : {};
      expect((await browser.get('/session')).json()).toEqual(kept);
      expect(site.events(browser).sort()).toEqual(['logged-in', 'rotated']);
    });

    it.each(['read', 'write'] as const)('a %s that meets an offer of another request brings the same', async (kind) => {
      const browser = await site.first.loggedIn();
      const response = await during(browser, kind, async () => {
        site.advance('15m');
        await expectSignedIn(browser, 1, site.last.url);
      });

      expect([response.status, idsSetBy(response)]).toEqual([200, [shownBy(browser)]]);
      await expectSignedIn(browser);
      expect(site.events(browser).sort()).toEqual(['logged-in', 'rotated']);
    });

    it.each(['read', 'write'] as const)(
      'a %s whose activity is due to be written down does not put the old secret over the new one',
      async (kind) => {
        const browser = await site.first.loggedIn();
        site.advance(ms('15m') - ms('1s')); // Activity is due to be written down.
        const response = await during(browser, kind, async () => {
          site.advance('1s');
          await rotate(browser);
        });

        expect([response.status, response.setCookies]).toEqual([200, []]);
        site.advance('1m');
        await expectSignedIn(browser);
      },
    );

    it('a response that arrives late, after the new secret was promoted, does not put the old one back', async () => {
      const browser = await site.first.loggedIn();
      const late = new LateBrowser(browser);
      site.advance(ms('15m') - ms('3s'));
      const { arrive } = await late.send('/me');
      site.advance('3s');
      await rotate(browser);
      arrive();
      await expectSignedIn(browser);

      site.advance('1m');
      await expectSignedIn(browser);
    });

    it('many that all find a new secret due get the same offer', async () => {
      const browser = await site.first.loggedIn();
      const name = `together-${++names}`;
      const kinds = ['read', 'write', 'read', 'write', 'read'];
      const responses = kinds.map((kind, n) =>
        browser
          .fork()
          .request(kind === 'read' ? 'GET' : 'POST', site.address(n, `/slow/${kind}/${name}-${n}`))
          .then(idsSetBy),
      );
      await Promise.all(kinds.map((_, n) => site.gates.named(`${name}-${n}`).reached));
      site.advance('16m');
      for (const n of kinds.keys()) site.gates.named(`${name}-${n}`).open();

      const offers = (await Promise.all(responses)).flat();
      expect(offers).toHaveLength(kinds.length);
      expect(new Set(offers.map(({ secret }) => hashSecret(secret)))).toEqual(
        new Set([(await recordOf(site.first, shownBy(browser)))?.rotation?.pending]),
      );
    });

    it('one that a poll was faster than counts as activity all the same', async () => {
      const browser = await site.first.loggedIn();
      site.advance('15m');
      await during(browser, 'read', async () => {
        expect(idsSetBy(await browser.get('/passive'))).toHaveLength(1);
      });

      await eventually(
        'the activity to be written down',
        async () => (await recordOf(site.first, shownBy(browser)))?.seenAt === site.first.clock.now(),
        { timeout: 500 },
      );
    });
  });

  describe('where the application whose clock is behind does not know yet that a rotation is due', () => {
    it('it does not put the old secret over the new one either', async () => {
      const site = await RotatingSite.start(SITES[2], { touchEvery: '10m' });
      try {
        const browser = await site.first.loggedIn();
        site.advance(ms('15m') - ms('1s'));
        const tab = browser.tab().get('/slow/read/behind');
        await site.gates.named('behind').reached;
        await expectSignedIn(browser, 1, site.last.url);
        await expectSignedIn(browser, 0, site.last.url);
        site.gates.named('behind').open();
        expect((await tab).setCookies).toEqual([]);

        site.advance('1m');
        await expectSignedIn(browser);
      } finally {
        await site.close();
      }
    });
  });
});
