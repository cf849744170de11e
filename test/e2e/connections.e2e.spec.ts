import {
  SessionAuthService,
  SessionConnections,
  SessionRegistry,
  SessionUnavailableException,
} from '../../lib/index.js';
import { LocalStrategy, type TestApplication, type TestApplicationOptions } from '../support/application.js';
import type { Browser } from '../support/browser.js';
import { cookieOf, idOf, responseTo, sessionsIn } from '../support/devices.js';
import { eventually } from '../support/eventually.js';
import { serveRegisteredSockets } from '../support/registered-sockets.js';
import { gone, SESSION_ENDINGS, VanishingSerializer } from '../support/session-ends.js';
import { TestSocket } from '../support/web-socket.js';

describe.each(['memory', 'redis'])('connections that are registered, with sessions in %s,', (where) => {
  const open: TestSocket[] = [];
  afterEach(() => {
    for (const socket of open.splice(0)) socket.close();
    gone.clear();
  });
  const home = sessionsIn(where);
  let application: TestApplication;
  let connections: SessionConnections;

  /** An application whose bare WebSocket server registers each connection. */
  async function start(options: TestApplicationOptions['options'] = {}): Promise<void> {
    application = await home.start({ options, providers: [VanishingSerializer, LocalStrategy] });
    connections = application.app.get(SessionConnections);
    serveRegisteredSockets(application);
  }

  const connect = async (visitor: Browser) => {
    const socket = await TestSocket.open(application, visitor);
    open.push(socket);
    return socket;
  };

  async function arrive() {
    const browser = await application.loggedIn();
    const { handle } = idOf(browser);
    return { browser, handle, registry: application.app.get(SessionRegistry) };
  }
  it.each(SESSION_ENDINGS)('are closed by $cause, with the reason $reason', async ({ reason, end, endsOthers }) => {
    await start({ maxSessions: { limit: 1 }, connections: { recheck: 200 } });
    const grace = await application.loggedIn('grace', 'hopper');
    const visit = await arrive();
    const [socket, tab] = [await connect(visit.browser), await connect(visit.browser)];
    const other = await connect(grace);
    expect(connections.count({ handle: visit.handle })).toBe(2);

    await end({ application, ...visit });

    expect([await socket.end(), await tab.end()]).toEqual([
      { code: 4401, reason },
      { code: 4401, reason },
    ]);
    expect(connections.count({ user: '1' })).toBe(0);
    expect(other.isOpen || endsOthers).toBe(true);
    const closed = application.events.filter(({ type, userId }) => type === 'connection-closed' && userId === '1');
    expect(closed).toEqual([
      { type: 'connection-closed', at: expect.any(Date), userId: '1', handle: visit.handle, reason },
      { type: 'connection-closed', at: expect.any(Date), userId: '1', handle: visit.handle, reason },
    ]);
  });

  it('go over to the new id at a step-up, and end with that', async () => {
    await start();
    const { browser, handle, registry } = await arrive();
    const socket = await connect(browser);

    await browser.post('/proof/step-up');
    const { handle: next } = idOf(browser);

    expect(next).not.toBe(handle);
    expect([connections.count({ handle }), connections.count({ handle: next })]).toEqual([0, 1]);
    expect(socket.isOpen).toBe(true);
    await registry.revoke('1', next);
    expect(await socket.end()).toEqual({ code: 4401, reason: 'revoked' });
  });

  it('stay open while the secret rotates', async () => {
    await start({ lifetime: { rotateEvery: '15m', rotationGrace: '30s' }, connections: { recheck: 50 } });
    const { browser, handle } = await arrive();
    const socket = await connect(browser);

    for (let round = 0; round < 3; round++) {
      application.clock.advance(16 * 60_000);
      await browser.get('/me'); // Offers the next secret.
      await browser.get('/me'); // Shows it.
    }

    expect(application.events.filter(({ type }) => type === 'rotated')).toHaveLength(3);
    expect([socket.isOpen, connections.count({ handle })]).toEqual([true, 1]);
  });

  it('are not those of visitors who are not logged in', async () => {
    await start();
    const socket = await connect(application.browser());

    expect([socket.isOpen, connections.count()]).toEqual([true, 0]);
  });

  it('are counted for as long as they are open', async () => {
    await start();
    const [ada, phone, grace] = [
      await application.loggedIn(),
      await application.loggedIn(),
      await application.loggedIn('grace', 'hopper'),
    ];
    const first = await connect(ada);
    for (const browser of [ada, phone, grace]) await connect(browser);
    const counts = () => [
      connections.count(),
      connections.count({ user: '1' }),
      connections.count({ user: { id: '2', name: 'Grace' } }),
      connections.count({ handle: idOf(ada).handle }),
      connections.count({ handle: idOf(phone).handle }),
    ];

    expect(counts()).toEqual([4, 3, 1, 2, 1]);
    first.close();
    await eventually('the book to forget it', () => connections.count() === 3);
    expect(counts()).toEqual([3, 2, 1, 1, 1]);
  });

  it('are closed first when the application closes, and go on elsewhere', async () => {
    await start();
    const { browser } = await arrive();
    const socket = await connect(browser);
    const cookie = cookieOf(browser);

    await application.close();

    expect(await socket.end()).toEqual({ code: 4401, reason: 'shutting_down' });
    expect(application.events.filter(({ type }) => type === 'connection-closed')).toEqual([]);
    if (where !== 'memory') {
      await start();
      expect(await responseTo(application, cookie)).toEqual({ status: 200 });
    }
  });

  it('are closed when they are opened while the application closes', async () => {
    await start();
    const { browser } = await arrive();
    connections.beforeApplicationShutdown(); // Hooks of other modules may take their time after it.

    const socket = await connect(browser);

    expect(await socket.end()).toEqual({ code: 4401, reason: 'shutting_down' });
    expect(connections.count()).toBe(0);
  });

  it('cannot be registered by what is no request of the application', async () => {
    await start();

    expect(() => connections.register({ req: {} }, () => undefined)).toThrow(SessionUnavailableException);
    expect(() => application.app.get(SessionAuthService).current({ req: {} })).toThrow(SessionUnavailableException);
  });
});
