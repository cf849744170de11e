import { ADA, FIREFOX, GRACE, IPHONE } from './devices-sample.js';
import { Chromium, type ChromiumWindow } from './chromium.js';
import { SampleProcess } from './sample-process.js';

describe('The live sample in two windows of a Chromium', () => {
  let sample: SampleProcess;
  let chromium: Chromium;
  beforeAll(async () => {
    [sample, chromium] = await Promise.all([SampleProcess.start('03-live'), Chromium.start()]);
  }, 60_000);
  afterAll(async () => {
    await chromium.stop();
    await sample.stop();
  });

  const windows: ChromiumWindow[] = [];
  afterEach(async () => {
    for (const window of windows.splice(0)) {
      await window.eval(`fetch('/logout', { method: 'POST', redirect: 'manual' }).then(() => true)`);
      await window.close();
    }
  });

  async function loggedIn(userAgent: string, user = ADA): Promise<ChromiumWindow> {
    const window = await chromium.open(userAgent);
    windows.push(window);
    await window.goTo(`${sample.url}/login`);
    await window.submit('form', user);
    await window.until(`location.pathname === '/' && document.querySelector('#devices .badge') !== null`);
    return window;
  }
  const text = (window: ChromiumWindow, selector: string) =>
    window.eval<string>(`document.querySelector(${JSON.stringify(selector)}).innerText`);
  const says = (selector: string, words: string) =>
    `document.querySelector(${JSON.stringify(selector)})?.innerText.includes(${JSON.stringify(words)}) === true`;

  it('shows each device that is online, and what everybody says', async () => {
    const [laptop, phone] = [await loggedIn(FIREFOX), await loggedIn(IPHONE)];
    const grace = await loggedIn(FIREFOX, GRACE);
    await laptop.until(`document.querySelectorAll('#devices li').length === 2`);
    await laptop.until(`document.querySelector('#devices').innerText.match(/online/g)?.length === 2`);

    await phone.submit('#say', { text: '<b>On my way.</b>' });

    for (const window of [laptop, phone, grace]) await window.until(says('#chat', '<b>On my way.</b>'));
    expect(await text(grace, '#chat strong')).toBe('Ada Lovelace, Safari on iOS');
    expect(await text(grace, '#devices')).not.toContain('Safari');
  });

  it('says on the page of a device that is signed out elsewhere why that is, at once, and takes nothing more from it', async () => {
    const [laptop, phone] = [await loggedIn(FIREFOX), await loggedIn(IPHONE)];
    await laptop.submit('#say', { text: 'Is that still my phone?' });
    await phone.submit('#say', { text: 'No, I have just found it.' });
    await laptop.until(says('#chat', 'No, I have'));

    await laptop.eval(`document.querySelector('#devices button[aria-label="Sign out Safari on iOS"]').click()`);

    await phone.until(says('#ended', 'You were signed out from another of your devices.'));
    expect(await phone.eval(`document.querySelector('#say button').disabled`)).toBe(true);
    expect(await laptop.eval(`document.querySelector('#ended').hidden`)).toBe(true);
    await laptop.until(`!document.querySelector('#devices').innerText.includes('Safari')`);
    const { SCREENSHOTS } = process.env;
    if (SCREENSHOTS !== undefined) {
      await laptop.screenshot(`${SCREENSHOTS}/laptop.png`);
      await phone.screenshot(`${SCREENSHOTS}/phone.png`);
    }
    await phone.eval(`location.assign('/')`);
    await phone.until(`location.search === '?reason=revoked'`);
  });

  it('says it on the page of a device that logs out in another tab', async () => {
    const phone = await loggedIn(IPHONE);
    await phone.eval(`fetch('/logout', { method: 'POST', redirect: 'manual' }).then(() => true)`);
    await phone.until(says('#ended', 'You have logged out.'));
  });
});
