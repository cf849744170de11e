import { Body, Controller, Get, type INestApplication, Post, Req, UseGuards } from '@nestjs/common';
import type { NestExpressApplication } from '@nestjs/platform-express';
import { WsAdapter } from '@nestjs/platform-ws';
import {
  AllowCrossSite,
  CurrentSession,
  CurrentUser,
  LoginGuard,
  SessionAuthService,
  SessionGuard,
  type SessionAuthOptions,
  type SessionRequest,
} from '../../lib/index.js';
import { Chromium, type ChromiumWindow } from '../sample/chromium.js';
import { LocalStrategy, SnapshotSerializer, type TestApplication } from '../support/application.js';
import { sessionsIn } from '../support/devices.js';
import { eventually } from '../support/eventually.js';
import { GuardedGateway } from '../support/gateways.js';
import type { Platform } from '../support/platforms.js';
import { type Exchange, OWN, pageOf, Sites } from './sites.js';

const ELSEWHERE = 'https://evil.test';
const SUBDOMAIN = 'https://blog.bank.test';
const OTHER_PORT = `${OWN}:8443`;
/** Has a page application of the bank's, which is trusted. */
const TRUSTED = 'https://bank-app.test';

interface Bank {
  paidTo?: string[];
}

@Controller()
class BankController {
  constructor(private readonly auth: SessionAuthService) {}

  @Get('standing')
  standing(@CurrentUser('name') name: string | undefined, @CurrentSession() { paidTo = [] }: Bank) {
    return { name: name ?? null, paidTo };
  }

  @Post('pay')
  @UseGuards(SessionGuard)
  pay(@Body() body: { to: string } | string, @CurrentSession() session: Bank) {
    // As lenient as some are: JSON is taken for what it is, whatever its type says.
    const { to } = typeof body === 'string' ? (JSON.parse(body) as { to: string }) : body;
    session.paidTo = [...(session.paidTo ?? []), to];
    return { paidTo: session.paidTo };
  }

  @Post('leave')
  async leave(@Req() request: SessionRequest) {
    await this.auth.logOut(request);
    return {};
  }

  @Post('partner')
  @UseGuards(SessionGuard)
  @AllowCrossSite()
  partner(@CurrentUser('name') name: string) {
    return { name };
  }

  @Post('callback')
  @UseGuards(LoginGuard('local', { crossSite: true }))
  callback(@CurrentUser('name') name: string) {
    return { name };
  }
}

const GRACE = { username: 'grace', password: 'hopper' };

/** A form that submits itself. */
function form(path: string, fields: Record<string, string> = {}, attributes = ''): string {
  const inputs = Object.entries(fields).map(([name, value]) => `<input name='${name}' value='${value}'>`);
  return `<form method="post" action="${OWN}${path}" ${attributes}>${inputs.join('')}</form>
    <script>document.forms[0].submit()</script>`;
}

/** Sends a request by `fetch()`, and shows what it could read of the response. */
function fetching(path: string, options: object): string {
  return `<script>
    fetch('${OWN}${path}', ${JSON.stringify({ method: 'POST', credentials: 'include', ...options })})
      .then((response) => response.text()).catch(String).then((text) => (document.title = 'read: ' + text));
  </script>`;
}

/** Opens a WebSocket, asks by it who the visitor is, and shows the reply. */
const SOCKET = `<script>
  const socket = new WebSocket('${OWN.replace('https', 'wss')}/');
  socket.onopen = () => socket.send(JSON.stringify({ event: 'who', data: {} }));
  socket.onmessage = ({ data }) => (document.title = 'read: ' + data);
  socket.onclose = () => (document.title ||= 'refused');
</script>`;

const PAYMENT = { to: 'Mallory' };
const AS_TEXT = { mode: 'no-cors', headers: { 'content-type': 'text/plain' }, body: JSON.stringify(PAYMENT) };
const AS_JSON = { headers: { 'content-type': 'application/json' }, body: JSON.stringify(PAYMENT) };
const escaped = (html: string) => html.replaceAll('&', '&amp;').replaceAll('"', '&quot;');
const sandboxed = (html: string) => `<iframe sandbox="allow-scripts allow-forms" srcdoc="${escaped(html)}"></iframe>`;

