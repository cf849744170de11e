import {
  ADA,
  devicesSample,
  devicesSeenBy,
  GRACE,
  IPHONE,
  type Listed,
  messageOn,
  REMEMBER,
  signOutOthers,
} from './devices-sample.js';

describe('The pages of the devices sample', () => {
  const sample = devicesSample();
  const { loggedIn } = sample;

  it('responds to GET /session by a JSON 401 where nobody is logged in, and leads their browser to the login page', async () => {
    const visitor = sample.browser();
    expect((await visitor.get('/session')).json()).toMatchObject({ statusCode: 401, code: 'unauthenticated' });
    for (const path of ['/', '/confirm']) {
      expect(await visitor.get(path)).toMatchObject({ status: 303, headers: { location: '/login' } });
    }
    expect((await signOutOthers(visitor)).headers.location).toBe('/login');
    expect(visitor.cookies.size).toBe(0);
  });

  it('says on the login page what is a known reason, and nothing else that stands in its address', async () => {
    const visitor = sample.browser();
    const said = async (query: string) => messageOn((await visitor.get(`/login?${query}`)).text);

    for (const reason of ['expired', 'expired', 'credentials_changed', 'reuse_detected', 'expired']) {
      expect(await said(`reason=${reason}`)).toMatch(/^(You were signed out because|Your session has expired)/);
    }
    for (const query of [
      '',
      'reason=Call+0800',
      'reason=constructor',
      'reason=limit&reason=limit',
      'reason[a]=limit',
    ]) {
      expect(await said(query)).toBeUndefined();
    }
  });

  it('shows the login page again after a failed login, with the username and the tick still in it', async () => {
    const visitor = sample.browser();
    const wrong = await visitor.post('/login', { form: { username: '"ada"', password: 'wrong', ...REMEMBER } });
    expect(wrong.status).toBe(401);
    expect(messageOn(wrong.text)).toBe('Wrong username or password');
    expect(wrong.text).toContain('value="&#34;ada&#34;"');
    expect(wrong.text).toMatch(/name="remember"[^>]*checked/);

    const empty = await visitor.post('/login', { form: {} });
    expect(empty.status).toBe(400);
    expect(messageOn(empty.text)).toBe('Enter a username and a password');
    expect(visitor.cookies.size).toBe(0);
  });

  it('escapes what a user agent brings', async () => {
    await loggedIn('<script>alert(1)</script>/1.0 (x)');
    await loggedIn('"><img src=x onerror=alert(2)>');
    const laptop = await loggedIn();

    const { text } = await laptop.get('/');
    expect(text).toContain('&#60;script&#62;alert(1)&#60;/script&#62;');
    expect(text).toContain('aria-label="Sign out &#34;&#62;&#60;img"');
    expect(text).not.toMatch(/<script>|<img src=x/);
  });

  it('finds a name for the device of any user agent', async () => {
    for (const userAgent of ['', '-', '/', 'Mozilla/5.0']) await loggedIn(userAgent);
    for (const { name } of await devicesSeenBy(await loggedIn())) expect(name).toMatch(/\S/);
  });

  it('refuses what the page of another site posts', async () => {
    const laptop = await loggedIn();
    const phone = await loggedIn(IPHONE);
    const [, { handle }] = (await devicesSeenBy(laptop)) as [Listed, Listed];
    const posts = {
      '/login': GRACE,
      '/logout': {},
      '/confirm': { password: ADA.password },
      '/devices/sign-out': { handle },
      '/devices/sign-out-others': {},
    };

    for (const [path, form] of Object.entries(posts)) {
      for (const headers of [{ 'sec-fetch-site': 'cross-site' }, { origin: 'https://evil.example' }]) {
        expect(await laptop.post(path, { form, headers })).toMatchObject({ status: 403, setCookies: [] });
      }
    }
    expect(await devicesSeenBy(phone)).toHaveLength(2);
  });

  it('serves its style sheet, script and pictures, and lets pages run no other script', async () => {
    const visitor = sample.browser();
    for (const file of ['/style.css', '/session-end.js', '/icon.svg', '/computer.svg', '/phone.svg']) {
      expect(await visitor.get(file)).toMatchObject({ status: 200, headers: { 'content-length': expect.anything() } });
    }
    for (const path of ['/', '/login', '/session', '/style.css', '/session-end.js', '/nowhere']) {
      const { headers } = await visitor.get(path);
      expect(headers).toMatchObject({
        'content-security-policy': "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
        'x-content-type-options': 'nosniff',
      });
      expect(headers['x-powered-by']).toBeUndefined();
    }
  });
});
