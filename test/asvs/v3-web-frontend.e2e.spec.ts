import { Controller, Get, Post, Req } from '@nestjs/common';
import { WsAdapter } from '@nestjs/platform-ws';
import { CurrentSession, type SessionAuthOptions, type SessionRequest } from '../../lib/index.js';
import type { RequestOptions } from '../support/browser.js';
import { GuardedGateway } from '../support/gateways.js';
import { describePlatforms } from '../support/platforms.js';
import { TestSocket } from '../support/web-socket.js';
import { outcomeOf, type Person, productionSite, type SecureBrowser } from './site.js';

/** What code of the application may try. */
@Controller('careless')
class CarelessController {
  @Post('cookie')
  weaken(@CurrentSession() session: SessionRequest['session'] & object) {
    Object.assign(session.cookie, {
      httpOnly: false,
      secure: false,
      sameSite: false,
      domain: 'example.com',
      path: '/x',
    });
    session.cookie.maxAge = 3_000_000;
    return {};
  }

  /** All that is at hand of a session. */
  @Get('everything')
  everything(@Req() request: SessionRequest, @CurrentSession() session: object) {
    return { id: request.sessionID, session, cookie: request.session?.cookie, user: request.user };
  }
}

describePlatforms(() => {
  const site = productionSite({
    options: { knownDevices: true }, // So that there are all cookies that the module knows.
    controllers: [CarelessController],
    providers: [GuardedGateway],
    configure: (app) => {
      app.useWebSocketAdapter(new WsAdapter(app));
      app.enableCors({ origin: true, credentials: true }); // As lax as can be.
    },
  });
  let person: Person;
  beforeEach(() => {
    person = site.person();
  });

  /** The cookies that the module sets on the way from a visit to a logout. */
  async function cookiesSet(on = site.application): Promise<string[]> {
    const browser = site.browser(on);
    const responses = [
      await browser.request('PUT', '/session/cart', { json: { value: 1 } }),
      await browser.post('/login', { json: site.credentialsOf(site.person(on)) }),
      await browser.post('/account/proofs/totp'),
      await browser.post('/careless/cookie'),
    ];
    on.clock.advance('9m');
    await site.use(browser, on);
    on.clock.advance('8m');
    responses.push(await browser.get('/me')); // The secret changes.
    responses.push(await browser.post('/leave'));
    const cookies = responses.map(({ setCookies }) => setCookies);
    expect(cookies.map(({ length }) => length)).toEqual([1, 2, 1, 1, 1, 1]); // The login marks the browser, too.
    return cookies.flat();
  }
  const withCookie = (cookie: SessionAuthOptions['cookie']) => site.start({ options: { knownDevices: true, cookie } });

  it('V3.3.1 every cookie is Secure, and its name has a prefix for which browsers insist on that', async () => {
    for (const cookie of await cookiesSet()) expect(cookie).toMatch(/^__Host-Http-(sid|device)=.*; Secure(;|$)/);
    const shared = await withCookie({ name: '__Secure-sid', path: '/login' });
    const response = await site.browser(shared).post('/login', { json: site.credentialsOf(site.person(shared)) });

    expect(response.setCookies).toEqual([
      expect.stringMatching(/^__Secure-sid=.*; Secure(;|$)/),
      expect.stringMatching(/^__Host-Http-device=.*; Secure(;|$)/),
    ]);
    // Over plain HTTP there is no login rather than a cookie that could be read on the way.
    const plain = await site
      .browser()
      .post('/login', { json: site.credentialsOf(person), headers: { 'x-forwarded-proto': 'http' } });
    expect([outcomeOf(plain), plain.setCookies]).toEqual(['cookie_not_sendable', []]);
    await expect(withCookie({ name: 'sid', secure: false })).rejects.toThrow(/"cookie\.secure": false is refused/);
  });

  it('V3.3.2 every cookie has the SameSite value that was chosen for it, by default Lax', async () => {
    for (const cookie of await cookiesSet()) expect(cookie).toMatch(/; SameSite=Lax(;|$)/);
    for (const cookie of await cookiesSet(await withCookie({ sameSite: 'strict' }))) {
      expect(cookie).toMatch(/; SameSite=Strict(;|$)/);
    }
  });

  it('V3.3.3 every cookie has the prefix __Host-, for which it has no domain and the path /', async () => {
    for (const cookie of await cookiesSet()) expect(cookie).toMatch(/^__Host-(?!.*; Domain=).*; Path=\/;/);
    await expect(withCookie({ domain: 'example.com' })).rejects.toThrow(/refuse "__Host-Http-sid" with a domain/);
  });

  it('V3.3.4 every cookie is HttpOnly, and Set-Cookie is the only way by which a session token leaves the server', async () => {
    for (const cookie of await cookiesSet()) expect(cookie).toMatch(/; HttpOnly(;|$)/);
    const browser = await site.loggedIn(person);
    const { secret } = browser.id;
    const responses = await Promise.all(
      ['/me', '/current', '/session', '/careless/everything', '/account/sessions', '/nowhere'].map((path) =>
        browser.get(path),
      ),
    );
    responses.push(await browser.post('/login', { json: { username: person.id, password: 'a wrong one' } }));

    expect(secret).toMatch(/^[\w-]{43}$/);
    for (const { headers, text } of responses) {
      expect(text).not.toBe('');
      expect(JSON.stringify(headers) + text).not.toContain(secret);
    }
  });

  it('V3.3.5 name and value of the cookie have at most 4096 bytes, whatever the session holds', async () => {
    const application = await withCookie({ name: 'n'.repeat(3890) });
    const browser = site.browser(application);
    await browser.post('/login', { json: site.credentialsOf(site.person(application)) });
    const { setCookies } = await browser.post('/account/proofs/totp');
    const rich = await site.loggedIn(person);
    await rich.request('PUT', '/session/note', { json: { value: 'x'.repeat(20_000) } });
    await rich.post('/account/proofs/totp');
    const bytesOf = (cookie: string) => Buffer.byteLength(cookie.replace(/;.*$/, '').replace('=', ''));

    expect(setCookies).toHaveLength(1);
    expect(bytesOf(setCookies[0]!)).toBeGreaterThan(4000);
    expect(bytesOf(setCookies[0]!)).toBeLessThanOrEqual(4096);
    expect((await rich.get('/session')).text.length).toBeGreaterThan(20_000);
    expect(bytesOf(rich.cookie)).toBeLessThan(200);
    await expect(withCookie({ name: 'n'.repeat(3891) })).rejects.toThrow(/more than 4096 bytes/);
  });

  /** What a browser says of a request that a page of another site, or of a sibling host, makes it send. */
  const ELSEWHERE: Record<string, string>[] = [
    { 'sec-fetch-site': 'cross-site', origin: 'https://elsewhere.example' },
    { 'sec-fetch-site': 'same-site', origin: 'https://sub.example.com' },
    { 'sec-fetch-site': 'cross-site', origin: 'null' },
    { origin: 'https://elsewhere.example' }, // An older browser, or a proxy that drops the other header.
  ];
  /** What comes of a request from there in the name of who is logged in, and what is in the session afterwards. */
  async function forged(method: string, path: string, { headers, ...body }: RequestOptions) {
    const victim = await site.loggedIn(site.person());
    const outcomes: unknown[] = [];
    for (const from of ELSEWHERE) {
      const response = await victim.request(method, path, { ...body, headers: { ...headers, ...from } });
      outcomes.push(outcomeOf(response), response.setCookies.length);
    }
    return [...new Set(outcomes), (await victim.get('/session')).text, (await victim.get('/me')).status];
  }
  const UNTOUCHED = ['cross_site_request', 0, '{}', 200];

  it('V3.5.1 a request that changes something has to come from the application itself, without any token', async () => {
    const own = await site.loggedIn(person);
    const { origin, host } = new URL(site.application.url);
    const trusting = await site.start({ options: { trustedOrigins: ['https://elsewhere.example'] } });
    const change = async (by: SecureBrowser, headers: Record<string, string> = {}) =>
      (await by.request('PUT', '/session/cart', { json: { value: 1 }, headers })).status;

    expect(await forged('POST', '/leave', { form: {} })).toEqual(UNTOUCHED);
    expect(await forged('POST', '/account/proofs/totp', { form: {} })).toEqual(UNTOUCHED);
    expect(await change(own, { 'sec-fetch-site': 'same-origin', origin })).toBe(200);
    expect(await change(own, { origin: `https://${host}` })).toBe(200);
    expect(await change(own)).toBe(200); // No browser has sent this.
    expect(await change(await site.loggedIn(site.person(trusting), trusting), ELSEWHERE[0])).toBe(200);
  });

  it('V3.5.2 nothing depends on a CORS preflight: requests that have none are refused, and those that a lax CORS policy admits', async () => {
    const json = JSON.stringify({ value: 1 });
    const multipart = '--x\r\nContent-Disposition: form-data; name="value"\r\n\r\n1\r\n--x--\r\n';
    const simple: [type: string | undefined, body: string][] = [
      ['text/plain', json],
      ['application/x-www-form-urlencoded', 'value=1'],
      ['multipart/form-data; boundary=x', multipart],
      [undefined, ''],
    ];
    for (const [type, body] of simple) {
      expect(await forged('POST', '/account/password', { body, headers: { 'content-type': type } })).toEqual(UNTOUCHED);
    }
    // The application answers every preflight with yes.
    expect(await forged('PUT', '/session/cart', { json: { value: 1 } })).toEqual(UNTOUCHED);
    expect(await forged('DELETE', '/account/sessions', {})).toEqual(UNTOUCHED);
  });

  it('V3.5.3 a handshake, which is a GET and yet opens a connection, is refused unless its Sec-Fetch-Site or Origin is right', async () => {
    const { application } = site;
    const browser = await site.loggedIn(person);
    const connect = async (headers: Record<string, string>) => {
      const whole = { 'x-forwarded-proto': 'https', ...headers };
      const socket = await TestSocket.open(application, browser.cookie, '/', whole);
      const outcome = socket.isOpen ? 'open' : socket.error?.message;
      socket.close();
      return outcome;
    };
    const own = new URL(application.url).host;
    const REFUSED = 'Unexpected server response: 403';

    expect(await connect({ origin: `https://${own}`, 'sec-fetch-site': 'same-origin' })).toBe('open');
    expect(await connect({ origin: `https://${own}` })).toBe('open');
    expect(await connect({ origin: 'https://elsewhere.example', 'sec-fetch-site': 'cross-site' })).toBe(REFUSED);
    expect(await connect({ origin: 'https://sub.example.com', 'sec-fetch-site': 'same-site' })).toBe(REFUSED);
    expect(await connect({ origin: 'https://elsewhere.example' })).toBe(REFUSED);
  });

  it('V3.7.2 a login goes to other hosts only where the application itself has named them', async () => {
    const destinationOf = async (path: string, returnTo?: string) => {
      const browser = site.browser();
      await browser.request('PUT', '/session/returnTo', { json: { value: returnTo } });
      const response = await browser.post(path, { json: site.credentialsOf(person) });
      return [response.status, response.headers.location];
    };
    const elsewhere = [
      'https://evil.example/',
      '//evil.example',
      '/\\evil.example',
      '/\t/evil.example',
      'javascript:alert(1)',
    ];

    expect(await destinationOf('/login/returning', '/inbox?page=2')).toEqual([302, '/inbox?page=2']);
    for (const returnTo of elsewhere) {
      expect(await destinationOf('/login/returning', returnTo)).toEqual([302, '/public']);
    }
    expect(await destinationOf('/login/elsewhere', '/inbox')).toEqual([302, 'https://accounts.example.com/']);
  });
});
