import { type Browser } from '../support/browser.js';
import { eventually } from '../support/eventually.js';
import {
  ADA,
  devicesOn,
  devicesSample,
  devicesSeenBy,
  FIREFOX,
  GRACE,
  IPHONE,
  type Listed,
  messageOn,
  REMEMBER,
  signOutOthers,
} from './devices-sample.js';

const DAY = 86_400_000;

describe.each(['memory', 'redis'])('The devices sample in %s', (where) => {
  const sample = devicesSample(where);
  const { loggedIn } = sample;

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

    const [, { handle }] = (await devicesSeenBy(laptop)) as [Listed, Listed];
    const response = await laptop.post('/devices/sign-out', { form: { handle }, follow: true });
    expect(messageOn(response.text)).toBe('The device is signed out.');
    expect(devicesOn(response.text)).toMatchObject([{ name: 'Firefox on Linux', isThis: true }]);

    const turnedAway = await phone.get('/', { follow: true });
    expect(turnedAway.url.href).toBe(`${sample.process.url}/login?reason=revoked`);
    expect(messageOn(turnedAway.text)).toBe('You were signed out from another of your devices.');
    expect((await phone.get('/session')).json()).toMatchObject({ statusCode: 401, reason: 'revoked' });

    const again = await laptop.post('/devices/sign-out', { form: { handle }, follow: true });
    expect(messageOn(again.text)).toBe('That device was signed out already.');
    expect(messageOn((await laptop.get('/')).text)).toBeUndefined();
  });

  it('signs out the device it is used on as a logout does', async () => {
    const laptop = await loggedIn();
    const [{ handle }] = (await devicesSeenBy(laptop)) as [Listed];

    const response = await laptop.post('/devices/sign-out', { form: { handle }, follow: true });
    expect(messageOn(response.text)).toBe('You have logged out.');
    expect(laptop.cookies.size).toBe(0);
  });

  it("does not sign out another user's device", async () => {
    const ada = await loggedIn();
    const grace = await loggedIn(IPHONE, GRACE);
    const [{ handle }] = (await devicesSeenBy(ada)) as [Listed];

    for (const json of [{ handle }, { handle: '' }, { handle: '../1' }, {}, { handle: { toString: 1 } }]) {
      expect(await grace.post('/devices/sign-out', { json })).toMatchObject({
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

  it('asks whose login is not fresh for the password before any other device is signed out', async () => {
    const phone = await loggedIn(IPHONE);
    const stale = await loggedIn(FIREFOX, { ...ADA, ...REMEMBER });
    const [, { handle }] = (await devicesSeenBy(stale)) as [Listed, Listed];
    const signOut = () => stale.post('/devices/sign-out', { form: { handle } });

    expect(await signOut()).toMatchObject({ status: 303, headers: { location: '/confirm' } });
    expect(await devicesSeenBy(phone)).toHaveLength(2);

    await stale.post('/confirm', { form: { password: ADA.password } });
    expect(await signOut()).toMatchObject({ status: 303, headers: { location: '/' } });
    expect((await phone.get('/')).headers.location).toBe('/login?reason=revoked');
  });

  it('signs out the device itself, by its button, without the password', async () => {
    const stale = await loggedIn(FIREFOX, { ...ADA, ...REMEMBER });
    await loggedIn(IPHONE);
    const { text } = await stale.get('/');
    const targets = Array.from(
      text.matchAll(/<button[^>]*name="handle"[^>]*>/g),
      ([button]) => /formaction="([^"]+)"/.exec(button)?.[1],
    );
    expect(targets).toEqual(['/logout', undefined]);
    expect((await stale.post('/logout')).headers.location).toBe('/login?reason=logged_out');
    expect((await stale.get('/session')).status).toBe(401);
  });

  it('asks who was remembered for the password, refuses a wrong one, and goes on with the right one', async () => {
    const phone = await loggedIn(IPHONE);
    const laptop = await loggedIn(FIREFOX, { ...ADA, ...REMEMBER });

    const asked = await laptop.post('/devices/sign-out-others', { follow: true });
    expect(asked).toMatchObject({ status: 200, url: { pathname: '/confirm' } });
    expect(asked.text).toMatch(/<form[^>]+method="post" action="\/confirm"/);

    const wrong: Record<string, string>[] = [{ password: 'hopper' }, { password: '' }, GRACE, {}];
    for (const form of wrong) {
      const refused = await laptop.post('/confirm', { form });
      expect(refused.status).toBe(403);
      expect(messageOn(refused.text)).toBe('That is not your password');
      expect((await signOutOthers(laptop)).headers.location).toBe('/confirm');
    }
    expect(await devicesSeenBy(phone)).toHaveLength(2);

    const oldCookie = laptop.fork();
    const confirmed = await laptop.post('/confirm', { form: { password: ADA.password }, follow: true });
    expect(confirmed.url.pathname).toBe('/');
    expect(messageOn(confirmed.text)).toBe('Thank you. Now you can sign out other devices.');
    expect(devicesOn(confirmed.text)).toHaveLength(2);
    expect((await oldCookie.get('/session')).status).toBe(401);
    oldCookie.close();

    const done = await laptop.post('/devices/sign-out-others', { follow: true });
    expect(messageOn(done.text)).toBe('One other device is signed out.');
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
    // Each cookie stays a day longer than its session can, to be told that it has expired. The absolute limit is 8 hours.
    for (const [browser, days] of [
      [remembered, 31],
      [usual, 1 + 8 / 24],
    ] as const) {
      expect(left(browser)).toBeGreaterThan(days * DAY - 60_000);
      expect(left(browser)).toBeLessThanOrEqual(days * DAY);
    }
  });

  it('logs out, says so, and leads who is logged in from the login page to the devices', async () => {
    const laptop = await loggedIn();
    expect(await laptop.get('/login')).toMatchObject({ status: 303, headers: { location: '/' } });

    const loggedOut = await laptop.post('/logout', { follow: true });
    expect(messageOn(loggedOut.text)).toBe('You have logged out.');
    expect(laptop.cookies.size).toBe(0);
    expect((await laptop.get('/')).headers.location).toBe('/login');
  });

  it('writes down what happens to sessions, and never what is in a cookie', async () => {
    const laptop = await loggedIn();
    const phone = await loggedIn(IPHONE);
    const [, { handle }] = (await devicesSeenBy(laptop)) as [Listed, Listed];
    await laptop.post('/devices/sign-out', { form: { handle } });

    await eventually('the line of the log', () =>
      sample.process.output.split('\n').find((line) => line.includes('"event":"revoked"') && line.includes(handle)),
    );
    for (const { cookies } of [laptop, phone]) {
      const [, secret] = /\.([\w-]{43})\./.exec(cookies.get('sid')!)!;
      expect(sample.process.output).not.toContain(secret);
    }
  });
});
