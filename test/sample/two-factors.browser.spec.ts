import { Authenticator } from './authenticator.js';
import { Chromium, type ChromiumWindow } from './chromium.js';
import { ADA, FIREFOX } from './devices-sample.js';
import { SampleProcess } from './sample-process.js';

const IBAN = 'CH93 0076 2011 6238 5295 7';

describe('The two-factors sample in a Chromium', () => {
  let sample: SampleProcess;
  let chromium: Chromium;
  let window: ChromiumWindow;
  beforeAll(async () => {
    [sample, chromium] = await Promise.all([SampleProcess.start('04-two-factors'), Chromium.start()]);
    window = await chromium.open(FIREFOX);
  }, 60_000);
  afterAll(async () => {
    await chromium.stop();
    await sample.stop();
  });

  const isAt = (path: string, heading: string) =>
    window.until(
      `location.pathname === ${JSON.stringify(path)} && document.querySelector('h1')?.innerText === ${JSON.stringify(heading)}`,
    );
  const text = (selector: string) =>
    window.eval<string>(`document.querySelector(${JSON.stringify(selector)}).innerText`);
  const screenshot = async (name: string) => {
    const { SCREENSHOTS } = process.env;
    if (SCREENSHOTS !== undefined) await window.screenshot(`${SCREENSHOTS}/${name}.png`);
  };
  async function logOut(): Promise<void> {
    await window.eval(`document.querySelector('form.user').requestSubmit()`);
    await isAt('/login', 'Log in');
  }

  it('is entered with the code of an app that has scanned the QR code, then without one, and steps up where it matters', async () => {
    await window.goTo(`${sample.url}/login`);
    await window.submit('form', ADA);
    await isAt('/', 'Your account');
    await window.eval(`document.querySelector('a[href="/two-factors"]').click()`);
    await isAt('/two-factors', 'Turn on two factors');
    await window.until(`document.querySelector('.qr').naturalWidth > 0`);
    const app = Authenticator.scan(await window.eval<string>(`document.querySelector('.qr').src`));
    await screenshot('enrolment');
    await window.submit('form.card', { code: await app.code() });
    await isAt('/', 'Your account');

    await logOut();
    await window.submit('form', ADA);
    await isAt('/login/code', 'Enter the code');
    await window.eval(`document.querySelector('[name=trust]').checked = true`);
    await window.submit('form.card', { code: await app.code() });
    await isAt('/', 'Your account');

    await logOut();
    await window.submit('form', ADA);
    await isAt('/', 'Your account');

    await window.submit('#payout', { iban: IBAN });
    await isAt('/confirm', 'Show that it is you');
    await window.submit('form.card', { code: await app.code() });
    await isAt('/confirm', 'Thank you');
    expect(await window.eval(`document.querySelector('#once-more [name=iban]').value`)).toBe(IBAN);
    await screenshot('once-more');
    expect(await text('#once-more')).toContain('This is what you were about to do');
    await window.submit('#once-more', {});
    await isAt('/', 'Your account');
    expect(await text('#iban')).toBe(IBAN);
  });
});
