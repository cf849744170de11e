import { sign } from 'cookie-signature';
import { type SessionAuthOptions, SessionPolicy } from '../../lib/index.js';
import { SECRET } from '../support/application.js';
import { keyOf } from '../support/devices.js';
import { describePlatforms } from '../support/platforms.js';
import { Gates } from '../support/gate.js';
import { outcomeOf, People, type Person, productionSite, type SecureBrowser } from './site.js';

/** A cookie of the site's name that is signed as its own are. */
const signed = (id: string) => `__Host-Http-sid=${encodeURIComponent(`s:${sign(id, SECRET)}`)}`;

const UNAUTHENTICATED = 'unauthenticated';

describePlatforms(() => {
  const site = productionSite();
  let person: Person;
  beforeEach(() => {
    person = site.person();
  });

  const me = async (browser: SecureBrowser, headers = {}) => outcomeOf(await browser.get('/me', { headers }));
  const policyOf = (on = site.application) => on.app.get(SessionPolicy).describe();
  const withOptions = (options: Partial<SessionAuthOptions>) => site.start({ options });

  it('V7.1.1 the inactivity timeout and the maximum lifetime in the printed policy are those that sessions have', async () => {
    const application = await withOptions({ lifetime: { idle: '20m', absolute: '50m', touchEvery: 1 } });
    const { lifetime, nist } = policyOf(application);
    const someone = site.person(application);
    /** Whether a session lives for so long, if it is used every ten minutes, or not at all. */
    const livesFor = async (ms: number, isUsed: boolean) => {
      const browser = await site.loggedIn(someone, application);
      const step = isUsed ? 600_000 : ms;
      let left = ms;
      for (; left > step; left -= step) {
        application.clock.advance(step);
        await site.use(browser, application);
      }
      application.clock.advance(left);
      return me(browser);
    };

    expect(await livesFor(lifetime.idle.ms - 1, false)).toBe(200);
    expect(await livesFor(lifetime.idle.ms, false)).toBe(`${UNAUTHENTICATED}: expired`);
    expect(await livesFor(lifetime.absolute.ms - 1, true)).toBe(200);
    expect(await livesFor(lifetime.absolute.ms, true)).toBe(`${UNAUTHENTICATED}: expired`);
    // What has to be justified where it is false: whether NIST SP 800-63B is followed, level by level.
    expect(nist).toEqual({ aal1: true, aal2: true, aal3: false });
  });

  it.each(['evict-oldest', 'reject'] as const)(
    'V7.1.2 the printed policy says how many parallel sessions a user may have, and what happens to one more: %s',
    async (overflow) => {
      const application = await withOptions({ maxSessions: { limit: 2, overflow } });
      const { parallelSessions } = policyOf(application);
      const someone = site.person(application);
      const first = await site.loggedIn(someone, application);
      for (let n = 1; n < parallelSessions!.limit; n++) {
        application.clock.advance('1s');
        await site.loggedIn(someone, application);
      }
      const oneMore = await site.browser(application).post('/login', { json: site.credentialsOf(someone) });

      expect(parallelSessions).toEqual({ limit: 2, overflow });
      expect([outcomeOf(oneMore), await me(first)]).toEqual(
        overflow === 'reject' ? ['too_many_sessions', 200] : [200, `${UNAUTHENTICATED}: limit`],
      );
    },
  );

  it('V7.1.3 the printed policy asks for what only the application knows of identity providers, whose word ends sessions here', async () => {
    const page = site.application.app.get(SessionPolicy).describe('markdown');
    const browser = site.browser();
    await browser.get(`/login/provider/callback?sub=${person.id}`);
    const before = await me(browser);
    await site.browser().post('/admin/sign-out', { json: { id: person.id } });

    expect(page).toMatch(/To be added by the application[^#]*Identity providers and single sign-on: [^#]*7\.1\.3/);
    expect(page).toMatch(/`revoked`: It was ended on another device or by an administrator/);
    expect([before, await me(browser)]).toEqual([200, `${UNAUTHENTICATED}: revoked`]);
  });

  it('V7.2.1 the server itself verifies each session token, by its signature and by what is stored', async () => {
    const [browser, guessed] = [await site.loggedIn(person), await site.loggedIn(person)];
    const { handle, secret } = browser.id;
    const inventions = [
      browser.cookie.replace(/.$/, (last) => (last === 'A' ? 'B' : 'A')),
      browser.cookie.replace(secret, guessed.id.secret),
      browser.cookie.replace(/\.[^.]*$/, ''),
    ];
    const outcomes = await Promise.all(inventions.map((cookie) => me(site.browser(), { cookie })));
    const genuine = await me(browser);
    // Not even who could sign gets in without the secret of a session that is stored.
    outcomes.push(await me(site.browser(), { cookie: signed(`${handle}.${guessed.id.secret}`) }));
    await site.redis.client.del(keyOf(guessed.id.handle));

    expect(outcomes).toEqual([...Array(3).fill(UNAUTHENTICATED), `${UNAUTHENTICATED}: reuse_detected`]);
    expect([genuine, await me(guessed)]).toEqual([200, `${UNAUTHENTICATED}: expired`]);
  });

  it('V7.2.2 a session token is made for each session, and nothing static opens one', async () => {
    const [one, other] = [await site.loggedIn(person), await site.loggedIn(person)];
    const [{ handle, secret }, { secret: otherSecret }] = [one.id, other.id];
    const { name } = policyOf().cookie;
    const opens = (value: string) =>
      me(site.browser(), { cookie: `${name}=${value}`, authorization: `Bearer ${value}` });

    expect(secret).not.toBe(otherSecret);
    expect(await Promise.all([handle, secret, person.id, SECRET].map(opens))).toEqual(Array(4).fill(UNAUTHENTICATED));
  });

  it('V7.2.3 session tokens are unique, of 256 random bits, and do not come from Math.random()', async () => {
    const random = Math.random;
    Math.random = () => 0.5;
    const secrets = new Set<string>();
    try {
      for (let n = 0; n < 100; n++) {
        const browser = site.browser();
        await browser.request('PUT', '/session/n', { json: { value: n } });
        secrets.add(browser.id.secret);
      }
      secrets.add((await site.loggedIn(person)).id.secret);
    } finally {
      Math.random = random;
    }
    const bytes = [...secrets].map((secret) => Buffer.from(secret, 'base64url'));

    expect(secrets.size).toBe(101);
    for (let bit = 0; bit < 256; bit++) {
      const ones = bytes.filter((token) => (token[bit >> 3]! >> (bit & 7)) & 1).length;
      // A fair coin falls so 101 times but once in a hundred million runs.
      expect(Math.abs(ones - 50.5)).toBeLessThan(34);
    }
    expect(new Set(bytes.map(({ length }) => length))).toEqual(new Set([32]));
  });

  it('V7.2.4 a login and a re-authentication give a new session token, and end the former one', async () => {
    const browser = site.browser();
    await browser.request('PUT', '/session/cart', { json: { value: 1 } });
    const anonymous = browser.cookie;
    await browser.post('/login', { json: site.credentialsOf(person) });
    const atLogin = browser.cookie;
    await browser.post('/account/proofs/totp');
    const bearing = (cookie: string) => site.browser().get('/session', { headers: { cookie } });

    expect(new Set([anonymous, atLogin, browser.cookie]).size).toBe(3);
    expect((await bearing(anonymous)).json()).toEqual({});
    expect([await me(site.browser(), { cookie: atLogin }), await me(browser)]).toEqual([UNAUTHENTICATED, 200]);
  });

  it('V7.3.1 a session that is not used ends after the inactivity timeout', async () => {
    const [used, unused] = [await site.loggedIn(person), await site.loggedIn(person)];
    for (let n = 0; n < 5; n++) {
      site.application.clock.advance('12m');
      await site.use(used);
    }

    expect([await me(used), await me(unused)]).toEqual([200, `${UNAUTHENTICATED}: expired`]);
  });

  it('V7.3.2 a session ends after its maximum lifetime, however much it is used', async () => {
    const browser = await site.loggedIn(person);
    for (let minutes = 45; minutes < 24 * 60; minutes += 45) {
      site.application.clock.advance('45m');
      await site.use(browser);
    }
    site.application.clock.advance('44m');
    const before = await me(browser);
    site.application.clock.advance('1m');

    expect([before, await me(browser)]).toEqual([200, `${UNAUTHENTICATED}: expired`]);
  });

  it('V7.4.1 a session that has ended, by logout or expiry, is of no further use, and its data is gone', async () => {
    const browser = await site.loggedIn(person);
    const [before, { handle }] = [browser.cookie, browser.id];
    const gate = site.application.app.get(Gates).named(handle);
    const late = browser.post(`/account/late/${handle}`);
    await gate.reached;
    await browser.post('/leave');
    gate.open();
    await late;
    const left = await site.redis.client.get(keyOf(handle));
    const expired = await site.loggedIn(person);
    site.application.clock.advance('1h');

    expect(left).toMatch(/^\{"ended":"logged_out"/);
    expect(left).not.toContain(person.id);
    expect(await me(site.browser(), { cookie: before })).toBe(`${UNAUTHENTICATED}: logged_out`);
    expect([await me(browser), await me(expired)]).toEqual([UNAUTHENTICATED, `${UNAUTHENTICATED}: expired`]);
  });

  it('V7.4.2 all sessions of a user end when the user is disabled, or deleted', async () => {
    const disabled = [await site.loggedIn(person), await site.loggedIn(person)];
    const gone = site.person();
    const deleted = [await site.loggedIn(gone), await site.loggedIn(gone)];
    const other = await site.loggedIn(site.person());
    const response = await site.browser().post('/admin/disable', { json: { id: person.id } });
    site.application.app.get(People).remove(gone);

    expect(response.json()).toEqual({ ended: 2 });
    for (const browser of [...disabled, ...deleted]) expect(await me(browser)).toBe(`${UNAUTHENTICATED}: revoked`);
    expect(await me(other)).toBe(200);
  });

  it('V7.4.3 all other sessions of a user can be ended after a change of their credentials', async () => {
    const [own, other, another] = [
      await site.loggedIn(person),
      await site.loggedIn(person),
      await site.loggedIn(person),
    ];
    const response = await own.post('/account/password');

    expect(response.json()).toEqual({ ended: 2 });
    expect(await me(own)).toBe(200);
    for (const browser of [other, another]) expect(await me(browser)).toBe(`${UNAUTHENTICATED}: credentials_changed`);
  });

  it('V7.4.4 a plain form logs out, from any page, also where the session has ended', async () => {
    const browser = await site.loggedIn(person);
    const other = await site.loggedIn(person);
    await other.request('DELETE', `/account/sessions/${browser.id.handle}`);
    const form = { form: {} };

    expect([(await other.post('/leave', form)).status, await me(other)]).toEqual([204, UNAUTHENTICATED]);
    expect([(await browser.post('/leave', form)).status, (await site.browser().post('/leave', form)).status]).toEqual([
      204, 204,
    ]);
  });

  it('V7.4.5 administrators can end the sessions of one user, and those of all', async () => {
    const application = await withOptions({ prefix: 'admins:' });
    const [one, other] = [site.person(application), site.person(application)];
    const browsers = [await site.loggedIn(one, application), await site.loggedIn(one, application)];
    const bystander = await site.loggedIn(other, application);
    const administrator = site.browser(application);
    const byUser = await administrator.post('/admin/sign-out', { json: { id: one.id } });
    const outcomes = await Promise.all([...browsers, bystander].map((browser) => me(browser)));
    const byAll = await administrator.post('/admin/sign-out/everyone');

    expect([byUser.json(), byAll.json()]).toEqual([{ ended: 2 }, { ended: 1 }]);
    expect(outcomes).toEqual([`${UNAUTHENTICATED}: revoked`, `${UNAUTHENTICATED}: revoked`, 200]);
    expect(await me(bystander)).toBe(`${UNAUTHENTICATED}: revoked`);
  });

  it('V7.5.1 what affects authentication can be changed only after a new proof of identity', async () => {
    const browser = await site.loggedIn(person);
    const remembered = await site.loggedIn(person, site.application, '/login/remembered');
    const change = async (by: SecureBrowser) => outcomeOf(await by.post('/account/password'));
    site.application.clock.advance('5m');
    const outcomes = [await change(remembered), await change(browser)];
    await browser.post('/account/proofs/password');
    outcomes.push(await change(browser));
    site.application.clock.advance('3m');
    await browser.get('/me'); // Activity is no proof.
    site.application.clock.advance('2m');

    expect([...outcomes, await change(browser)]).toEqual([
      'fresh_login_required',
      'fresh_login_required',
      201,
      'fresh_login_required',
    ]);
    // Nor does "remember me" count as one, even at once.
    expect(await change(await site.loggedIn(person, site.application, '/login/remembered'))).toBe(
      'fresh_login_required',
    );
  });

  it('V7.5.2 users see their sessions and, having proved who they are, end any or all of them', async () => {
    const browsers = [await site.loggedIn(person), await site.loggedIn(person), await site.loggedIn(person)] as const;
    const [own, other, another] = browsers;
    const stranger = await site.loggedIn(site.person());
    const listed = (await own.get('/account/sessions')).json<{ handle: string; device: object }[]>();
    site.application.clock.advance('5m');
    const path = `/account/sessions/${other.id.handle}`;
    const stale = outcomeOf(await own.request('DELETE', path));
    await own.post('/account/proofs/password');
    await stranger.post('/account/proofs/password');
    const byStranger = (await stranger.request('DELETE', path)).json();
    const ended = (await own.request('DELETE', path)).json();

    expect(listed.map(({ handle }) => handle).sort()).toEqual(
      expect.arrayContaining([other.id.handle, another.id.handle]),
    );
    expect([listed.length, listed[0]!.device]).toEqual([3, expect.objectContaining({ ip: '127.0.0.1' })]);
    expect([stale, byStranger, ended]).toEqual(['fresh_login_required', { ended: false }, { ended: true }]);
    expect(await me(other)).toBe(`${UNAUTHENTICATED}: revoked`);
    expect((await own.request('DELETE', '/account/sessions')).json()).toEqual({ ended: 1 });
    expect([await me(own), await me(another), await me(stranger)]).toEqual([200, `${UNAUTHENTICATED}: revoked`, 200]);
  });

  it('V7.5.3 each highly sensitive transaction takes a further factor of its own', async () => {
    const browser = await site.loggedIn(person);
    const pay = async () => outcomeOf(await browser.post('/account/payments'));
    const prove = (method: string) => browser.post(`/account/proofs/${method}`);
    const byLogin = await pay();
    await prove('password');
    const byPassword = await pay();
    await prove('totp');
    const byFactor = [await pay(), await pay()];
    await prove('totp');
    site.application.clock.advance('2m');

    expect([byLogin, byPassword]).toEqual(['fresh_login_required', 'fresh_login_required']);
    expect(byFactor).toEqual([201, 'fresh_login_required']);
    expect(await pay()).toBe('fresh_login_required');
  });

  it('V7.6.1 a session that an identity provider has vouched for ends when the provider is to be asked again', async () => {
    const browser = site.browser();
    await browser.get(`/login/provider/callback?sub=${person.id}`);
    for (let n = 1; n < 4; n++) {
      site.application.clock.advance('5m');
      await site.use(browser);
    }
    site.application.clock.advance('5m');
    const afterwards = await me(browser);
    await browser.get(`/login/provider/callback?sub=${person.id}`);

    expect([afterwards, await me(browser)]).toEqual([`${UNAUTHENTICATED}: expired`, 200]);
  });

  it('V7.6.2 no session is created without an action of the user', async () => {
    const keys = (await site.redis.keys()).length;
    const visitor = site.browser();
    const visits = ['/public', '/me', '/session', '/login/provider', '/account/sessions', '/nowhere'];
    const cookies = await Promise.all(visits.map(async (path) => (await visitor.get(path)).setCookies));

    // A page elsewhere submits a login form by itself, with an account of its author's.
    const forged = await visitor.post('/login', {
      form: site.credentialsOf(person),
      headers: { 'sec-fetch-site': 'cross-site', origin: 'https://elsewhere.example' },
    });

    expect([outcomeOf(forged), visitor.cookies.size]).toEqual(['cross_site_request', 0]);
    expect(cookies.flat()).toEqual([]);
    expect((await site.redis.keys()).length).toBe(keys);
  });
});
