import { SessionRegistry } from '../../lib/index.js';
import {
  Accounts,
  AccountStrategy,
  PasswordController,
  PlainSerializer,
  StampingSerializer,
} from '../support/accounts.js';
import type { TestApplication } from '../support/application.js';
import type { Browser } from '../support/browser.js';
import { responseTo, cookieOf, handlesIn, idOf, sessionsIn } from '../support/devices.js';
import { Gate } from '../support/gate.js';
import { describePlatforms, placesOn } from '../support/platforms.js';

const CHANGED = { status: 401, reason: 'credentials_changed' };
const OPEN = { status: 200 };

describePlatforms((platform) => {
  describe.each(placesOn(platform))('the stamp of credentials, with sessions in %s:', (where) => {
    const home = sessionsIn(where);
    let application: TestApplication;
    let accounts: Accounts;
    let registry: SessionRegistry;

    async function start(serializer: typeof PlainSerializer): Promise<void> {
      application = await home.start({
        controllers: [PasswordController],
        providers: [Accounts, AccountStrategy, serializer],
      });
      accounts = application.app.get(Accounts);
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
    /** A login that the database has let pass, and that has not gone on yet. */
    async function loginUnderWay() {
      const [gate, browser] = [(accounts.loginGate = new Gate()), application.browser()];
      const response = browser.post('/login', { json: { username: 'ada', password: 'lovelace' } });
      await gate.reached;
      accounts.loginGate = undefined;
      return { browser, response, gate };
    }

    beforeEach(() => start(StampingSerializer));

    it('a login that was under way ends at its next request', async () => {
      const { browser, response, gate } = await loginUnderWay();
      accounts.setPassword('1', 'babbage');
      expect(await registry.credentialsChanged('1')).toBe(0);
      gate.open();
      expect((await response).status).toBe(200);
      const cookie = cookieOf(browser);

      expect(await responseTo(browser, cookie)).toEqual(CHANGED);
      expect(browser.cookies.size).toBe(0);
      expect(await responseTo(application, cookie)).toEqual(CHANGED);
      expect(await handlesIn(application)).toEqual([]);
      expect(application.events.at(-1)).toMatchObject({ type: 'revoked', userId: '1', reason: 'credentials_changed' });
    });

    it('a session ends though nobody told the registry', async () => {
      const [laptop, , grace] = await three();
      accounts.setPassword('1', 'babbage');

      expect(await visits(laptop, grace)).toEqual([CHANGED, OPEN]);
    });

    it('the kept session takes the new stamp, which holds from then on', async () => {
      const [laptop] = await three();
      await change(laptop, 'babbage');
      expect([await visit(laptop), await visit(laptop)]).toEqual([OPEN, OPEN]);
      accounts.setPassword('1', 'analytical');

      expect(await visit(laptop)).toEqual(CHANGED);
    });

    it('the kept session stays though another tab was looking its user up meanwhile', async () => {
      const [laptop, phone] = await three();
      const gate = (accounts.lookupGate = new Gate());
      const running = visit(laptop); // Its session is loaded, its user is not.
      await gate.reached;
      accounts.lookupGate = undefined;
      accounts.setPassword('1', 'babbage');
      await registry.credentialsChanged('1', { keep: idOf(laptop).handle });
      gate.open();
      await running;

      expect(await visits(laptop, phone)).toEqual([OPEN, CHANGED]);
    });

    it('a login with the new ones stays, where a request of the session before comes to its end late', async () => {
      const [laptop] = await three();
      const gate = (accounts.lookupGate = new Gate());
      const running = laptop.tab().get('/me');
      await gate.reached;
      accounts.lookupGate = undefined;
      accounts.setPassword('1', 'babbage');
      await laptop.post('/login', { json: { username: 'ada', password: 'babbage' } });
      gate.open();
      const response = await running;

      expect([response.status, response.setCookies]).toEqual([401, []]);
      expect(await visit(laptop)).toEqual(OPEN);
    });
    it('a stamp that cannot be told is 503 on guarded routes alone, and ends nothing', async () => {
      const [laptop] = await three();
      const serializer = application.app.get(StampingSerializer);
      const { stamp } = serializer;
      serializer.stamp = () => {
        throw new Error('no stamp');
      };
      const response = await laptop.get('/me');
      expect([response.status, response.setCookies]).toEqual([503, []]);
      expect(response.json()).toMatchObject({ code: 'user_lookup_failed' });
      expect((await laptop.get('/public')).json()).toEqual({ name: null });
      serializer.stamp = stamp;

      expect(await visit(laptop)).toEqual(OPEN);
    });

    it('a session from before there were stamps ends', async () => {
      const serializer = application.app.get(StampingSerializer);
      Object.assign(serializer, { credentialStamp: undefined });
      const [laptop] = await three();
      expect(await visit(laptop)).toEqual(OPEN);
      Reflect.deleteProperty(serializer, 'credentialStamp');

      expect(await visit(laptop)).toEqual(CHANGED);
      expect(await visit(await application.loggedIn())).toEqual(OPEN);
    });

    it('no stamp stands in the store or in a response', async () => {
      const [laptop] = await three();
      await change(laptop, 'babbage');
      const texts = [(await laptop.get('/devices')).text, (await laptop.get('/session')).text];
      for (const key of await home.keys()) {
        if ((await home.client.type(key)) === 'string') texts.push(String(await home.client.get(key)));
      }

      expect(texts.join()).not.toMatch(/hash of|lovelace/);
    });

    it('a login that was under way lives on where there are no stamps', async () => {
      await application.close();
      await start(PlainSerializer);
      const { browser, response, gate } = await loginUnderWay();
      accounts.setPassword('1', 'babbage');
      await registry.credentialsChanged('1');
      gate.open();
      await response;

      expect(await visit(browser)).toEqual(OPEN);
    });
  });
});
