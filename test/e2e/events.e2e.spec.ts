import { createHash } from 'node:crypto';
import { jest } from '@jest/globals';
import { Injectable } from '@nestjs/common';
import type { Store } from 'express-session';
import { SESSION_STORE, type SessionEvent, SessionEvents, SessionRegistry, UserSerializer } from '../../lib/index.js';
import { LocalStrategy, type TestApplication, type User } from '../support/application.js';
import type { Browser } from '../support/browser.js';
import { responseTo, cookieOf, handlesIn, idOf, keyOf, put, sessionsIn } from '../support/devices.js';
import { eventually } from '../support/eventually.js';
import { Gate, Gates } from '../support/gate.js';
import { LogRecorder } from '../support/log-recorder.js';
import { describePlatforms, storesOn } from '../support/platforms.js';

/** Its users are gone from the moment the test says so; who looks for them then waits at the gate. */
@Injectable()
class FleetingSerializer extends UserSerializer<User, User> {
  gone?: Gate;
  waiting = 0;
  serializeUser(user: User): User {
    return user;
  }
  async deserializeUser(user: User): Promise<User | null> {
    this.waiting++;
    await this.gone?.pass();
    return this.gone ? null : user;
  }
}

type Type = SessionEvent['type'];
/** Of these, the session is in the store when they are reported; of the others it is not. */
/** What is known of a test's browser, which sends no user agent. */
const DEVICE = { ip: '127.0.0.1' };
const ALIVE: Type[] = ['logged-in', 'reauthenticated', 'rotated', 'large-session', 'touch-failed'];

