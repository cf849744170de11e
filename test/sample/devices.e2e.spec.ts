import { Browser } from '../support/browser.js';
import { eventually } from '../support/eventually.js';
import { RedisServer } from '../support/redis-server.js';
import { SampleProcess } from './sample-process.js';

const ADA = { username: 'ada', password: 'lovelace' };
const GRACE = { username: 'grace', password: 'hopper' };
const REMEMBER = { remember: 'yes' };
const DAY = 86_400_000;

const FIREFOX = 'Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0';
const IPHONE =
  'Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 ' +
  'Mobile/15E148 Safari/604.1';

interface Entry {
  name: string;
  isThis: boolean;
  handle: string;
  /** What the page says of it, tags left out. */
  text: string;
  icon: string;
}

/** The devices that a page lists, as a reader sees them. */
function devicesOn(page: string): Entry[] {
  return Array.from(page.matchAll(/<li>.*?<\/li>/gs), ([item]) => ({
    name: /<h2>([^<]*)/.exec(item)![1]!.trim(),
    isThis: item.includes('This device'),
    handle: /name="handle" value="([^"]+)"/.exec(item)![1]!,
    text: item.replace(/<[^>]+>/g, ' ').replace(/\s+/g, ' '),
    icon: /<img src="([^"]+)"/.exec(item)![1]!,
  }));
}

/** What a page has to say besides: a notice, the reason of a sign-out, an error. */
function messageOn(page: string): string | undefined {
  return /<p class="message[^>]*>([^<]*)</.exec(page)?.[1];
}

