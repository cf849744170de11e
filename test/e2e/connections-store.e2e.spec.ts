import session, { type Store } from 'express-session';
import createMemoryStore from 'memorystore';
import { SessionConnections } from '../../lib/index.js';
import { LocalStrategy, SnapshotSerializer, type TestApplication } from '../support/application.js';
import { idOf, sessionsIn } from '../support/devices.js';
import { eventually } from '../support/eventually.js';
import { GuardedGateway, type TestClient, TRANSPORTS } from '../support/gateways.js';

const MemoryStore = createMemoryStore(session);
const NEVER = '1h';

describe.each(TRANSPORTS.slice(0, 2))("connections over $name, with sessions in the application's own store,", (by) => {
  const clients: TestClient[] = [];
  let stores: Store[];
  afterEach(() => {
    for (const client of clients.splice(0)) client.close();
    for (const store of stores) (store as Store & { stopInterval?(): void }).stopInterval?.();
  });
  const home = sessionsIn('memory');
  let here: TestApplication;
  let there: TestApplication;
  let connections: SessionConnections;

  /** Two processes that have the same store, as far as one process can be two. */
  async function start(recheck: string | number) {
    const store = new MemoryStore({});
    stores = [store];
    const options = { store, connections: { recheck } };
    const providers = [SnapshotSerializer, LocalStrategy, GuardedGateway];
    here = await home.start({ options });
    there = await home.start({ options, providers, configure: by.configure });
    connections = there.app.get(SessionConnections);
  }
  const arrive = async () => {
    const browser = await there.loggedIn();
    const client = await by.open(there, browser);
    clients.push(client);
    return { browser, client, cookie: `sid=${browser.cookies.get('sid') ?? ''}`, handle: idOf(browser).handle };
  };

  it('end at once by a logout in this process, and no others do', async () => {
    await start(NEVER);
    const [leaves, stays] = [await arrive(), await arrive()];

    await leaves.browser.post('/logout');

    expect(await leaves.client.ended()).toBe('logged_out');
    expect(await stays.client.ask('who')).toMatchObject({ name: 'Ada' });
  });

  it('go over to the new handle at a step-up in this process', async () => {
    await start(NEVER);
    const { browser, client } = await arrive();

    await browser.post('/proof/step-up');

    expect(connections.count({ handle: idOf(browser).handle })).toBe(1);
    expect(await client.ask('who')).toMatchObject({ name: 'Ada' });
  });

  it('end within recheck by a logout in another process, of which the store does not tell why', async () => {
    await start(100);
    const [leaves, stays] = [await arrive(), await arrive()];

    await here.browser().post('/logout', { headers: { cookie: leaves.cookie } });

    expect(await leaves.client.ended()).toBe('expired');
    expect(await stays.client.ask('who')).toMatchObject({ name: 'Ada' });
  });

  it('end by a step-up in another process, of which the store does not tell either', async () => {
    await start(100);
    const [leaves, stays] = [await arrive(), await arrive()];

    await here.browser().post('/proof/step-up', { headers: { cookie: leaves.cookie } });

    expect(await leaves.client.ended()).toBe('expired');
    await eventually('the other to be the only one', () => connections.count() === 1);
    expect(stays.client.isOpen).toBe(true);
  });
});
