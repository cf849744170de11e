import { SessionRegistry } from '../../lib/index.js';
import { nextSecret, promoted, rotationKeys } from '../../lib/model/rotation.js';
import { hashSecret, newAnonymousSessionId } from '../../lib/model/session-id.js';
import type { SessionRecord } from '../../lib/model/session-record.js';
import { TestApplication } from '../support/application.js';
import { idIn, responseTo, cookieOf } from '../support/devices.js';
import { eventually } from '../support/eventually.js';
import type { RedisCommand, RedisMonitor } from '../support/redis-monitor.js';
import { MINUTE, REDIS_PLACES, usersIn } from '../support/session-stores.js';
import { gathered } from '../support/user-sessions.js';

/** The line by which a script tells Dragonfly that it uses keys which no caller could declare, as MONITOR prints it. */
const FLAG = '--!df flags=allow-undeclared-keys\\n';

describe.each(REDIS_PLACES)('the keys in Redis (%s)', (_, start) => {
  const users = usersIn(start);
  const redis = () => users.place.redis;
  const keys = () => redis().keys();

  /** Everything that may happen to a session while it is live. */
  async function live(record: SessionRecord, secret: string): Promise<void> {
    const { store, clock } = users;
    const now = clock.now();
    const offer = nextSecret(record, secret, rotationKeys(['a secret of the application']));
    const offered = { ...record, ...offer.change, version: 2 };
    const next = promoted(offered, hashSecret(offer.secret), now, now + 30_000);
    await store.update(offered, users.at(60));
    await store.update({ ...offered, ...next, version: 3, data: '{"b":2}' }, users.at(60));
    await store.update({ ...record, version: 1 }, users.at(60));
    await store.extend(record, users.at(1), users.at(61));
    clock.advance('2m');
    await store.touch(record.handle, (await store.get(record.handle))!);
    await store.set(record.handle, (await store.get(record.handle))!);
    await Promise.all([store.find(record.handle), store.all(), store.ids(), store.length()]);
    await Promise.all([users.listed(), store.index.count('ada')]);
  }

  it('are two for a user with one session: the session and the index, and no other while it is live', async () => {
    const { id, record } = await users.loggedIn();
    const two = [redis().index('ada'), redis().session(id.handle)].sort();
    expect(await keys()).toEqual(two);
    await live(record, id.secret);

    expect(await keys()).toEqual(two);
  });

  it('are one for each further session of the user', async () => {
    const three = await users.manyLoggedIn(3);

    expect(await keys()).toEqual([redis().index('ada'), ...three.map(({ id }) => redis().session(id.handle))].sort());
  });

  it("are one for a session that is nobody's, and no other while it is live", async () => {
    const { id, record } = await users.anonymous();
    expect(await keys()).toEqual([redis().session(id.handle)]);
    await live(record, id.secret);

    expect(await keys()).toEqual([redis().session(id.handle)]);
  });

  it('are those two over HTTP, through login, writes, activity, an offer and its promotion', async () => {
    const application = await TestApplication.start({ options: { redis: redis().options } });
    const browser = await application.loggedIn();
    const first = idIn(browser.cookies.get('sid')!);
    await browser.request('PUT', '/session/a', { json: { value: 1 } });
    for (let n = 0; n < 4; n++) {
      application.clock.advance('8m');
      await browser.get('/me');
    }
    await application.close();

    expect(idIn(browser.cookies.get('sid')!)).toMatchObject({ handle: first.handle });
    expect(application.events.map(({ type }) => type)).toContain('rotated');
    expect(await keys()).toEqual([redis().index('1'), redis().session(first.handle)].sort());
  });

  it('of a user have one hash tag, be they of sessions, of what remains of them, or the index', async () => {
    const [one, other] = [await users.loggedIn(), await users.loggedIn()];
    await users.store.end(one.record, 'revoked');
    const all = [redis().index('ada'), ...[one, other].map(({ id }) => redis().session(id.handle))].sort();

    expect(await keys()).toEqual(all);
    expect(new Set(all.map((key) => /^sess:\{([\w-]{16})\}/.exec(key)?.[1])).size).toBe(1);
  });

  it('are all gone when the sessions have expired', async () => {
    const SOON = 40 / MINUTE;
    const [one] = await users.manyLoggedIn(2, { ends: SOON });
    const { record } = await users.anonymous();
    await users.store.update({ ...record, version: 2 }, users.at(SOON));
    await users.store.extend(one!.record, users.at(SOON / 4), users.at(2 * SOON));

    await eventually('all keys to be gone', async () => (await keys()).length === 0);
  });

  it('all have an end, whatever became of the sessions', async () => {
    const [live, ended, replaced] = await users.manyLoggedIn(3);
    const [anonymous, other] = [await users.anonymous(), await users.anonymous()];
    await users.store.end(ended!.record, 'revoked');
    await users.store.end(other.record, 'replaced');
    await users.loggedIn({ replaces: replaced!.record });
    await users.store.update({ ...live!.record, version: 2 }, users.at(61));
    await users.store.update({ ...anonymous.record, version: 2 }, users.at(61));
    const all = await keys();

    expect(all).toHaveLength(7);
    for (const key of all) expect(await redis().client.pTTL(key)).toBeGreaterThan(0);
  });

  describe('live until the end of the session, to the millisecond,', () => {
    const LEFT = 61_234_567;
    const end = () => users.clock.now() + LEFT;

    /** Redis's time, and when the key expires by it. */
    async function times(key: string): Promise<[now: number, expires: number]> {
      const script = `
        local time = redis.call('TIME')
        return {time[1] * 1000 + math.floor(time[2] / 1000), redis.call('PEXPIRETIME', KEYS[1])}`;
      return (await redis().client.eval(script, { keys: [key], arguments: [] })) as [number, number];
    }

    it.each<[string, (record: SessionRecord) => Promise<unknown>]>([
      ['after a login', (record) => users.store.logIn({ record, expiresAt: end() })],
      [
        'after an insert',
        (record) => {
          const { login: _login, ...anonymous } = record;
          return users.store.insert(anonymous, end());
        },
      ],
      [
        'after an update',
        async (record) => {
          await users.store.logIn({ record, expiresAt: users.at(1) });
          await users.store.update({ ...record, version: 2 }, end());
        },
      ],
      [
        'after activity',
        async (record) => {
          await users.store.logIn({ record, expiresAt: users.at(1) });
          await users.store.extend(record, users.at(1), end());
        },
      ],
    ])('%s', async (_, change) => {
      const { record } = users.made();
      const key = redis().session(record.handle);
      const [before] = await times(key);
      await change(record);
      const [after, expires] = await times(key);

      expect(expires).toBeGreaterThanOrEqual(before + LEFT);
      expect(expires).toBeLessThanOrEqual(after + LEFT);
    });
  });

  describe('as MONITOR shows,', () => {
    let monitor: RedisMonitor;

    beforeEach(async () => {
      monitor = await redis().monitor();
    });

    afterEach(() => monitor.stop());

    it('are asked for once, by one GET, for a live session, an ended one with its reason, and an expired one', async () => {
      const application = await TestApplication.start({ options: { redis: redis().options } });
      const [live, ended, expired] = [
        await application.loggedIn(),
        await application.loggedIn(),
        await application.loggedIn(),
      ];
      const handles = [live, ended, expired].map((browser) => idIn(browser.cookies.get('sid')!).handle);
      await application.app.get(SessionRegistry).revoke('1', handles[1]!);
      await redis().client.pExpire(redis().session(handles[2]!), 0);
      const asked = [];
      for (const browser of [live, ended, expired]) {
        const cookie = cookieOf(browser);
        let response: unknown;
        const commands = await monitor.during(async () => (response = await responseTo(application, cookie)));
        asked.push({ response, commands: commands.map(({ name, args }) => [name, ...args]) });
      }
      await application.close();

      expect(asked).toEqual([
        { response: { status: 200 }, commands: [['get', redis().session(handles[0]!)]] },
        { response: { status: 401, reason: 'revoked' }, commands: [['get', redis().session(handles[1]!)]] },
        { response: { status: 401, reason: 'expired' }, commands: [['get', redis().session(handles[2]!)]] },
      ]);
    });

    /** Each script's work, and what there is to see of it when scripts are sent as text. */
    async function scriptCalls(): Promise<ScriptCall[]> {
      const { store } = users;
      const evict = { limit: 2, overflow: 'evict-oldest' as const };
      const reject = { limit: 1, overflow: 'reject' as const };
      const all: RedisCommand[] = [];
      const watched = async <T>(work: () => Promise<T>): Promise<T> => {
        await redis().forgetScripts();
        let result: T;
        all.push(...(await monitor.during(async () => (result = await work()))));
        return result!;
      };
      const { record } = await watched(() => users.loggedIn({ seen: -9 }));
      const second = await watched(() => users.loggedIn({ seen: -8, limit: evict }));
      await watched(() => users.tried({ limit: reject }));
      await watched(() => users.loggedIn({ limit: evict }));
      expect(await users.lives({ record })).toBe(false);
      await watched(() => store.update({ ...second.record, version: 2 }, users.at(61)));
      await watched(() => store.extend(second.record, users.at(1), users.at(62)));
      await watched(() => users.loggedIn({ replaces: second.record, limit: evict }));
      await watched(() => store.index.count('ada'));
      await watched(() => users.listed());
      const last = await watched(() => users.loggedIn());
      await watched(() => store.end(last.record, 'logged_out'));
      await watched(() => store.trust!.grant('ada', 'fresh', MINUTE));
      await watched(() => users.tried({ epoch: 'fresh' }));
      await watched(() => gathered(store.index.endAll('ada', 'revoked')));
      await redis().client.del(await keys().then(([first]) => first!));
      const anonymous = await users.anonymous();
      await watched(() => store.update({ ...anonymous.record, version: 2 }, users.at(61)));
      await watched(() => store.extend({ ...anonymous.record, version: 2 }, users.at(1), users.at(62)));
      await watched(() => store.ids());
      await watched(() => store.end(anonymous.record, 'replaced'));
      return callsIn(all);
    }

    it('are declared by each script that uses them, or it carries the flag that says that it does not', async () => {
      const calls = await scriptCalls();
      const scripts = new Map(calls.map(({ source }) => [source, calls.filter((call) => call.source === source)]));
      const isUndeclared = ({ keys, used }: ScriptCall) => used.some((key) => !keys.includes(key));

      expect(scripts.size).toBe(10);
      for (const [source, runs] of scripts) {
        expect(runs.flatMap(({ used }) => used)).not.toEqual([]);
        expect([source, source.startsWith(FLAG)]).toEqual([source, runs.some(isUndeclared)]);
      }
      const flagged = calls.filter(isUndeclared);
      expect(new Set(flagged.map(({ source }) => source)).size).toBe(2);
      for (const { keys, used } of flagged) {
        const tags = [...keys, ...used].map((key) => /^sess:\{(.*?)\}/.exec(key)?.[1]);
        expect(new Set(tags).size).toBe(1);
      }
    });
  });
});