describe.each(['memory', 'redis'])('The devices sample in %s', (where) => {
  const closers: (() => unknown)[] = [];
  let redis: RedisServer | undefined;
  let sample: SampleProcess;

  async function start(env: Record<string, string> = {}): Promise<SampleProcess> {
    const started = await SampleProcess.start('02-devices', { ...(redis && { REDIS_URL: redis.url }), ...env });
    closers.push(() => started.stop());
    return started;
  }

  function browser({ url } = sample): Browser {
    const made = new Browser(url);
    closers.push(() => made.close());
    return made;
  }

  /** A browser that has logged in, ada unless it is said who. */
  async function loggedIn(userAgent = FIREFOX, form: Record<string, string> = ADA, from = sample): Promise<Browser> {
    const visitor = browser(from);
    const login = await visitor.post('/login', { form, headers: { 'user-agent': userAgent } });
    expect(login).toMatchObject({ status: 303, headers: { location: '/' } });
    return visitor;
  }

  async function devicesSeenBy(visitor: Browser): Promise<Entry[]> {
    return devicesOn((await visitor.get('/')).text);
  }

  const signOutOthers = (visitor: Browser) => visitor.post('/devices/sign-out-others');

  beforeAll(async () => {
    redis = where === 'redis' ? await RedisServer.start() : undefined;
    closers.push(() => redis?.stop());
    sample = await start();
  });

  afterEach(async () => {
    for (const form of [ADA, GRACE]) {
      const last = await loggedIn(FIREFOX, form);
      await signOutOthers(last);
      await last.post('/logout');
    }
  });

  afterAll(async () => {
    for (const close of closers.splice(0).reverse()) await close();
  });

  it('lists the devices in words, this one first', async () => {
    const laptop = await loggedIn(FIREFOX);
    const phone = await loggedIn(IPHONE);

    const seen = await devicesSeenBy(laptop);
    expect(seen).toMatchObject([
      { name: 'Firefox on Linux', isThis: true, icon: '/computer.svg' },
      { name: 'Safari on iOS', isThis: false, icon: '/phone.svg' },
    ]);
    for (const { text } of seen) {
      expect(text).toMatch(/ 127\.0\.0\.1 logged in (now|\d+ seconds? ago) · last seen (now|\d+ seconds? ago) /);
      expect(text).toMatch(/· expires in (10|9) minutes Sign out/);
    }
    expect(await devicesSeenBy(phone)).toMatchObject([
      { name: 'Safari on iOS', isThis: true },
      { name: 'Firefox on Linux', isThis: false },
    ]);
  });

  it('signs a device out from another, and tells it so on the login page', async () => {
    const laptop = await loggedIn(FIREFOX);
    const phone = await loggedIn(IPHONE);

    const [, { handle }] = (await devicesSeenBy(laptop)) as [Entry, Entry];
    const answer = await laptop.post('/devices/sign-out', { form: { handle }, follow: true });
    expect(messageOn(answer.text)).toBe('The device is signed out.');
    expect(devicesOn(answer.text)).toMatchObject([{ name: 'Firefox on Linux', isThis: true }]);

    const turnedAway = await phone.get('/', { follow: true });
    expect(turnedAway.url.href).toBe(`${sample.url}/login?reason=revoked`);
    expect(messageOn(turnedAway.text)).toBe('You were signed out from another of your devices.');
    expect((await phone.get('/session')).json()).toMatchObject({ statusCode: 401, reason: 'revoked' });

    const again = await laptop.post('/devices/sign-out', { form: { handle }, follow: true });
    expect(messageOn(again.text)).toBe('That device was signed out already.');
    expect(messageOn((await laptop.get('/')).text)).toBeUndefined();
  });

  it('signs out the device it is used on as a logout does', async () => {
    const laptop = await loggedIn();
    const [{ handle }] = (await devicesSeenBy(laptop)) as [Entry];

    const answer = await laptop.post('/devices/sign-out', { form: { handle }, follow: true });
    expect(messageOn(answer.text)).toBe('You have logged out.');
    expect(laptop.cookies.size).toBe(0);
  });

  it("does not sign out another user's device", async () => {
    const ada = await loggedIn();
    const grace = await loggedIn(IPHONE, GRACE);
    const [{ handle }] = (await devicesSeenBy(ada)) as [Entry];

    for (const form of [{ handle }, { handle: '' }, { handle: '../1' }, {}]) {
      expect(await grace.post('/devices/sign-out', { form })).toMatchObject({
        status: 303,
        headers: { location: '/' },
      });
    }
    expect(await devicesSeenBy(ada)).toHaveLength(1);
    expect(await devicesSeenBy(grace)).toHaveLength(1);
  });

  it('signs out the device of the first of six logins, and tells it that it was the limit', async () => {
    const first = await loggedIn(IPHONE);
    const others: Browser[] = [];
    for (let n = 1; n <= 5; n++) others.push(await loggedIn(`Robot${n}/1.0`));

    const names = (await devicesSeenBy(others[4]!)).map(({ name }) => name);
    expect(names).toEqual(['Robot5', 'Robot4', 'Robot3', 'Robot2', 'Robot1']);
    const turnedAway = await first.get('/', { follow: true });
    expect(turnedAway.url.search).toBe('?reason=limit');
    expect(messageOn(turnedAway.text)).toBe('You were signed out because you logged in on too many other devices.');
  });

  it('signs out all others at once after a fresh login', async () => {
    const phone = await loggedIn(IPHONE);
    const laptop = await loggedIn();

    expect(await signOutOthers(laptop)).toMatchObject({ status: 303, headers: { location: '/' } });
    const { text } = await laptop.get('/');
    expect(messageOn(text)).toBe('One other device is signed out.');
    expect(devicesOn(text)).toHaveLength(1);
    expect(text).not.toContain('Sign out all others');
    expect((await phone.get('/')).headers.location).toBe('/login?reason=revoked');
  });

  it('asks who was remembered for the password, refuses a wrong one, and goes on with the right one', async () => {
    const phone = await loggedIn(IPHONE);
    const laptop = await loggedIn(FIREFOX, { ...ADA, ...REMEMBER });

    const asked = await laptop.post('/devices/sign-out-others', { follow: true });
    expect(asked).toMatchObject({ status: 200, url: { pathname: '/confirm' } });
    expect(asked.text).toMatch(/<form[^>]+method="post" action="\/confirm"/);

    for (const form of [{ password: 'hopper' }, { password: '' }, { ...GRACE }, {}]) {
      const refused = await laptop.post('/confirm', { form });
      expect(refused.status).toBe(403);
      expect(messageOn(refused.text)).toBe('That is not your password');
      expect((await signOutOthers(laptop)).headers.location).toBe('/confirm');
    }
    expect(await devicesSeenBy(phone)).toHaveLength(2);

    const oldCookie = laptop.fork();
    closers.push(() => oldCookie.close());
    const confirmed = await laptop.post('/confirm', { form: { password: ADA.password }, follow: true });
    expect(confirmed.url.pathname).toBe('/');
    expect(messageOn(confirmed.text)).toBe('Thank you. Now you can sign out all other devices.');
    expect(devicesOn(confirmed.text)).toHaveLength(2);
    expect((await oldCookie.get('/session')).status).toBe(401);

    const done = await laptop.post('/devices/sign-out-others', { follow: true });
    expect(messageOn(done.text)).toBe('One other device is signed out.');
    expect((await phone.get('/')).headers.location).toBe('/login?reason=revoked');
  });

  it('asks for the password once the login is older than STEP_UP_WITHIN, and no more after it', async () => {
    const impatient = await start({ STEP_UP_WITHIN: '2s' });
    const laptop = await loggedIn(FIREFOX, ADA, impatient);

    await eventually('the login to be old', async () => (await signOutOthers(laptop)).headers.location === '/confirm', {
      timeout: 15_000,
      interval: 100,
    });
    const phone = await loggedIn(IPHONE, ADA, impatient);
    expect((await signOutOthers(laptop)).headers.location).toBe('/confirm');
    expect((await phone.get('/')).status).toBe(200);

    await eventually('all others to be signed out right after the password', async () => {
      await laptop.post('/confirm', { form: { password: ADA.password } });
      return (await signOutOthers(laptop)).headers.location === '/';
    });
    expect((await phone.get('/')).headers.location).toBe('/login?reason=revoked');
  });

  it('remembers a login for 30 days, where that is wanted', async () => {
    const remembered = await loggedIn(FIREFOX, { ...ADA, ...REMEMBER });
    const usual = await loggedIn(IPHONE);

    expect((await devicesSeenBy(remembered)).map(({ text }) => /expires in \d+ \w+/.exec(text)?.[0])).toEqual([
      'expires in 30 days',
      'expires in 10 minutes',
    ]);
    const left = ({ cookies }: Browser) => (cookies.find('sid')?.expires ?? 0) - Date.now();
    expect(left(remembered)).toBeGreaterThan(29 * DAY);
    expect(left(usual)).toBeLessThan(DAY);
  });

  it('tells how long the session lasts yet, and keeps it alive by no such question', async () => {
    const hasty = await start({ IDLE: '3s' });
    const laptop = await loggedIn(FIREFOX, ADA, hasty);

    const first = (await laptop.get('/session')).json<{ secondsLeft: number; expiresAt: string }>();
    expect(first.secondsLeft).toBeLessThanOrEqual(3);
    const next = await laptop.get('/session');
    expect(next.setCookies).toEqual([]);

    const ask = async () => (await laptop.get('/session')).status === 401;
    await eventually('the session to run out although the page polls', ask, { timeout: 15_000, interval: 100 });
    expect(Date.now()).toBeGreaterThanOrEqual(Date.parse(first.expiresAt) - 1_000);
    expect((await laptop.get('/')).headers.location).toBe('/login');
  });

  it('answers GET /session by a JSON 401 to who is not logged in, and leads their browser to the login page', async () => {
    const visitor = browser();
    expect((await visitor.get('/session')).json()).toMatchObject({ statusCode: 401, code: 'unauthenticated' });
    for (const path of ['/', '/confirm']) {
      expect(await visitor.get(path)).toMatchObject({ status: 303, headers: { location: '/login' } });
    }
    expect((await signOutOthers(visitor)).headers.location).toBe('/login');
    expect(visitor.cookies.size).toBe(0);
  });

  it('logs out, says so, and leads who is logged in from the login page to the devices', async () => {
    const laptop = await loggedIn();
    expect(await laptop.get('/login')).toMatchObject({ status: 303, headers: { location: '/' } });

    const loggedOut = await laptop.post('/logout', { follow: true });
    expect(messageOn(loggedOut.text)).toBe('You have logged out.');
    expect(laptop.cookies.size).toBe(0);
    expect((await laptop.get('/')).headers.location).toBe('/login');
  });

  it('says on the login page what is a known reason, and nothing else that stands in its address', async () => {
    const visitor = browser();
    const said = async (query: string) => messageOn((await visitor.get(`/login?${query}`)).text);

    for (const reason of ['idle_timeout', 'absolute_timeout', 'credentials_changed', 'reuse_detected', 'expired']) {
      expect(await said(`reason=${reason}`)).toMatch(/^(You were signed out because|Your session has run out)/);
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
    const visitor = browser();
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

  it.each(['', '-', '/', 'Mozilla/5.0'])('lists a device of the user agent "%s"', async (userAgent) => {
    await loggedIn(userAgent);
    const [, other] = await devicesSeenBy(await loggedIn());
    expect(other?.name).toMatch(/\S/);
  });

  it('refuses what the page of another site posts', async () => {
    const laptop = await loggedIn();
    const phone = await loggedIn(IPHONE);
    const [, { handle }] = (await devicesSeenBy(laptop)) as [Entry, Entry];
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
    const visitor = browser();
    const page = await visitor.get('/login');
    expect(page.headers['content-security-policy']).toContain("default-src 'self'");
    for (const file of ['/style.css', '/session-end.js', '/icon.svg', '/computer.svg', '/phone.svg']) {
      expect(await visitor.get(file)).toMatchObject({ status: 200, headers: { 'content-length': expect.anything() } });
    }
  });

  it('writes down what happens to sessions, and never what is in a cookie', async () => {
    const laptop = await loggedIn();
    const phone = await loggedIn(IPHONE);
    const [, { handle }] = (await devicesSeenBy(laptop)) as [Entry, Entry];
    await laptop.post('/devices/sign-out', { form: { handle } });

    await eventually('the line of the log', () =>
      sample.output.split('\n').find((line) => line.includes('"event":"revoked"') && line.includes(handle)),
    );
    for (const { cookies } of [laptop, phone]) {
      const [, secret] = /\.([\w-]{43})\./.exec(cookies.get('sid')!)!;
      expect(sample.output).not.toContain(secret);
    }
  });
});