interface Attack {
  name: string;
  html: string;
  /** Where its page is from. Default: another site. */
  from?: string;
  /** What it has the browser ask for. */
  asks: string;
  /** Default: `'none'`, so that the cookie comes along. */
  sameSite?: 'lax' | 'none';
  isLoggedIn?: boolean;
  /** What the server is told of where the request comes from. */
  tells: Partial<Exchange>;
  /** What the application makes of its visitor where it works. */
  harm: { name: string | null; paidTo: string[] };
  /** No `Sec-Fetch-Site` reaches the server. */
  isOldBrowser?: boolean;
  platform?: Platform;
}

const FROM_ELSEWHERE = { site: 'cross-site', origin: ELSEWHERE, hasCookie: true };
const PAID = { name: 'Ada', paidTo: ['Mallory'] };

const LOGIN: Attack = {
  name: 'a form that logs its visitor in as the attacker',
  html: form('/login', GRACE),
  asks: 'POST /login',
  sameSite: 'lax',
  isLoggedIn: false,
  tells: { ...FROM_ELSEWHERE, hasCookie: false },
  harm: { name: 'Grace', paidTo: [] },
};
const LOGOUT: Attack = {
  name: 'a form that logs its visitor out',
  html: form('/leave'),
  asks: 'POST /leave',
  tells: FROM_ELSEWHERE,
  harm: { name: null, paidTo: [] },
};
const PAY = { asks: 'POST /pay', tells: FROM_ELSEWHERE, harm: PAID };

const ATTACKS: Attack[] = [
  LOGIN,
  { ...LOGIN, name: `${LOGIN.name}, on Fastify`, platform: 'fastify' },
  { ...LOGIN, name: 'a form that replaces the login of its visitor, whose cookie stays behind', isLoggedIn: true },
  LOGOUT,
  { ...LOGOUT, name: `${LOGOUT.name}, on Fastify`, platform: 'fastify' },
  { ...PAY, name: 'a form whose text/plain is JSON', html: form('/pay', { '{"to":"Mallory","': '":0}' }, 'enctype="text/plain"') }, // prettier-ignore
  { ...PAY, name: 'a fetch() without a preflight, of JSON as text/plain', html: fetching('/pay', AS_TEXT) },
  { ...PAY, name: 'a fetch() of JSON that CORS permits', html: fetching('/pay', AS_JSON) },
  {
    ...PAY,
    name: 'a form of a subdomain, with SameSite=Lax',
    html: form('/pay', PAYMENT),
    from: SUBDOMAIN,
    sameSite: 'lax',
    tells: { site: 'same-site', origin: SUBDOMAIN, hasCookie: true },
  },
  {
    ...PAY,
    name: 'a fetch() of another port, with SameSite=Lax',
    html: fetching('/pay', AS_TEXT),
    from: OTHER_PORT,
    sameSite: 'lax',
    tells: { site: 'same-site', origin: OTHER_PORT, hasCookie: true },
  },
  {
    ...PAY,
    name: 'a form in a sandboxed frame',
    html: sandboxed(form('/pay', PAYMENT)),
    tells: { site: 'cross-site', origin: 'null', hasCookie: true },
  },
  {
    ...PAY,
    name: 'a form in a sandboxed frame of an own page',
    html: sandboxed(form('/pay', PAYMENT)),
    from: OWN,
    tells: { site: 'cross-site', origin: 'null', hasCookie: true },
  },
  {
    ...PAY,
    name: 'a form of an own page that another site redirects back here',
    html: form('/pay', PAYMENT).replace(`${OWN}/pay`, `${ELSEWHERE}/redirect?to=${encodeURIComponent(`${OWN}/pay`)}`),
    from: OWN,
    tells: { site: 'cross-site', origin: 'null', hasCookie: true },
  },
  {
    ...PAY,
    name: 'a form, of a browser that sends no Sec-Fetch-Site',
    html: form('/pay', PAYMENT),
    tells: { ...FROM_ELSEWHERE, site: undefined },
    isOldBrowser: true,
  },
  {
    ...PAY,
    name: 'a form that hides its origin, of a browser that sends no Sec-Fetch-Site',
    html: `<meta name="referrer" content="no-referrer">${form('/pay', PAYMENT)}`,
    tells: { site: undefined, origin: 'null', hasCookie: true },
    isOldBrowser: true,
  },
  {
    ...LOGIN,
    name: `${LOGIN.name}, of a browser that sends no Sec-Fetch-Site`,
    tells: { ...LOGIN.tells, site: undefined },
    isOldBrowser: true,
  },
];