describe('a user on a cluster', () => {
  const users = usersIn(REDIS_PLACES[1]![1]);

  it.each(['ada', '', '42', 'a {user} with "braces"'])('has all keys in one slot (%p)', async (userId) => {
    const { redis } = users.place;
    const [replaced, ended] = await users.manyLoggedIn(4, { userId });
    await users.loggedIn({ userId, replaces: replaced!.record });
    await users.store.end(ended!.record, 'revoked');
    const keys = await redis.keys();

    expect(keys).toHaveLength(6);
    expect(new Set(await Promise.all(keys.map((key) => redis.slotOf(key)))).size).toBe(1);
  });

  it('shares no slot with all others', async () => {
    const { redis } = users.place;
    const handles = Array.from({ length: 20 }, () => newAnonymousSessionId().handle);
    const slots = await Promise.all(handles.map((handle) => redis.slotOf(redis.session(handle))));

    expect(new Set(slots).size).toBeGreaterThan(10);
  });
});

interface ScriptCall {
  source: string;
  /** Those that the call declares. */
  keys: string[];
  /** Those that the script's commands name. */
  used: string[];
}

/** The scripts that were sent as text, each with the keys of the commands that it ran. */
function callsIn(commands: readonly RedisCommand[]): ScriptCall[] {
  const calls: ScriptCall[] = [];
  for (const { name, args, inScript } of commands) {
    if (name === 'eval') {
      calls.push({ source: args[0]!, keys: args.slice(2, 2 + Number(args[1])), used: [] });
    } else if (inScript && !['time', 'publish'].includes(name)) {
      calls.at(-1)!.used.push(args[0]!); // A channel is no key.
    }
  }
  return calls;
}
