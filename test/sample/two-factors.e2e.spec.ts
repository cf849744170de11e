import { Browser, type BrowserResponse } from '../support/browser.js';
import { Authenticator } from './authenticator.js';
import { ADA, GRACE, messageOn } from './devices-sample.js';
import { SampleProcess } from './sample-process.js';

/** What a browser says when it loads a page. */
const headers = { 'sec-fetch-mode': 'navigate', 'sec-fetch-site': 'same-origin', accept: 'text/html' };
const IBAN = 'CH93 0076 2011 6238 5295 7';

describe('The two-factors sample', () => {
  const closers: (() => unknown)[] = [];
  let sample: SampleProcess;

  async function start(env: Record<string, string> = {}): Promise<void> {
    const started = await SampleProcess.start('04-two-factors', env);
    closers.push(() => started.stop());
    sample = started;
  }
  afterEach(async () => {
    for (const close of closers.splice(0).reverse()) await close();
  });

  function newBrowser(): Browser {
    const browser = new Browser(sample.url);
    closers.push(() => {
      browser.close();
    });
    return browser;
  }
  const see = (browser: Browser, path: string) => browser.get(path, { headers });
  const submit = (browser: Browser, path: string, form: Record<string, string> = {}) =>
    browser.post(path, { headers, form });
  const led = ({ status, headers: { location } }: BrowserResponse) => (status === 303 ? location : status);
  const ibanSeenBy = async (browser: Browser) => /<p id="iban">([^<]*)/.exec((await see(browser, '/')).text)?.[1];

  async function withPassword(browser = newBrowser(), user: Record<string, string> = ADA): Promise<Browser> {
    expect(led(await submit(browser, '/login', user))).toBe('/');
    return browser;
  }
  /** The authenticator after the QR code was scanned, and its first code entered. */
  async function enrolled(browser: Browser): Promise<Authenticator> {
    const page = await see(browser, '/two-factors');
    const app = Authenticator.scan(/<img class="qr" src="([^"]+)"/.exec(page.text)![1]!);
    expect(page.text).toContain(`<code>${app.secret}</code>`);
    expect(led(await submit(browser, '/two-factors', { code: await app.code() }))).toBe('/');
    return app;
  }

  it('is entered with the password alone until the QR code was scanned, and with a code from then on', async () => {
    await start();
    const [first, other] = [await withPassword(), await withPassword()];
    const app = await enrolled(first);

    expect(app.link).toMatch(/^otpauth:\/\/totp\/Two%20factors:ada\?/);
    expect(led(await see(first, '/'))).toBe(200);
    expect(led(await see(other, '/'))).toBe('/login?reason=credentials_changed');
    await withPassword(other);
    expect(led(await see(other, '/'))).toBe('/login/code');
    expect(led(await submit(other, '/payout', { iban: IBAN }))).toBe('/login/code');
    expect(led(await submit(other, '/login/code', { code: app.wrongCode() }))).toBe(403);
    const code = await app.code();
    expect(led(await submit(other, '/login/code', { code: ` ${code.slice(0, 3)} ${code.slice(3)}` }))).toBe('/');
    expect(led(await see(other, '/'))).toBe(200);
    expect(led(await see(await withPassword(newBrowser(), GRACE), '/'))).toBe(200);
  });

  it('takes no code twice, nor an earlier one', async () => {
    await start();
    const browser = await withPassword();
    const app = await enrolled(browser);
    const [earlier, code] = [await app.code(), await app.code()];
    await submit(browser, '/logout');
    await withPassword(browser);

    expect(led(await submit(browser, '/login/code', { code }))).toBe('/');
    for (const used of [code, earlier]) {
      const again = await withPassword();
      const response = await submit(again, '/login/code', { code: used });
      expect([response.status, messageOn(response.text)]).toEqual([403, 'That is not the code, or it was used before']);
    }
  });

  it('does not ask again on a device that is trusted, but for a payout account', async () => {
    await start();
    const browser = await withPassword();
    const app = await enrolled(browser);
    await submit(browser, '/logout');
    await withPassword(browser);
    expect(led(await submit(browser, '/login/code', { code: await app.code(), trust: 'yes' }))).toBe('/');
    await submit(browser, '/logout');
    await withPassword(browser);

    expect(led(await see(browser, '/'))).toBe(200);
    expect(led(await see(await withPassword(), '/'))).toBe('/login/code');
    expect(led(await submit(browser, '/payout', { iban: IBAN }))).toBe('/confirm');
    expect(led(await submit(browser, '/two-factors/off'))).toBe('/confirm');
    const page = await submit(browser, '/confirm', { code: await app.code() });
    expect(page.text).toMatch(/action="\/two-factors\/off"/);
    expect(led(await submit(browser, '/two-factors/off'))).toBe('/');

    await enrolled(browser);
    await submit(browser, '/logout');
    await withPassword(browser);
    expect(led(await see(browser, '/'))).toBe('/login/code');
  });

  it('goes on with the form that was interrupted, and shows what it is about', async () => {
    await start();
    const browser = await withPassword();
    const app = await enrolled(browser);
    await submit(browser, '/logout');
    await withPassword(browser);
    await submit(browser, '/login/code', { code: await app.code(), trust: 'yes' });
    await submit(browser, '/logout');
    await withPassword(browser);

    expect(led(await submit(browser, '/payout', { iban: '"><script>', password: 'hunter2' }))).toBe('/confirm');
    expect(led(await submit(browser, '/confirm', { code: app.wrongCode() }))).toBe(403);
    const page = await submit(browser, '/confirm', { code: await app.code() });
    expect(page.text).toContain('value="&#34;&#62;&#60;script&#62;"');
    expect(page.text).not.toMatch(/<script|hunter2/);
    expect(page.headers['cache-control']).toBe('no-store');
    const refused = await submit(browser, '/payout', { iban: '"><script>' });
    expect([refused.status, messageOn(refused.text)]).toEqual([400, 'That is no IBAN']);
    expect(led(await submit(browser, '/payout', { iban: IBAN }))).toBe('/');
    expect(await ibanSeenBy(browser)).toBe(IBAN);
  });

  it('has the password confirmed before two factors are turned on by an open page, and leads back there', async () => {
    await start({ STEP_UP_WITHIN: '1ms' });
    const browser = await withPassword();

    for (const response of [await see(browser, '/two-factors'), await submit(browser, '/two-factors', { code: '1' })]) {
      expect(led(response)).toBe('/confirm');
    }
    await see(browser, '/two-factors');
    expect(led(await submit(browser, '/confirm', { password: 'hopper' }))).toBe(403);
    expect(led(await submit(browser, '/confirm', { password: ADA.password }))).toBe('/two-factors');
  });

  it('lets nobody change the payout account without a second factor', async () => {
    await start();
    const browser = await withPassword();

    expect((await see(browser, '/')).text).toContain('turn on two factors first');
    expect(led(await submit(browser, '/payout', { iban: IBAN }))).toBe('/confirm');
    await submit(browser, '/confirm', { password: ADA.password });
    expect(led(await submit(browser, '/payout', { iban: IBAN }))).toBe('/confirm');
    expect(await ibanSeenBy(browser)).toMatch(/^GB33/);
  });

  it('lets nobody guess: not a code, however many logins it takes, nor a password', async () => {
    await start();
    const browser = await withPassword();
    const app = await enrolled(browser);
    for (let attempt = 0; attempt < 5; attempt++) {
      expect(led(await submit(await withPassword(), '/login/code', { code: app.wrongCode() }))).toBe(403);
    }
    const late = await submit(await withPassword(), '/login/code', { code: await app.code() });
    expect([late.status, messageOn(late.text)]).toEqual([429, expect.stringMatching(/^Too many attempts/)]);

    const tries = Array.from({ length: 12 }, () => submit(newBrowser(), '/login', { ...GRACE, password: 'wrong' }));
    const statuses = (await Promise.all(tries)).map(({ status }) => status);
    expect(statuses.sort()).toEqual([...Array<number>(10).fill(401), 429, 429]);
    expect(led(await submit(newBrowser(), '/login', GRACE))).toBe(429);
  });

  it('runs no script, and writes no secret into its log', async () => {
    await start();
    const browser = await withPassword();
    const app = await enrolled(browser);
    const code = await app.code();
    await submit(browser, '/logout');
    await withPassword(browser);
    await submit(browser, '/login/code', { code, trust: 'yes' });
    await submit(browser, '/payout', { iban: IBAN });
    const page = await see(browser, '/');

    expect(page.headers['content-security-policy']).toContain("default-src 'self'");
    expect(page.headers['x-content-type-options']).toBe('nosniff');
    const log = sample.output.slice(sample.output.indexOf('login-pending'));
    expect(log).toContain('logged-in');
    for (const secret of [ADA.password, app.secret, code, IBAN]) expect(log).not.toContain(secret);
  });
});