describe('In a Chromium,', () => {
  const home = sessionsIn('memory');
  let sites: Sites;
  let chromium: Chromium;
  let window: ChromiumWindow;
  let application: TestApplication;

  beforeAll(async () => {
    sites = await Sites.start();
    // A window with cookies of its own is a private one, which sends none to other sites unless told to.
    const preferences = { profile: { cookie_controls_mode: 0 } };
    chromium = await Chromium.start({ flags: sites.flags, preferences });
    window = await chromium.open();
  }, 60_000);
  afterAll(async () => {
    await chromium.stop();
    await sites.stop();
  });
  beforeEach(async () => {
    await window.send('Network.clearBrowserCookies');
  });

  interface Start extends Pick<Attack, 'sameSite' | 'isOldBrowser' | 'platform'> {
    crossSite?: SessionAuthOptions['crossSite'];
  }

  async function start({ platform, crossSite, sameSite = 'none', isOldBrowser = false }: Start = {}): Promise<void> {
    application = await home.start({
      ...(platform !== undefined && { platform }),
      trustProxy: true,
      controllers: [BankController],
      providers: [SnapshotSerializer, LocalStrategy, GuardedGateway],
      options: {
        cookie: { name: '__Host-Http-sid', secure: true, sameSite },
        trustedOrigins: [TRUSTED],
        ...(crossSite !== undefined && { crossSite }),
      },
      configure: (app: INestApplication) => {
        app.useWebSocketAdapter(new WsAdapter(app));
        if (platform === 'fastify') return;
        (app as NestExpressApplication).useBodyParser('text');
        app.enableCors({ origin: [TRUSTED, ELSEWHERE], credentials: true });
      },
    });
    sites.leadTo(application.url, isOldBrowser ? ['sec-fetch-site'] : []);
  }

  /** Ada logs in on a page of the application. */
  async function logIn(): Promise<void> {
    await window.goTo(pageOf(OWN));
    await window.eval(`fetch('/login', {
      method: 'POST', headers: { 'content-type': 'application/json' }, body: '{"username":"ada","password":"lovelace"}',
    })`);
    expect(await standing()).toEqual({ name: 'Ada', paidTo: [] });
    sites.exchanges.length = 0;
  }

  /** Opens a page as if its address had been typed, and does not wait for it. */
  async function visit(origin: string, html: string): Promise<void> {
    await window.send('Page.navigate', { url: pageOf(origin, html), transitionType: 'typed' });
  }

  /** What the application makes of whoever shows the cookies that the browser has for it. */
  async function standing(): Promise<unknown> {
    const { cookies } = await window.send<{ cookies: { name: string; value: string }[] }>('Network.getCookies', {
      urls: [OWN],
    });
    const cookie = cookies.map(({ name, value }) => `${name}=${value}`).join('; ');
    const response = await fetch(`${application.url}/standing`, { headers: { cookie, 'x-forwarded-proto': 'https' } });
    return await response.json();
  }

  /** What a page shows of what it could read. */
  const read = async () => await eventually('the page to read', () => window.eval<string>('document.title'));

  describe.each(ATTACKS)('$name', (attack) => {
    const { html, from = ELSEWHERE, asks, isLoggedIn = true, tells, harm } = attack;
    const attacked = async (crossSite: SessionAuthOptions['crossSite']): Promise<Exchange> => {
      await start({ ...attack, crossSite });
      if (isLoggedIn) await logIn();
      await visit(from, html);
      return await sites.exchange(asks);
    };

    it('is refused and changes nothing', async () => {
      const exchange = await attacked('refuse');

      expect(exchange).toEqual({ asked: asks, status: 403, ...tells });
      expect(await standing()).toEqual({ name: isLoggedIn ? 'Ada' : null, paidTo: [] });
      expect(application.events.at(-1)).toMatchObject({ type: 'cross-site-refused', origin: tells.origin });
    });

    it('does its harm where crossSite is "allow"', async () => {
      const { status, ...told } = await attacked('allow');

      expect([status < 300, told]).toEqual([true, { asked: asks, ...tells }]);
      await eventually('the harm', async () => JSON.stringify(await standing()) === JSON.stringify(harm));
    });
  });

  describe.each(['express', 'fastify'] as const)('a WebSocket of another site, on %s,', (platform) => {
    const opened = async (crossSite: SessionAuthOptions['crossSite'], from = ELSEWHERE) => {
      await start({ platform, crossSite });
      await logIn();
      await visit(from, SOCKET);
      return [await read(), await sites.exchange('GET /')];
    };
    // Chromium sends no Sec-Fetch-Site with a handshake.
    const handshake = { asked: 'GET /', hasCookie: true, site: undefined };

    it('is refused, and that of an own page is not', async () => {
      const refused = { ...handshake, origin: ELSEWHERE, status: 403 };
      expect(await opened('refuse')).toEqual(['refused', refused]);

      const own = { ...handshake, origin: OWN, status: 101 };
      expect(await opened('refuse', OWN)).toEqual([expect.stringContaining('Ada'), own]);
    });

    it('reads what it likes where crossSite is "allow"', async () => {
      const accepted = { ...handshake, origin: ELSEWHERE, status: 101 };
      expect(await opened('allow')).toEqual([expect.stringContaining('Ada'), accepted]);
    });
  });

  it('a form of another site is refused again when its visitor reloads what came of it', async () => {
    await start();
    await logIn();
    await visit(ELSEWHERE, form('/pay', PAYMENT));
    await sites.exchange('POST /pay');
    await window.until(`location.pathname === '/pay'`);

    await window.send('Page.reload');

    const posts = () => sites.exchanges.filter(({ asked }) => asked === 'POST /pay');
    await eventually('the form to be sent again', () => posts().length === 2);
    expect(posts()[1]).toMatchObject({ ...FROM_ELSEWHERE, status: 403 });
    expect(await standing()).toEqual({ name: 'Ada', paidTo: [] });
  });

  it('a form of another site is refused, and an own one is not, past a service worker that passes all on', async () => {
    await start();
    await logIn();
    const byWorker = () => window.eval<boolean>(`performance.getEntriesByType('navigation')[0].workerStart > 0`);
    await window.eval(`navigator.serviceWorker.register('/worker.js').then(() => navigator.serviceWorker.ready)`);
    try {
      for (const [from, status] of [
        [ELSEWHERE, 403],
        [OWN, 201],
      ] as const) {
        // prettier-ignore
        sites.exchanges.length = 0;
        await visit(from, form('/pay', PAYMENT));
        expect(await sites.exchange('POST /pay')).toMatchObject({ origin: from, hasCookie: true, status });
        await window.until(`location.pathname === '/pay'`);
        expect(await byWorker()).toBe(true);
      }
      expect(await standing()).toEqual(PAID);
    } finally {
      await window.send('Storage.clearDataForOrigin', { origin: OWN, storageTypes: 'service_workers' });
    }
  });

  it('an image of another site is sent, with the cookie, and changes nothing', async () => {
    await start();
    await logIn();
    const image = (path: string) => `<img src="${OWN}${path}">`;

    await visit(ELSEWHERE, image('/me') + image('/pay') + image('/leave'));

    const tells = { site: 'cross-site', origin: undefined, hasCookie: true };
    expect(await sites.exchange('GET /me')).toEqual({ asked: 'GET /me', status: 200, ...tells });
    expect(await sites.exchange('GET /pay')).toMatchObject({ status: 404, ...tells });
    expect(await sites.exchange('GET /leave')).toMatchObject({ status: 404, ...tells });
    expect(await standing()).toEqual({ name: 'Ada', paidTo: [] });
  });

  it('a link of another site leads to a page, with the cookie', async () => {
    await start({ sameSite: 'lax' });
    await logIn();

    await visit(ELSEWHERE, `<a href="${OWN}/me"></a><script>document.querySelector('a').click()</script>`);

    expect(await sites.exchange('GET /me')).toMatchObject({ site: 'cross-site', hasCookie: true, status: 200 });
  });

  it('a trusted page application logs in and works by CORS with credentials', async () => {
    await start();
    const json = { 'content-type': 'application/json' };
    const credentials = JSON.stringify({ username: 'ada', password: 'lovelace' });

    await visit(TRUSTED, fetching('/login', { headers: json, body: credentials }));
    expect(await read()).toContain('Ada');
    await visit(TRUSTED, fetching('/pay', AS_JSON));

    expect(await read()).toContain('Mallory');
    const tells = { site: 'cross-site', origin: TRUSTED };
    expect(await sites.exchange('POST /login')).toMatchObject({ ...tells, hasCookie: false });
    expect(await sites.exchange('POST /pay')).toMatchObject({ ...tells, hasCookie: true, status: 201 });
    expect(await sites.exchange('OPTIONS /pay')).toMatchObject({ ...tells, status: 204 });
    expect(await standing()).toEqual(PAID);
  });

  it('a page of a trusted origin opens a WebSocket', async () => {
    await start();
    await logIn();

    await visit(TRUSTED, SOCKET);

    expect(await read()).toContain('Ada');
    expect(await sites.exchange('GET /')).toMatchObject({ origin: TRUSTED, hasCookie: true, status: 101 });
  });

  describe.each([
    { browser: 'a browser of today', isOldBrowser: false, site: 'same-origin' },
    { browser: 'a browser that sends no Sec-Fetch-Site', isOldBrowser: true, site: undefined },
  ])('of $browser,', ({ isOldBrowser, site }) => {
    it('the forms, fetches and WebSockets of own pages pass', async () => {
      await start({ isOldBrowser });
      await visit(OWN, form('/login', { username: 'ada', password: 'lovelace' }));
      await window.until(`location.pathname === '/login'`);
      expect(await standing()).toEqual({ name: 'Ada', paidTo: [] });

      await visit(OWN, fetching('/pay', AS_JSON));
      expect(await read()).toContain('Mallory');
      await visit(OWN, SOCKET);
      expect(await read()).toContain('Ada');
      await visit(OWN, form('/leave'));
      await sites.exchange('POST /leave');

      const posts = sites.exchanges.filter(({ asked }) => asked.startsWith('POST'));
      expect(posts.map(({ asked }) => asked)).toEqual(['POST /login', 'POST /pay', 'POST /leave']);
      for (const post of posts) expect(post).toMatchObject({ origin: OWN, site });
      expect(await standing()).toEqual({ name: null, paidTo: [] });
    });
  });

  it.each([
    { name: 'a browser of today', policy: 'no-referrer', site: 'same-origin', origin: 'null', status: 201 },
    { name: 'a browser that sends no Sec-Fetch-Site', policy: 'same-origin', origin: OWN, status: 201 },
    // Nothing tells it from that of a page that hides where it is from.
    { name: 'a browser that sends no Sec-Fetch-Site', policy: 'no-referrer', origin: 'null', status: 403 },
  ])(
    'of $name, the form of an own page with Referrer-Policy: $policy gets a $status',
    async ({ policy, site, origin, status }) => {
      await start({ isOldBrowser: site === undefined });
      await logIn();

      await visit(OWN, `<meta name="referrer" content="${policy}">${form('/pay', PAYMENT)}`);

      expect(await sites.exchange('POST /pay')).toMatchObject({ site, origin, status });
      expect(await standing()).toMatchObject({ paidTo: status === 201 ? ['Mallory'] : [] });
    },
  );

  it('a typed address leads to the page of who is logged in', async () => {
    await start();
    await logIn();

    await window.send('Page.navigate', { url: `${OWN}/me`, transitionType: 'typed' });

    expect(await sites.exchange('GET /me')).toMatchObject({ site: 'none', hasCookie: true, status: 200 });
  });

  it('a form of another site reaches a route that is marked @AllowCrossSite(), in the name of its visitor', async () => {
    await start();
    await logIn();

    await visit(ELSEWHERE, form('/partner'));

    expect(await sites.exchange('POST /partner')).toMatchObject({ ...FROM_ELSEWHERE, status: 201 });
    expect(await standing()).toEqual({ name: 'Ada', paidTo: [] });
  });

  it('a form of another site logs its visitor in by a LoginGuard with crossSite: true', async () => {
    await start({ sameSite: 'lax' });

    await visit(ELSEWHERE, form('/callback', GRACE));

    const tells = { ...FROM_ELSEWHERE, hasCookie: false };
    expect(await sites.exchange('POST /callback')).toMatchObject({ ...tells, status: 201 });
    await window.until(`location.pathname === '/callback'`);
    expect(await standing()).toEqual({ name: 'Grace', paidTo: [] });
  });
});
