import { TestIoSocket } from '../support/io-socket.js';
import { Browser } from '../support/browser.js';
import { cookieOf } from '../support/devices.js';
import { eventually } from '../support/eventually.js';
import { ADA, FIREFOX, GRACE, IPHONE } from './devices-sample.js';
import { SampleProcess } from './sample-process.js';

interface Listed {
  handle: string;
  name: string;
  isOnline: boolean;
}

describe('The live sample', () => {
  let sample: SampleProcess;
  beforeAll(async () => {
    sample = await SampleProcess.start('03-live');
  });
  const closers: (() => unknown)[] = [];
  afterEach(async () => {
    for (const close of closers.splice(0).reverse()) await close();
  });
  afterAll(() => sample.stop());

  async function loggedIn(userAgent: string, form: Record<string, string> = ADA): Promise<Browser> {
    const browser = new Browser(sample.url);
    closers.push(async () => {
      await browser.post('/logout');
      browser.close();
    });
    const login = await browser.post('/login', { form, headers: { 'user-agent': userAgent } });
    expect(login).toMatchObject({ status: 303, headers: { location: '/' } });
    return browser;
  }
  async function chatting(browser: Browser): Promise<TestIoSocket> {
    const socket = await TestIoSocket.open(sample, browser);
    closers.push(() => {
      socket.close();
    });
    return socket;
  }
  /** The first list of the feed. */
  async function devicesOf(browser: Browser): Promise<Listed[]> {
    const feed = new AbortController();
    const response = await fetch(`${sample.url}/devices`, {
      headers: { cookie: cookieOf(browser), accept: 'text/event-stream' },
      signal: feed.signal,
    });
    let text = '';
    for await (const chunk of response.body as unknown as AsyncIterable<Uint8Array>) {
      text += Buffer.from(chunk).toString();
      if (/^data: .*\n\n/m.test(text)) break;
    }
    feed.abort();
    return JSON.parse(/^data: (.*)$/m.exec(text)![1]!) as Listed[];
  }

  it('lists the devices, and which of them are online', async () => {
    const [laptop, phone] = [await loggedIn(FIREFOX), await loggedIn(IPHONE)];
    await loggedIn('curl/8');
    await chatting(phone);

    expect((await devicesOf(laptop)).map(({ name, isOnline }) => [name, isOnline]).sort()).toEqual([
      ['Firefox on Linux', true], // By the feed itself.
      ['Safari on iOS', true],
      ['curl', false],
    ]);
    expect((await new Browser(sample.url).get('/devices')).status).toBe(401);
  });

  it('passes on what is said, with who says it', async () => {
    const [ada, grace] = [await chatting(await loggedIn(IPHONE)), await chatting(await loggedIn(FIREFOX, GRACE))];
    ada.send('say', 'Hello');

    const said = await eventually('the message', () => grace.messages[0]);
    expect(said).toEqual({ event: 'said', data: { from: 'Ada Lovelace, Safari on iOS', text: 'Hello' } });
    expect(await (await TestIoSocket.open(sample)).ended()).toBe('unauthenticated');
  });

  it('signs a device out, whose socket and next page are told why', async () => {
    const [laptop, phone] = [await loggedIn(FIREFOX), await loggedIn(IPHONE)];
    const [here, there] = [await chatting(laptop), await chatting(phone)];
    const listed = (await devicesOf(laptop)).find(({ name }) => name === 'Safari on iOS')!;

    const response = await laptop.post('/devices/sign-out', { form: { handle: listed.handle } });

    expect(response.status).toBe(204);
    expect(await there.ended()).toBe('revoked');
    expect((await phone.get('/')).headers.location).toBe('/login?reason=revoked');
    expect(here.isOpen).toBe(true);
  });

  it('serves a page that runs no script but its own', async () => {
    const laptop = await loggedIn(FIREFOX);
    const page = await laptop.get('/');
    expect(page.text).toContain('<script src="/live.js" type="module">');
    expect(page.headers['content-security-policy']).toContain("default-src 'self'");
    for (const file of ['/live.js', '/style.css', '/socket.io/socket.io.esm.min.js']) {
      expect((await laptop.get(file)).status).toBe(200);
    }
  });
});
