import { Browser } from '../support/browser.js';
import { RedisServer } from '../support/redis-server.js';
import { SampleProcess } from './sample-process.js';

export const ADA = { username: 'ada', password: 'lovelace' };
export const GRACE = { username: 'grace', password: 'hopper' };
export const REMEMBER = { remember: 'yes' };

export const FIREFOX = 'Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0';
export const IPHONE =
  'Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 ' +
  'Mobile/15E148 Safari/604.1';

/** A device that the page lists, as a reader sees it. */
export interface Listed {
  name: string;
  isThis: boolean;
  handle: string;
  /** What the page says of it, tags left out. */
  text: string;
  icon: string;
}

export function devicesOn(page: string): Listed[] {
  return Array.from(page.matchAll(/<li>.*?<\/li>/gs), ([item]) => ({
    name: /<h2>([^<]*)/.exec(item)![1]!.trim(),
    isThis: item.includes('This device'),
    handle: /name="handle"\s+value="([^"]+)"/.exec(item)![1]!,
    text: item.replace(/<[^>]+>/g, ' ').replace(/\s+/g, ' '),
    icon: /<img src="([^"]+)"/.exec(item)![1]!,
  }));
}

/** What a page has to say besides: a notice, why somebody was signed out, an error. */
export function messageOn(page: string): string | undefined {
  return /<p class="message[^>]*>([^<]*)</.exec(page)?.[1];
}

export async function devicesSeenBy(browser: Browser): Promise<Listed[]> {
  return devicesOn((await browser.get('/')).text);
}

export function signOutOthers(browser: Browser) {
  return browser.post('/devices/sign-out-others');
}

/** The devices sample of a suite, the redis-server behind it if there is to be one, and the browsers of its tests. */
export function devicesSample(where = 'memory') {
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

  /** A browser that has logged in, as ada unless the form says otherwise. */
  async function loggedIn(userAgent = FIREFOX, form: Record<string, string> = ADA, from = sample): Promise<Browser> {
    const visitor = browser(from);
    const login = await visitor.post('/login', { form, headers: { 'user-agent': userAgent } });
    expect(login).toMatchObject({ status: 303, headers: { location: '/' } });
    return visitor;
  }

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

  return {
    browser,
    loggedIn,
    /** Starts another one, with settings of its own. */
    start,
    /** The one that is there for all tests. */
    get process() {
      return sample;
    },
  };
}
