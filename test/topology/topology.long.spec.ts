import { SESSION_STORE, type SessionAuthOptions, SessionRegistry } from '../../lib/index.js';
import type { RedisSessionStore } from '../../lib/redis/redis-session-store.js';
import { keysOf } from '../../lib/redis/keys.js';
import { TestApplication } from '../support/application.js';
import type { Browser } from '../support/browser.js';
import { eventually } from '../support/eventually.js';
import { shownBy } from '../support/rotating-browser.js';
import { Stalls } from '../support/stalls.js';
import { GLOB_PREFIX, IOREDIS_TOPOLOGIES, type Masters, TOPOLOGIES, type Topology } from './topologies.js';

const TIMEOUT = 500;
/** What a response may take beyond `redisTimeout`. */
const GRACE = 250;
/** How soon the application has to be of use again when there is a master again, in milliseconds. */
const RECOVERS_WITHIN = 5_000;

const ADA = { username: 'ada', password: 'lovelace' };

const closers: (() => unknown)[] = [];

const stalls = new Stalls();
afterAll(() => stalls.stop());

async function applicationOn({ redis }: Topology, options: Partial<SessionAuthOptions> = {}) {
  const application = await TestApplication.start({ options: { redis, redisTimeout: TIMEOUT, ...options } });
  closers.push(() => application.close());
  return application;
}

function storeOf({ app }: TestApplication): RedisSessionStore {
  return app.get<RedisSessionStore>(SESSION_STORE);
}

function put(browser: Browser, key: string, value: unknown) {
  return browser.request('PUT', `/session/${key}`, { json: { value } });
}

async function keyOf(browser: Browser): Promise<string> {
  const { handle } = (await browser.get('/current')).json<{ handle: string }>();
  return keysOf('sess:', handle).session;
}

for (const { name, start, missing, replaces } of [...TOPOLOGIES, ...IOREDIS_TOPOLOGIES]) {
  const describeIt = missing === undefined ? describe : describe.skip;
  describeIt(missing === undefined ? `on ${name}` : `on ${name}, but ${missing}`, () => {
    let topology: Topology;
    beforeAll(async () => {
      topology = await start();
    });
    afterEach(async () => {
      for (const close of closers.splice(0).reverse()) await close();
      await topology.masters?.heal();
    });
    afterAll(() => topology.stop());

    it('a user logs in, is known, stores something and logs out', async () => {
      const application = await applicationOn(topology);
      const browser = await application.loggedIn();
      const key = await keyOf(browser);

      expect((await browser.get('/me')).json()).toEqual({ id: '1', name: 'Ada' });
      expect((await put(browser, 'colour', 'blue')).status).toBe(200);
      expect((await browser.get('/session')).json()).toEqual({ colour: 'blue' });
      expect(await topology.client.get(key)).toContain('"colour":"blue"');
      expect((await browser.post('/logout')).status).toBe(204);
      expect((await browser.get('/me')).status).toBe(401);
      expect(await topology.client.get(key)).toMatch(/^\{"ended":"logged_out","secret":"[\w-]{22}"\}$/);
    });

    it('the sessions of a user are counted, listed and ended, and those of everybody', async () => {
      const application = await applicationOn(topology, { maxSessions: { limit: 5 } });
      const registry = application.app.get(SessionRegistry);
      const browsers = await Promise.all(Array.from({ length: 4 }, () => application.loggedIn()));
      const [own, other] = await registry.list('1');

      expect(await registry.count('1')).toBe(4);
      expect(await registry.revoke('1', other!.handle)).toBe(true);
      expect(await registry.credentialsChanged('1', { keep: own!.handle })).toBe(2);
      expect((await registry.list('1')).map(({ handle }) => handle)).toEqual([own!.handle]);
      expect(await registry.revokeAll('1')).toBe(1);
      const reasonOf = async (browser: Browser) => (await browser.get('/me')).json<{ reason: string }>().reason;
      expect((await Promise.all(browsers.map(reasonOf))).sort()).toEqual([
        'credentials_changed',
        'credentials_changed',
        'revoked',
        'revoked',
      ]);

      const grace = await application.loggedIn('grace', 'hopper');
      expect(await registry.revokeEveryone()).toBeGreaterThanOrEqual(1);
      expect((await grace.get('/me')).status).toBe(401);
    });

    it('ids(), length(), all() and clear() reach every session and nothing else, though the prefix looks like a pattern', async () => {
      const application = await applicationOn(topology, { prefix: GLOB_PREFIX });
      const store = storeOf(application);
      const lookAlike = 'aXXbc1:{AAAAAAAAAAAAAAAA}BBBBBBBBBBBB';
      await topology.client.set(lookAlike, 'not a session', { PX: 60_000 });
      // Each in a slot of its own, so that every master has some.
      const colours = Array.from({ length: 12 }, (_, i) => `colour ${i}`).sort();
      await Promise.all(colours.map((colour) => put(application.browser(), 'colour', colour)));
      await application.loggedIn();

      const ids = (await store.ids())!;
      const all = (await store.all()) as unknown as { id: string; colour?: string }[];

      expect(new Set(ids).size).toBe(13);
      expect(await store.length()).toBe(13);
      expect(all.map(({ id }) => id).sort()).toEqual(ids.sort());
      expect(all.flatMap(({ colour }) => colour ?? []).sort()).toEqual(colours);

      await store.clear();
      expect(await store.ids()).toEqual([]);
      expect(await topology.client.get(lookAlike)).toBe('not a session');
    });

    if (replaces) describeReplacements(() => topology);
  });
}

