import { TestApplication } from '../support/application.js';
import { DelayProxy } from '../support/delay-proxy.js';
import { eventually } from '../support/eventually.js';
import { RedisServer } from '../support/redis-server.js';

/** How soon the application has to be of use again when its name leads to the new master, in milliseconds. */
const RECOVERS_WITHIN = 5_000;

const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

async function server(): Promise<RedisServer> {
  const redis = await RedisServer.start();
  closers.push(() => redis.stop());
  return redis;
}

/** A master and its replica, as providers of managed Redis offer them: one name, which leads to whoever is the master. */
async function managed() {
  const [master, replica] = [await server(), await server()];
  // Left alone, a master waits five seconds for more replicas before it sends the first one what it has.
  await master.ask('CONFIG', 'SET', 'repl-diskless-sync-delay', '0');
  await replica.ask('REPLICAOF', '127.0.0.1', `${master.port}`);
  const name = await DelayProxy.start({ port: master.port });
  closers.push(() => name.close());
  const synced = (on: RedisServer, of: RedisServer) =>
    eventually('the replica to have it all', async () => {
      const [there, here] = [await on.info('replication'), await of.info('replication')];
      return there['master_link_status'] === 'up' && there['slave_repl_offset'] === here['master_repl_offset'];
    });
  /** The two change places. Connections to the old master stay open, and there its responses say what it is now. */
  const failover = async () => {
    await synced(replica, master);
    await replica.ask('REPLICAOF', 'NO', 'ONE');
    await master.ask('REPLICAOF', '127.0.0.1', `${replica.port}`);
    await synced(master, replica);
  };
  return { name, master, replica, failover, url: `redis://127.0.0.1:${name.port}` };
}

it('a master that became a replica while its connections stayed open is left for the new one', async () => {
  const { name, replica, failover, url } = await managed();
  const application = await TestApplication.start({ options: { redis: { url } } });
  closers.push(() => application.close());
  const browser = await application.loggedIn();
  const put = () => browser.request('PUT', '/session/colour', { json: { value: 'blue' } });

  await failover();
  expect((await put()).json()).toMatchObject({ statusCode: 503, code: 'session_store_unavailable' });
  expect((await browser.get('/me')).status).toBe(200);
  name.leadTo(replica.port);

  await eventually('writes to reach the new master', async () => (await put()).status === 200, {
    timeout: RECOVERS_WITHIN,
  });
  expect((await (await application.loggedIn('grace', 'hopper')).get('/me')).status).toBe(200);
  await eventually('the old connection to be closed', () => name.connections === 1);
});
