import { SessionRegistry } from '../../lib/index.js';
import { LocalStrategy, SnapshotSerializer, type TestApplication } from '../support/application.js';
import { idOf } from '../support/devices.js';
import { eventually } from '../support/eventually.js';
import { GuardedGateway, TRANSPORTS } from '../support/gateways.js';
import { ioredis, type IoredisVersion } from '../support/ioredis-clients.js';
import { askEverything, beginnings, outagesOf, statuses, TIMEOUT, untilServed } from './outage.js';
import { ADA, isLoggedIn } from './scenario.js';
import { stage } from './stage.js';

describe.each<IoredisVersion>([5, 6])('with a client of ioredis %s,', (version) => {
  const on = stage('express');

  /** The application gives a client for these servers, and closes it. */
  function client(redis: { url?: string | undefined } = { url: on.redis.url }, options: object = {}) {
    const given = ioredis({ url: redis.url }, version, options);
    on.closing({ close: () => given.disconnect() });
    return given;
  }

  const applicationWith = (given = client()) =>
    on.here({ options: { redis: { client: given }, redisTimeout: TIMEOUT } });

  describe.each(outagesOf(on))('while Redis %s', (_, outage) => {
    const { begin, end } = beginnings(outage);

    it('each request is answered, and everything works again as soon as Redis does', async () => {
      const application = await applicationWith();

      const { responses, member } = await askEverything(application, begin);

      expect(statuses(responses)).toEqual({
        public: 200,
        guarded: 503,
        session: 503,
        login: 503,
        again: 503,
        logout: 503,
      });
      await end();
      expect(await untilServed(member)).toBe(outage.forgets ? 401 : 200);
      expect(await isLoggedIn(await application.loggedIn())).toBe(true);
    });
  });

  it('nothing is done that was asked while it was disconnected', async () => {
    const given = client();
    const application = await applicationWith(given);
    const browser = await application.loggedIn();
    await on.redis.kill();
    await eventually('the client to notice', () => given.status !== 'ready');

    const asked = performance.now();
    expect((await application.browser().post('/login', { json: ADA })).status).toBe(503);
    expect((await application.browser().request('PUT', '/session/a', { json: { value: 1 } })).status).toBe(503);
    expect(performance.now() - asked).toBeLessThan(TIMEOUT); // They do not wait for a connection.

    await on.redis.restart();
    await untilServed(browser);
    expect(await on.sessions()).toEqual([]);
  });

  it('a revocation that was under way when its connection broke is not sent again for nobody', async () => {
    const line = await on.line();
    const given = client(line.options, { maxRetriesPerRequest: null, autoResendUnfulfilledCommands: true });
    const application = await applicationWith(given);
    const browser = await application.loggedIn();
    const registry = application.app.get(SessionRegistry);
    await registry.revokeAll('2'); // Redis knows the script, so that a hash is enough to run it.

    line.pause();
    await expect(registry.revokeAll('1')).rejects.toMatchObject({ code: 'session_store_unavailable' });
    line.resetAll();
    await eventually('the client to notice', () => given.status !== 'ready');
    line.resume();

    expect(await untilServed(browser)).toBe(200);
    expect(await on.sessions()).toHaveLength(1);
  });

  it('one that connects only when it is used is connected by the first request', async () => {
    const application = await applicationWith(client(undefined, { lazyConnect: true }));

    expect(await isLoggedIn(await application.loggedIn())).toBe(true);
  });

  it('one that its application has closed is refused at once', async () => {
    const given = client();
    const application = await applicationWith(given);
    const browser = await application.loggedIn();

    given.disconnect();
    await eventually('its end', () => given.status === 'end');

    expect((await browser.get('/me')).status).toBe(503);
    expect((await browser.get('/public')).status).toBe(200);
  });

  it('connections are closed by an end in another process, also after their subscription was lost', async () => {
    const { configure, open } = TRANSPORTS[0]!;
    const connections = { recheck: '1h' } as const; // So long that they hear of it by the subscription alone.
    const there: TestApplication = await on.here({
      configure,
      options: { redis: { client: client() }, connections },
      providers: [SnapshotSerializer, LocalStrategy, GuardedGateway],
    });
    const here = await on.here();
    const listens = () => eventually('the subscription', async () => (await on.subscribers('sess:ended')) === 1);
    const revokes = async () => {
      const browser = await here.loggedIn();
      const socket = await open(there, browser);
      await listens();
      await here.app.get(SessionRegistry).revoke('1', idOf(browser).handle);
      return socket.ended();
    };
    const stays = await open(there, await here.loggedIn());

    expect(await revokes()).toBe('revoked');
    await on.cutSubscribers();
    await eventually('it to be lost', async () => (await on.subscribers('sess:ended')) === 0, { interval: 1 });
    await listens();
    expect(await revokes()).toBe('revoked');

    stays.close();
    await eventually('its end', async () => (await on.subscribers('sess:ended')) === 0);
  });
});
