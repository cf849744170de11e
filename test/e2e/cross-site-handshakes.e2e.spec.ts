import { once } from 'node:events';
import { type IncomingMessage, request as httpRequest } from 'node:http';
import type { Socket } from 'node:net';
import type { INestApplication } from '@nestjs/common';
import { WsAdapter } from '@nestjs/platform-ws';
import { WebSocketGateway } from '@nestjs/websockets';
import type { SessionAuthOptions } from '../../lib/index.js';
import { LocalStrategy, SnapshotSerializer, type TestApplication } from '../support/application.js';
import { cookieOf, sessionsIn } from '../support/devices.js';
import { ChatHandlers } from '../support/gateways.js';
import { describePlatforms } from '../support/platforms.js';

/** What the application's own code has seen of handshakes. */
let seen: string[] = [];
const own = {
  allowRequest: (_request: object, done: (error: null, isAllowed: boolean) => void) => {
    seen.push('allowRequest');
    done(null, true);
  },
  verifyClient: () => {
    seen.push('verifyClient');
    return true;
  },
};

@WebSocketGateway(0, own as object)
class ObservedGateway extends ChatHandlers {
  override handleConnection(): void {
    seen.push('handleConnection');
  }
}

interface Handshake {
  status: number;
  body: string;
}

/** Asks for a connection as a browser does, with whatever headers. */
async function ask(url: string, headers: Record<string, string>): Promise<Handshake> {
  const asked = httpRequest(url, { headers, agent: false });
  asked.end();
  const [response, socket] = (await Promise.race([once(asked, 'response'), once(asked, 'upgrade')])) as [
    IncomingMessage,
    Socket?,
  ];
  socket?.destroy();
  const body = socket === undefined ? Buffer.concat(await response.toArray()).toString() : '';
  const [, sid] = /"sid":"([^"]+)"/.exec(body) ?? [];
  if (sid !== undefined) {
    await fetch(`${url}&sid=${sid}`, { method: 'POST', body: '1' }); // Closes it. It would keep the server busy else.
  }
  return { status: response.statusCode ?? 0, body };
}

const UPGRADE = {
  connection: 'Upgrade',
  upgrade: 'websocket',
  'sec-websocket-version': '13',
  'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==',
};
const WAYS = [
  { name: 'ws', path: '/', headers: UPGRADE, opened: 101, configure: (app: INestApplication) => byWs(app) },
  { name: 'Socket.IO by websocket', path: '/socket.io/?EIO=4&transport=websocket', headers: UPGRADE, opened: 101 },
  { name: 'Socket.IO by polling', path: '/socket.io/?EIO=4&transport=polling', headers: {}, opened: 200 },
];
const byWs = (app: INestApplication) => app.useWebSocketAdapter(new WsAdapter(app));

const SITES = [undefined, 'same-origin', 'none', 'same-site', 'cross-site'];
/** For each value of Sec-Fetch-Site, whether a handshake of this Origin is refused (x) that shows the session's cookie. */
const ORIGINS: [origin: string | undefined, refusals: string][] = [
  [undefined, '...xx'],
  ['own', '...xx'],
  ['https://elsewhere.example', 'x..xx'],
  ['http://127.0.0.1', 'x..xx'],
  ['null', 'x..xx'],
  ['https://trusted.example', '.....'],
  ['https://pr-7.trusted.example', '.....'],
];

describePlatforms(() => {
  describe.each(WAYS)('handshakes over $name', ({ path, headers: transport, opened, configure = () => undefined }) => {
    const home = sessionsIn('memory');
    let application: TestApplication;
    const start = async (options: Partial<SessionAuthOptions> = {}) => {
      application = await home.start({
        configure,
        providers: [SnapshotSerializer, LocalStrategy, ObservedGateway],
        options: { trustedOrigins: ['https://trusted.example', /https:\/\/pr-\d+\.trusted\.example/], ...options },
      });
    };
    const handshake = (headers: Record<string, string | undefined>) => {
      const given = Object.entries(headers).flatMap(([name, value]) => (value === undefined ? [] : [[name, value]]));
      return ask(application.url + path, { ...transport, ...Object.fromEntries(given) });
    };
    const fromElsewhere = { origin: 'https://elsewhere.example', 'sec-fetch-site': 'cross-site' };
    beforeEach(() => {
      seen = [];
    });

    it('from other sites that show a session are refused, and nobody else', async () => {
      await start();
      const cookie = cookieOf(await application.loggedIn());
      const forged = cookie.slice(0, -1) + (cookie.endsWith('A') ? 'B' : 'A');

      for (const [origin, refusals] of ORIGINS) {
        for (const [place, site] of SITES.entries()) {
          const from = { origin: origin === 'own' ? application.url : origin, 'sec-fetch-site': site };
          const statuses = [];
          for (const shown of [cookie, forged, undefined]) {
            statuses.push((await handshake({ ...from, cookie: shown })).status);
          }
          const expected = [refusals[place] === 'x' ? 403 : opened, opened, opened];
          expect({ origin, site, statuses }).toEqual({ origin, site, statuses: expected });
        }
      }
    });

    it("from other sites are refused before the application's own code, and leave the session as it is", async () => {
      await start();
      const ada = await application.loggedIn();

      const { status, body } = await handshake({ ...fromElsewhere, cookie: cookieOf(ada) });

      expect([status, JSON.parse(body)]).toEqual([
        403,
        { statusCode: 403, code: 'cross_site_request', message: expect.stringContaining('trustedOrigins') },
      ]);
      expect(seen).toEqual([]);
      expect((await ada.get('/me')).status).toBe(200);
      await handshake({ origin: application.url, cookie: cookieOf(ada) });
      expect(seen).toContain(path === '/' ? 'verifyClient' : 'allowRequest');
    });

    it('compare the origin with the host that was asked, wherever that is', async () => {
      await start();
      const cookie = cookieOf(await application.loggedIn());
      const at = async (host: string, origin: string) => (await handshake({ host, origin, cookie })).status;

      expect(await at('app.example', 'https://app.example')).toBe(opened);
      expect(await at('app.example:8080', 'https://app.example')).toBe(403);
      expect(await at('inner.example', 'https://app.example')).toBe(403);
    });

    it('on a path without sessions are let in, as nobody', async () => {
      await start({ exclude: [path === '/' ? '/' : '/socket.io/{*path}'] });
      const cookie = cookieOf(await application.loggedIn());

      expect((await handshake({ ...fromElsewhere, cookie })).status).toBe(opened);
    });
  });
});