describePlatforms((platform) => {
  describe.each(storesOn(platform))('session events, with sessions in %s,', (where) => {
    const home = sessionsIn(where);
    let application: TestApplication;
    let browser: Browser;
    /** What of the cookies nobody may read in an event. */
    let secrets: Set<string>;
    /** For each event, the handles that the store named when a listener asked it. */
    let found: Promise<[SessionEvent, string[]]>[];

    beforeEach(async () => {
      application = await home.start({
        options: { maxSessions: { limit: 2 }, warnAtBytes: 1000 },
        providers: [FleetingSerializer, LocalStrategy],
      });
      [secrets, found] = [new Set(), []];
      application.app.get(SessionEvents).events$.subscribe((event) => {
        found.push(handlesIn(application).then((handles) => [event, handles]));
      });
      browser = await application.loggedIn();
      await Promise.all(found); // The store has named the session before a test ends it.
      application.events.length = 0;
      note(browser);
    });

    function note(...browsers: Browser[]): void {
      for (const one of browsers) {
        const { secret } = idOf(one);
        if (secret === '') continue;
        secrets.add(secret).add(createHash('sha256').update(secret).digest('base64url').slice(0, 22));
      }
    }

    const json = ({ username = 'ada', password = 'lovelace' } = {}) => ({ json: { username, password } });
    const registry = () => application.app.get(SessionRegistry);
    const types = () => application.events.map(({ type }) => type);
    const store = () =>
      application.app.get<Store & { extend(): Promise<unknown>; find(): Promise<unknown> }>(SESSION_STORE);

    /** Looks at what was reported: these, in this order, after the fact, and without a secret. */
    async function expectReported(...expected: ({ type: Type } & Record<string, unknown>)[]): Promise<void> {
      note(browser);
      expect(application.events).toEqual(
        expected.map((event) => ({ at: new Date(application.clock.now()), ...event })),
      );
      for (const [{ type, handle = '' }, handles] of await Promise.all(found)) {
        if (type !== 'login-failed' && type !== 'store-error') {
          expect([type, handles.includes(handle)]).toEqual([type, ALIVE.includes(type)]);
        }
      }
      const text = JSON.stringify(application.events, (_key, value: unknown) =>
        value instanceof Error
          ? Object.fromEntries(Object.getOwnPropertyNames(value).map((name) => [name, value[name as 'message']]))
          : value,
      );
      for (const secret of secrets) expect(text).not.toContain(secret);
      expect(text).not.toMatch(/s%3A|s:[\w-]{24}|lovelace/);
    }

    it('tell of a login, and of the end of the session that it replaces', async () => {
      const { handle } = idOf(browser);
      await browser.post('/proof/none', { json: { method: 'totp' } });

      await expectReported(
        { type: 'logged-out', userId: '1', handle },
        { type: 'logged-in', userId: '1', handle: idOf(browser).handle, method: 'totp', device: DEVICE },
      );
    });

    it('tell of the end of the session that a login of another user replaces', async () => {
      const { handle } = idOf(browser);
      await browser.post('/login', json({ username: 'grace', password: 'hopper' }));

      await expectReported(
        { type: 'logged-out', userId: '1', handle },
        { type: 'logged-in', userId: '2', handle: idOf(browser).handle, strategy: 'local', device: DEVICE },
      );
    });

    it('tell of a logout once', async () => {
      const { handle } = idOf(browser);
      const cookie = cookieOf(browser);
      await Promise.all([1, 2, 3].map(() => browser.tab().post('/logout', { headers: { cookie } })));

      await expectReported({ type: 'logged-out', userId: '1', handle });
    });

    it('tell of a step-up, and by which session it was', async () => {
      const { handle: previous } = idOf(browser);
      await browser.post('/proof/step-up', { json: { method: 'totp' } });

      await expectReported({
        type: 'reauthenticated',
        userId: '1',
        handle: idOf(browser).handle,
        previous,
        method: 'totp',
      });
      expect(await handlesIn(application)).not.toContain(previous);
    });

    it.each<[string, string, (handle: string) => Promise<unknown>]>([
      ['their user', 'user', (handle) => registry().revoke('1', handle)],
      ['an administrator', 'admin', (handle) => registry().revoke('1', handle, { by: 'admin' })],
      ['an administrator, all of them', 'admin', () => registry().revokeAll('1', { by: 'admin' })],
      ['new credentials', 'credentials_changed', () => registry().credentialsChanged('1')],
    ])('tell that sessions were revoked by %s', async (_, reason, revoke) => {
      const { handle } = idOf(browser);
      await revoke(handle);
      await revoke(handle);

      await expectReported({ type: 'revoked', userId: '1', handle, reason });
    });

    it("tell that everybody's were revoked, without a word of whose", async () => {
      const { handle } = idOf(browser);
      await registry().revokeEveryone();

      await expectReported({ type: 'revoked', handle, reason: 'admin' });
    });

    it('tell who had to go for the limit', async () => {
      const { handle } = idOf(browser);
      application.clock.advance(1);
      const others = [await application.loggedIn(), await application.loggedIn()] as const;
      note(...others);

      await expectReported(
        { type: 'logged-in', userId: '1', handle: idOf(others[0]).handle, strategy: 'local', device: DEVICE },
        { type: 'revoked', userId: '1', handle, reason: 'limit' },
        { type: 'logged-in', userId: '1', handle: idOf(others[1]).handle, strategy: 'local', device: DEVICE },
      );
    });

    it('tell of a rotation when the browser first shows the next secret, and of a copy that shows the old one', async () => {
      const { handle } = idOf(browser);
      const copy = cookieOf(browser);
      application.clock.advance('16m');
      await browser.get('/me');
      note(browser);
      expect(types()).toEqual([]);
      await Promise.all([1, 2, 3].map(() => browser.tab().get('/me')));
      await expectReported({ type: 'rotated', userId: '1', handle });

      application.events.length = found.length = 0;
      application.clock.advance('31s');
      await Promise.all([1, 2, 3].map(() => responseTo(application, copy)));
      await expectReported({ type: 'reuse-detected', userId: '1', handle });
    });

    it('tell of a login that was turned down, and not with what', async () => {
      const visitor = application.browser();
      await visitor.post('/login', json({ password: 'lovelaceX' }));

      await expectReported({
        type: 'login-failed',
        strategy: 'local',
        code: 'login_failed',
        reason: expect.any(String),
      });
    });

    it('tell once of a user who is gone, whatever number of requests finds out', async () => {
      const { handle } = idOf(browser);
      const serializer = application.app.get(FleetingSerializer);
      const gate = (serializer.gone = new Gate());
      const cookie = cookieOf(browser);
      const responses = [1, 2, 3].map(() => responseTo(application, cookie));
      await eventually('all to look for the user', () => serializer.waiting === 3);
      gate.open();
      await Promise.all(responses);

      await expectReported({ type: 'ended', userId: '1', handle, reason: 'user_gone' });
    });

    it('tell of a write that came after the end', async () => {
      const { handle } = idOf(browser);
      const gate = application.app.get(Gates).named('late');
      const response = browser.post('/slow/late');
      await gate.reached;
      await registry().revoke('1', handle);
      gate.open();
      await response;

      await expectReported(
        { type: 'revoked', userId: '1', handle, reason: 'user' },
        { type: 'save-dropped', userId: '1', handle },
      );
    });

    it('tell once of a session that has grown large', async () => {
      const { handle } = idOf(browser);
      for (const length of [400, 1200, 1300]) await put(browser, 'text', 'x'.repeat(length));
      const [event] = application.events as { bytes?: number }[];

      expect(event?.bytes).toBeGreaterThan(1200);
      await expectReported({ type: 'large-session', userId: '1', handle, bytes: event?.bytes });
    });

    it('tell of activity that could not be written down', async () => {
      const { handle } = idOf(browser);
      application.clock.advance('10m');
      if (where === 'redis') await home.refuseWrites();
      else jest.spyOn(store(), 'extend').mockRejectedValue(new Error('no room'));
      expect((await browser.get('/me')).status).toBe(200);
      await eventually('the event', () => application.events.length > 0);
      if (where === 'redis') await home.refuseWrites(false);

      const [{ userId } = {}] = application.events;
      await expectReported({ type: 'touch-failed', userId, handle, error: expect.any(Error) });
    });

    it('tell of a store that fails', async () => {
      const fails = jest.spyOn(store(), 'find').mockRejectedValue(new Error('out of order'));
      expect((await browser.get('/me')).status).toBe(503);
      fails.mockRestore();

      await expectReported({ type: 'store-error', operation: 'find', error: expect.any(Error) });
    });

    it('reach every listener though one throws, and disturb no request', async () => {
      const log = new LogRecorder();
      const noisy = await home.start({ logger: log });
      const { events$ } = noisy.app.get(SessionEvents);
      const heard: Type[] = [];
      events$.subscribe(() => {
        throw new Error('of the listener');
      });
      events$.subscribe(({ type }) => heard.push(type));
      const visitor = await noisy.loggedIn();

      expect((await visitor.post('/proof/step-up')).status).toBe(200);
      expect((await visitor.post('/logout')).status).toBe(204);
      expect(heard).toEqual(['logged-in', 'reauthenticated', 'logged-out']);
      expect(log.at('error').filter((line) => line.includes('of the listener'))).toHaveLength(3);
    });
  });

  describe('session events, with sessions in Redis,', () => {
    const home = sessionsIn('redis');

    it('tell of a value that was no session, and was removed', async () => {
      const application = await home.start();
      const browser = await application.loggedIn();
      const { handle } = idOf(browser);
      const key = keyOf(handle);
      await home.client.set(key, 'broken');
      expect((await browser.get('/me')).status).toBe(401);

      expect(application.events.at(-1)).toMatchObject({ type: 'ended', handle, reason: 'unreadable' });
      expect(await home.client.exists(key)).toBe(0);
    });
  });
});
