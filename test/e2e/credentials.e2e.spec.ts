import { SessionRegistry } from '../../lib/index.js';
import { splitHandle } from '../../lib/model/session-id.js';
import {
  Accounts,
  AccountStrategy,
  PasswordController,
  PlainSerializer,
  StampingSerializer,
} from '../support/accounts.js';
import type { TestApplication } from '../support/application.js';
import type { Browser } from '../support/browser.js';
import { responseTo, cookieOf, handlesIn, idOf, put, sessionsIn } from '../support/devices.js';
import { describePlatforms, placesOn } from '../support/platforms.js';

const CHANGED = { status: 401, reason: 'credentials_changed' };
const OPEN = { status: 200 };

describePlatforms((platform) => {
  describe.each(placesOn(platform))('sessions in %s, when credentials change,', (where) => {
    const home = sessionsIn(where);
    let application: TestApplication;
    let registry: SessionRegistry;

    async function start(serializer: typeof PlainSerializer): Promise<void> {
      application = await home.start({
        controllers: [PasswordController],
        providers: [Accounts, AccountStrategy, serializer],
      });
      registry = application.app.get(SessionRegistry);
    }

    const visit = (browser: Browser) => responseTo(application, cookieOf(browser));
    const visits = (...browsers: Browser[]) => Promise.all(browsers.map(visit));
    const change = (browser: Browser, password: string, stepUp?: boolean) =>
      browser.post('/password', { json: { password, stepUp } });
    const three = async () =>
      [
        await application.loggedIn(),
        await application.loggedIn(),
        await application.loggedIn('grace', 'hopper'),
      ] as const;
    describe.each([
      ['with stamps', StampingSerializer],
      ['without stamps', PlainSerializer],
    ])('%s,', (_, serializer) => {
      beforeEach(() => start(serializer));

      it('all end but those of others', async () => {
        const [laptop, phone, grace] = await three();
        const handles = [laptop, phone].map((browser) => idOf(browser).handle).sort();

        expect(await registry.credentialsChanged('1')).toBe(2);
        expect(await visits(laptop, phone, grace)).toEqual([CHANGED, CHANGED, OPEN]);
        const revoked = application.events.flatMap((event) => (event.type === 'revoked' ? event : []));
        expect(revoked.map(({ handle }) => handle).sort()).toEqual(handles);
        expect(new Set(revoked.map(({ reason, userId }) => `${reason} ${userId}`))).toEqual(
          new Set(['credentials_changed 1']),
        );
      });

      it('all end but the one that changed them, which can write and step up in the same request', async () => {
        const [laptop, phone, grace] = await three();
        const first = await change(laptop, 'babbage');
        expect([first.status, first.json()]).toEqual([200, { ended: 1 }]);
        expect(await visits(laptop, phone, grace)).toEqual([OPEN, CHANGED, OPEN]);
        const tablet = application.browser();
        await tablet.post('/login', { json: { username: 'ada', password: 'babbage' } });
        const second = await change(laptop, 'analytical', true);
        expect([second.status, second.json()]).toEqual([200, { ended: 1 }]);

        expect(await visits(laptop, tablet, grace)).toEqual([OPEN, CHANGED, OPEN]);
        expect((await laptop.get('/session')).json()).toEqual({ changed: 'analytical' });
        expect(await registry.credentialsChanged('1')).toBe(1);
        expect(await visit(laptop)).toEqual(CHANGED);
      });

      it('all end where the one to keep is no session of theirs', async () => {
        const [laptop, phone, grace] = await three();
        for (const keep of [idOf(grace).handle, '', 'garbage', `${splitHandle(idOf(phone).handle).tag}*`]) {
          await application.loggedIn();
          expect(await registry.credentialsChanged('1', { keep })).toBeGreaterThan(0);
        }

        expect(await visits(laptop, phone, grace)).toEqual([CHANGED, CHANGED, OPEN]);
      });
    });

    it('or users are disabled, all of theirs end, by an administrator', async () => {
      await start(PlainSerializer);
      const [laptop, phone, grace] = await three();

      expect(await registry.userDisabled('1')).toBe(2);
      expect(await visits(laptop, phone, grace)).toEqual([
        { status: 401, reason: 'revoked' },
        { status: 401, reason: 'revoked' },
        OPEN,
      ]);
      expect(application.events.slice(-2)).toEqual(
        [1, 2].map(() => expect.objectContaining({ type: 'revoked', userId: '1', reason: 'admin' })),
      );
    });

    it("or everybody's are revoked, all end but the anonymous ones", async () => {
      await start(PlainSerializer);
      const browsers = await three();
      const visitor = application.browser();
      await put(visitor, 'color', 'blue');
      const others = Array.from({ length: 30 }, (_, i) =>
        application.browser().post('/proof/none', { json: { user: { id: `other-${i}`, name: 'Other' } } }),
      );
      await Promise.all(others);

      expect(await registry.revokeEveryone()).toBe(33);
      expect(await visits(...browsers)).toEqual(browsers.map(() => ({ status: 401, reason: 'revoked' })));
      expect(await handlesIn(application)).toEqual([idOf(visitor).handle]);
      expect((await visitor.get('/session')).json()).toEqual({ color: 'blue' });
      expect(application.events.filter(({ type }) => type === 'revoked')).toHaveLength(33);
      expect(await registry.revokeEveryone()).toBe(0);
    });
  });
});