/** What becomes of an application whose master is replaced. */
function describeReplacements(topologyOf: () => Topology): void {
  let topology: Topology;
  let masters: Masters;
  beforeEach(() => {
    topology = topologyOf();
    masters = topology.masters!;
  });

  it.each<[string, 'failover' | 'crash' | 'hang']>([
    ['hands over to its replica', 'failover'],
    ['is killed', 'crash'],
    ['hangs', 'hang'],
  ])('while a master %s each request is answered in time; then the same session is served again', async (_, way) => {
    const application = await applicationOn(topology);
    const browser = await application.loggedIn();
    await put(browser, 'colour', 'blue');
    const asked = ask(browser);

    await asked.during(masters[way](await keyOf(browser)));
    await asked.untilServed();

    expect(asked.failures).toEqual([]);
    expect((await browser.get('/session')).json()).toEqual({ colour: 'blue' });
    expect((await put(browser, 'colour', 'green')).status).toBe(200);
    expect((await (await application.loggedIn('grace', 'hopper')).get('/me')).status).toBe(200);
  });

  it('a login that is answered by 503 while there is no master is not carried out afterwards', async () => {
    const application = await applicationOn(topology);
    const browser = await application.loggedIn();
    const store = storeOf(application);
    const expected = new Set(await store.ids());
    let refused = 0;
    const login = async (): Promise<number> => {
      const user = application.browser();
      const { status } = await user.post('/login', { json: ADA });
      if (status === 200) expected.add(shownBy(user).handle);
      return status;
    };
    const loginOnceLost = async () => {
      // What the master accepts just before it is lost may be lost with it, or be kept without a reply.
      const isMasterLost = refused > 0 || (await browser.get('/me')).status === 503;
      if (isMasterLost && (await login()) !== 200) refused++;
    };
    const asked = ask(browser);

    // A new master may be there before the first login.
    for (let outage = 0; outage < 4 && refused === 0; outage++) {
      await asked.during(masters.crash(await keyOf(browser)), loginOnceLost);
      await asked.untilServed();
      await masters.heal();
    }

    expect(refused).toBeGreaterThan(0);
    // What was sent before this has been carried out by now, or never will be.
    await eventually('a login', async () => (await login()) === 200, { timeout: RECOVERS_WITHIN });
    // No more than that: where the new master is lost in turn, Redis loses logins that were answered by 200 (docs/redis.md).
    expect((await store.ids())!.filter((handle) => !expected.has(handle))).toEqual([]);
  });

  it('an application that starts before Redis does comes into service with it', async () => {
    await masters.outage();
    const application = await applicationOn(topology);
    const login = () => application.browser().post('/login', { json: ADA });
    expect((await login()).status).toBe(503);

    await masters.heal();

    await eventually('a login', async () => (await login()).status === 200, { timeout: RECOVERS_WITHIN });
  });
}

/** Asks again and again who is logged in, and keeps each response that came late or was neither 200 nor 503. */
function ask(browser: Browser) {
  const failures: { status: number; time: number }[] = [];
  const isServed = async () => {
    const start = performance.now();
    const { status } = await browser.get('/me');
    // A change of masters keeps node-redis busy: for each connection to a Sentinel it builds a class of a thousand methods.
    const time = Math.round(stalls.timeOf({ start, end: performance.now() }));
    if (time > TIMEOUT + GRACE || ![200, 503].includes(status)) failures.push({ status, time });
    return status === 200;
  };
  return {
    failures,
    /** While this change takes place; `also` does something else each time. */
    async during(change: Promise<unknown>, also?: () => Promise<void>): Promise<void> {
      let over = false;
      const changed = change.finally(() => (over = true));
      changed.catch(() => undefined);
      await eventually(
        'the change',
        async () => {
          await isServed();
          await also?.();
          return over;
        },
        { timeout: 20_000 },
      );
      await changed;
    },
    async untilServed(): Promise<void> {
      await eventually('the session to be served', isServed, { timeout: RECOVERS_WITHIN });
    },
  };
}
