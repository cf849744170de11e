import { SessionConnections, SessionRegistry } from '../../lib/index.js';
import { splitHandle } from '../../lib/model/session-id.js';
import { TestApplication } from '../support/application.js';
import type { Browser } from '../support/browser.js';
import { cookieFor, idOf, responseTo, sessionsIn } from '../support/devices.js';
import { eventually } from '../support/eventually.js';
import { LogRecorder } from '../support/log-recorder.js';
import { createUser } from '../support/redis-acl.js';
import { RedisServer } from '../support/redis-server.js';
import { serveRegisteredSockets } from '../support/registered-sockets.js';
import { TestSocket } from '../support/web-socket.js';
import { documentedRights } from '../topology/topologies.js';

/** So long that no test is over by it. */
const NEVER = '1h';

const open: TestSocket[] = [];
function closeSockets() {
  for (const socket of open.splice(0)) socket.close();
}

async function connect(application: TestApplication, visitor: Browser): Promise<TestSocket> {
  const socket = await TestSocket.open(application, visitor);
  open.push(socket);
  return socket;
}

describe.each(['redis', 'cluster'])('connections to another process, with sessions in %s,', (where) => {
  afterEach(closeSockets);
  const home = sessionsIn(where);
  let here: TestApplication;
  let there: TestApplication;

  beforeEach(async () => {
    here = await home.start({ options: { maxSessions: { limit: 2 }, connections: { recheck: NEVER } } });
    there = await home.start({ options: { connections: { recheck: NEVER } } });
    serveRegisteredSockets(there);
  });

  /** A user who has logged in here, and is connected there. */
  async function arrive() {
    const browser = await here.loggedIn();
    const socket = await connect(there, browser);
    await subscribed();
    return { browser, socket, handle: idOf(browser).handle };
  }
  const subscribed = () =>
    eventually('the other process to listen', async () => (await home.subscribers('sess:ended')) > 0);

  type Visit = Awaited<ReturnType<typeof arrive>>;
  async function logInTwiceMore() {
    here.clock.advance(1_000); // So that it is known which session is the oldest.
    await here.loggedIn();
    await here.loggedIn();
  }
  const registry = () => here.app.get(SessionRegistry);
  const ENDS: [cause: string, reason: string, end: (visit: Visit) => Promise<unknown>][] = [
    ['a logout', 'logged_out', ({ browser }) => browser.post('/logout')],
    ['a revocation', 'revoked', ({ handle }) => registry().revoke('1', handle)],
    ['a revocation of all', 'revoked', () => registry().revokeAll('1')],
    ['a revocation of everyone', 'revoked', () => registry().revokeEveryone()],
    ['new credentials', 'credentials_changed', () => registry().credentialsChanged('1')],
    ['logins on too many devices', 'limit', () => logInTwiceMore()],
    [
      'a copied cookie',
      'reuse_detected',
      ({ handle }) => responseTo(here, cookieFor({ handle, secret: 'x'.repeat(43) })),
    ],
    [
      'a login of the same user in the browser',
      'logged_out',
      ({ browser }) => browser.post('/login', { json: { username: 'ada', password: 'lovelace' } }),
    ],
  ];

  it.each(ENDS)('are closed by %s, with the reason %s', async (_, reason, end) => {
    const visit = await arrive();

    await end(visit);

    expect(await visit.socket.end()).toEqual({ code: 4401, reason });
  });

  it('go over to the new id at a step-up, and end with that', async () => {
    const { browser, socket, handle } = await arrive();
    const connections = there.app.get(SessionConnections);

    await browser.post('/proof/step-up');
    const { handle: next } = idOf(browser);

    await eventually('the connection to go over', () => connections.count({ handle: next }) === 1);
    expect([connections.count({ handle }), socket.isOpen]).toEqual([0, true]);
    await registry().revoke('1', next);
    expect(await socket.end()).toEqual({ code: 4401, reason: 'revoked' });
  });

  it('are not disturbed by what the channel never says', async () => {
    const { browser, socket, handle } = await arrive();
    const tab = await connect(there, browser);
    const { rest } = splitHandle(handle);

    for (const message of [{ ended: 'revoked', handle: 5, successor: rest }, { ended: 5, handle }, 5, null]) {
      await home.client.publish('sess:ended', JSON.stringify(message));
    }
    await home.client.publish('sess:ended', JSON.stringify({ ended: 'logged_out', handle, successor: rest }));
    await browser.post('/logout');

    expect(await socket.end()).toEqual({ code: 4401, reason: 'logged_out' });
    expect(await tab.end()).toEqual({ code: 4401, reason: 'logged_out' });
  });

  it('are the only ones that listen, and only while they are open', async () => {
    await here.loggedIn();
    expect(await home.subscribers('sess:ended')).toBe(0);

    const { socket } = await arrive();
    expect(await home.subscribers('sess:ended')).toBe(1);
    socket.close();

    await eventually('nobody to listen', async () => (await home.subscribers('sess:ended')) === 0);
  });

  it('are asked about anew after the line was cut, and end by what was said meanwhile', async () => {
    const { browser, socket, handle } = await arrive();
    const other = await connect(there, await here.loggedIn('grace', 'hopper'));

    await home.cutSubscribers(async () => {
      await registry().revoke('1', handle);
    });

    expect(await socket.end()).toEqual({ code: 4401, reason: 'revoked' });
    await subscribed();
    expect(other.isOpen).toBe(true);
    expect((await browser.get('/me')).status).toBe(401);
  });
});

it('a user without rights on the channel ends sessions all the same, and is warned once', async () => {
  const server = await RedisServer.start();
  const log = new LogRecorder();
  const start = async (logger: LogRecorder) => {
    const rights = documentedRights().replace(' &sess:ended', '');
    const redis = { url: await createUser(server, rights) };
    const application = await TestApplication.start({
      logger,
      options: { redis, redisTimeout: '5s', connections: { recheck: 300 } },
    });
    serveRegisteredSockets(application);
    return application;
  };
  const here = await start(new LogRecorder());
  const there = await start(log);
  const browser = await here.loggedIn();
  const sockets = [await connect(there, browser), await connect(here, browser)];

  await eventually('the warning', () => log.at('warn').some((line) => line.includes('sess:ended')));
  expect(await here.app.get(SessionRegistry).revokeAll('1')).toBe(1);

  for (const socket of sockets) expect(await socket.end()).toEqual({ code: 4401, reason: 'revoked' });
  expect(log.at('warn').filter((line) => line.includes('sess:ended'))).toEqual([
    expect.stringContaining('Grant &sess:ended +publish +subscribe (docs/redis.md)'),
  ]);
  closeSockets();
  await here.close();
  await there.close();
  await server.stop();
});
