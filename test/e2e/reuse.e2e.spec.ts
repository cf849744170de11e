import { createHash } from 'node:crypto';
import { SessionRegistry } from '../../lib/index.js';
import { SECRET, type TestApplication } from '../support/application.js';
import type { BrowserResponse, Browser } from '../support/browser.js';
import { Gates } from '../support/gate.js';
import { describePlatforms, placesOn } from '../support/platforms.js';
import { DEPLOYMENTS, RedisDeployment } from '../support/redis-deployment.js';
import { rotatingApplication } from '../support/rotating-application.js';
import {
  eventsOf,
  idsSetBy,
  LateBrowser,
  recordOf,
  type ShownId,
  shownBy,
  signed,
} from '../support/rotating-browser.js';

const ADA = { id: '1', name: 'Ada' };
const CLEARED = [expect.stringMatching(/^sid=; .*Expires=Thu, 01 Jan 1970/)];
const GARBAGE = 'garbage'.repeat(7).slice(0, 43);

describePlatforms((platform) => {
  describe.each(placesOn(platform))('a copy of an old cookie, with sessions in %s', (where) => {
    let redis: RedisDeployment | undefined;
    let application: TestApplication;

    beforeAll(async () => {
      redis = await RedisDeployment.startIn(where);
      application = await rotatingApplication({ options: { redis: redis?.options } });
    });

    afterAll(async () => {
      await application.close();
      await redis?.stop();
    });

    const me = (browser: Browser, cookie?: string) =>
      browser.get('/me', cookie === undefined ? {} : { headers: { cookie } });
    const reasonOf = (response: BrowserResponse) => [response.status, response.json<{ reason?: string }>().reason];

    async function expectSignedIn(browser: Browser, cookie?: string): Promise<BrowserResponse> {
      const response = await me(browser, cookie);
      expect([response.status, response.json()]).toEqual([200, ADA]);
      return response;
    }

    async function expectEnded(browser: Browser): Promise<BrowserResponse> {
      const response = await me(browser);
      expect(reasonOf(response)).toEqual([401, 'reuse_detected']);
      return response;
    }

    async function expectUnknown(browser: Browser): Promise<void> {
      expect(reasonOf(await me(browser))).toEqual([401, undefined]);
    }

    /** A new secret is offered to this browser, and taken up by it. */
    async function rotate(browser: Browser): Promise<void> {
      application.clock.advance('15m');
      expect(idsSetBy(await browser.get('/public'))).toHaveLength(1);
      expect((await browser.get('/public')).setCookies).toEqual([]);
    }

    /** A victim, and a thief with a copy of the cookie from before the last rotation, whose grace is over. */
    async function theft(): Promise<{ victim: Browser; thief: Browser; id: ShownId }> {
      const victim = await application.loggedIn();
      const thief = victim.fork();
      await rotate(victim);
      application.clock.advance('30s');
      return { victim, thief, id: shownBy(victim) };
    }

    it('ends the session for whoever holds a cookie of it', async () => {
      const { victim, thief, id } = await theft();
      await expectSignedIn(victim);
      const response = await expectEnded(thief);

      expect(response.setCookies).toEqual(CLEARED);
      expect(thief.cookies.size).toBe(0);
      expect(application.events.at(-1)).toEqual({
        type: 'reuse-detected',
        userId: '1',
        handle: id.handle,
        at: new Date(application.clock.now()),
      });
      await expectEnded(victim);
      await expectEnded(victim.fork());
      expect(eventsOf(application, id)).toEqual(['logged-in', 'rotated', 'reuse-detected']);
      expect(await recordOf(application, id)).toBeUndefined();
      const listed = await application.app.get(SessionRegistry).list('1');
      expect(listed.map(({ handle }) => handle)).not.toContain(id.handle);
    });

    it('tells its holder why as often as they ask', async () => {
      const { victim, thief } = await theft();
      const copy = thief.fork();
      const present = `sid=${signed(shownBy(victim))}`;
      await expectEnded(thief);

      await expectEnded(copy);
      await expectEnded(copy);
      await expectEnded(victim);
      application.clock.advance('20h');
      await expectUnknown(application.browser());
      expect(reasonOf(await me(victim, present))).toEqual([401, 'reuse_detected']);
    });

    it('is found out on open routes too, which answer an anonymous request', async () => {
      const { victim, thief } = await theft();
      const response = await thief.get('/public');

      expect([response.status, response.json(), response.setCookies]).toEqual([200, { name: null }, CLEARED]);
      await expectEnded(victim);
    });

    it('gets a session of its own for what it writes', async () => {
      const { victim, thief, id } = await theft();
      await victim.request('PUT', '/session/letter', { json: { value: 'private' } });
      const response = await thief.request('PUT', '/session/mark', { json: { value: 1 } });

      expect([response.status, idsSetBy(response).length]).toEqual([200, 1]);
      expect(shownBy(thief).handle).not.toBe(id.handle);
      expect((await thief.get('/session')).json()).toEqual({ mark: 1 });
      await expectEnded(victim);
    });

    it('may be older than the secret that is in its grace', async () => {
      const { victim, thief } = await theft();
      application.clock.advance('14m');
      await rotate(victim);
      await expectEnded(thief);
      await expectEnded(victim);
    });

    it('that takes the offer first gives itself away by the next request of the victim after the grace', async () => {
      const victim = await application.loggedIn();
      const thief = victim.fork();
      application.clock.advance('15m');
      expect(idsSetBy(await me(thief))).toHaveLength(1);
      await expectSignedIn(thief);
      application.clock.advance(29_999);
      expect((await expectSignedIn(victim)).setCookies).toEqual([]);
      expect(eventsOf(application, shownBy(thief))).toEqual(['logged-in', 'rotated']);

      application.clock.advance(1);
      await expectSignedIn(thief);
      expect((await expectEnded(victim)).setCookies).toEqual(CLEARED);
      await expectEnded(thief);
      expect(eventsOf(application, shownBy(thief))).toEqual(['logged-in', 'rotated', 'reuse-detected']);
    });

    it('that takes up each offer as its owner does is not told from its owner', async () => {
      const victim = await application.loggedIn();
      const thief = victim.fork();
      for (let quarter = 0; quarter < 3; quarter++) {
        application.clock.advance('15m');
        await expectSignedIn(thief);
        await expectSignedIn(victim);
        expect(shownBy(thief)).toEqual(shownBy(victim));
        await expectSignedIn(victim);
      }

      expect(eventsOf(application, shownBy(victim))).toEqual(['logged-in', 'rotated', 'rotated', 'rotated']);
    });

    it('of an anonymous session ends that', async () => {
      const victim = application.browser();
      await victim.request('PUT', '/session/cart', { json: { value: ['tea'] } });
      const thief = victim.fork();
      await rotate(victim);
      application.clock.advance('30s');
      const response = await thief.get('/session');

      expect([response.json(), response.setCookies]).toEqual([{}, CLEARED]);
      expect((await victim.get('/session')).json()).toEqual({});
      expect(application.events.at(-1)).toEqual({
        type: 'reuse-detected',
        handle: shownBy(victim).handle,
        at: new Date(application.clock.now()),
      });
    });

    it('20 requests in parallel are one event', async () => {
      const { victim, thief, id } = await theft();
      const late = new LateBrowser(thief);
      const sent = await Promise.all(Array.from({ length: 20 }, () => late.send('/me')));

      expect(sent.map(({ response }) => reasonOf(response))).toEqual(sent.map(() => [401, 'reuse_detected']));
      for (const { arrive } of sent) arrive();
      expect(thief.cookies.size).toBe(0);
      await expectEnded(victim);
      expect(eventsOf(application, id)).toEqual(['logged-in', 'rotated', 'reuse-detected']);
    });

    it('ends what the victim has under way: nothing of it is stored', async () => {
      const { victim, thief, id } = await theft();
      const gate = application.app.get(Gates).named('theft');
      const response = victim.post('/slow/write/theft');
      await gate.reached;
      await expectEnded(thief);
      gate.open();

      expect([(await response).status, (await response).setCookies]).toEqual([200, []]);
      expect(await recordOf(application, id)).toBeUndefined();
      await expectEnded(victim);
    });

    describe('beside the present cookie of the same name, as after a change of cookie.path', () => {
      it('signs nobody out, in whatever order they come', async () => {
        const { victim, thief, id } = await theft();
        const [present, old] = [signed(shownBy(victim)), signed(shownBy(thief))];
        for (const cookie of [`sid=${old}; sid=${present}`, `sid=${present}; sid=${old}`]) {
          expect((await expectSignedIn(victim, cookie)).setCookies).toEqual([]);
        }
        expect(eventsOf(application, id)).toEqual(['logged-in', 'rotated']);
      });

      it.each(['an old one', 'the present one'])(
        'does so through further rotations, where it began as %s',
        async (age) => {
          const { victim, thief, id } = await theft();
          const other = signed(shownBy(age === 'an old one' ? thief : victim));
          victim.cookies.receive(`sid=${other}; Path=/me`, new URL(application.url));
          const sent = victim.cookies.headerFor(new URL('/me', application.url));
          expect(sent).toBe(`sid=${other}; sid=${signed(id)}`);

          for (let quarter = 0; quarter < 4; quarter++) {
            application.clock.advance('15m');
            expect(idsSetBy(await expectSignedIn(victim))).toHaveLength(1);
            expect((await expectSignedIn(victim)).setCookies).toEqual([]);
            expect(eventsOf(application, id)).toHaveLength(3 + quarter);
            expect((await victim.get('/public')).setCookies).toEqual([]);
            application.clock.advance('1m');
          }
          expect(eventsOf(application, id)).toEqual(['logged-in', ...Array<string>(5).fill('rotated')]);
        },
      );

      it('is one of another session: that ends, and this one lives', async () => {
        const { thief, id } = await theft();
        const browser = await application.loggedIn('grace', 'hopper');
        const cookies = `sid=${signed(shownBy(thief))}; sid=${signed(shownBy(browser))}`;
        const response = await browser.get('/me', { headers: { cookie: cookies } });

        expect([response.json(), response.setCookies]).toEqual([{ id: '2', name: 'Grace' }, []]);
        expect(eventsOf(application, id).at(-1)).toBe('reuse-detected');
        expect((await me(browser)).status).toBe(200);
      });
    });

    describe('that is no copy at all', () => {
      it('but an invention with a right signature ends the session as well', async () => {
        const victim = await application.loggedIn();
        const { handle } = shownBy(victim);
        const forger = application.browser();
        forger.cookies.set('sid', signed({ handle, secret: GARBAGE }));
        const again = forger.fork();

        expect((await expectEnded(forger)).setCookies).toEqual(CLEARED);
        await expectEnded(again);
        await expectEnded(victim);
        again.cookies.set('sid', signed({ handle, secret: GARBAGE.toUpperCase() }));
        await expectUnknown(again);
        expect(eventsOf(application, { handle, secret: '' })).toEqual(['logged-in', 'reuse-detected']);
      });

      it.each<[string, (id: ShownId) => string]>([
        ['a wrong signature', ({ handle }) => signed({ handle, secret: GARBAGE }, `not ${SECRET}`)],
        ['no signature', ({ handle }) => `s%3A${handle}.${GARBAGE}`],
        ['too short a secret', ({ handle }) => signed({ handle, secret: 'short' })],
        ['no secret', ({ handle }) => signed({ handle, secret: '' })],
        ['the handle of an anonymous session', () => signed({ handle: 'nobody--nobody--nobody--', secret: GARBAGE })],
      ])('but has %s harms nobody', async (_, cookieOf) => {
        const victim = await application.loggedIn();
        const before = application.events.length;
        const forger = application.browser();
        forger.cookies.set('sid', cookieOf(shownBy(victim)));

        await expectUnknown(forger);
        await expectSignedIn(victim);
        expect(application.events.slice(before)).toEqual([]);
      });
    });

    it('is nowhere to be read: no list, no event, nothing in the store shows a secret', async () => {
      const { victim, thief, id } = await theft();
      const registry = application.app.get(SessionRegistry);
      const secrets = [shownBy(thief).secret, id.secret];
      const seen: unknown[] = [await registry.list('1')];
      application.clock.advance('15m');
      await me(victim);
      secrets.push(shownBy(victim).secret);
      seen.push(await registry.list('1'), (await victim.get('/current')).text);
      expect(JSON.stringify(seen)).toContain(id.handle);
      const client = redis?.client;
      const dump = async () => {
        for (const key of (await redis?.keys()) ?? []) {
          seen.push(
            key,
            await ((await client?.type(key)) === 'string' ? client?.get(key) : client?.zRange(key, 0, -1)),
          );
        }
      };
      await dump();
      seen.push((await expectEnded(thief)).text, await registry.list('1'), application.events);
      await dump();

      const text = JSON.stringify(seen);
      for (const secret of secrets) expect(text).not.toContain(secret);
      const hashes = secrets.map((secret) => createHash('sha256').update(secret).digest('base64url').slice(0, 22));
      const told = JSON.stringify([seen.slice(0, 3), application.events]);
      for (const hash of hashes) expect(told).not.toContain(hash);
      if (redis) for (const hash of hashes) expect(text).toContain(hash);
    });
  });

  describe.each(placesOn(platform, DEPLOYMENTS))(
    'a copy of an old cookie, where Redis is in trouble, with sessions in %s,',
    (where) => {
      let redis: RedisDeployment;

      beforeAll(async () => {
        redis = await RedisDeployment.start(where);
      });

      afterAll(() => redis.stop());

      it('that Redis will not let us act on lets nobody in, and is found out later', async () => {
        const application = await rotatingApplication({ options: { redis: redis.options } });
        try {
          const victim = await application.loggedIn();
          const thief = victim.fork();
          application.clock.advance('15m');
          await victim.get('/me');
          await victim.get('/me');
          application.clock.advance('1m');
          await redis.refuseWrites();
          const refused = await thief.get('/me');
          expect([refused.status, refused.setCookies]).toEqual([503, []]);
          expect((await thief.get('/public')).json()).toEqual({ name: null });
          expect((await victim.get('/me')).status).toBe(200);

          await redis.refuseWrites(false);
          expect((await thief.get('/me')).json()).toMatchObject({ reason: 'reuse_detected' });
          expect((await victim.get('/me')).json()).toMatchObject({ reason: 'reuse_detected' });
        } finally {
          await application.close();
        }
      });

      it('that comes 20 times before the first is dealt with is one event', async () => {
        const line = await redis.line();
        const application = await rotatingApplication({ options: { redis: line.options } });
        try {
          const victim = await application.loggedIn();
          const late = new LateBrowser(victim.fork());
          application.clock.advance('15m');
          await victim.get('/me');
          await victim.get('/me');
          application.clock.advance('1m');
          line.delay = 50;
          const sent = await Promise.all(Array.from({ length: 20 }, () => late.send('/me')));

          expect(sent.map(({ response }) => response.json())).toEqual(
            sent.map(() => expect.objectContaining({ statusCode: 401, reason: 'reuse_detected' })),
          );
          expect(sent.flatMap(({ response }) => response.setCookies)).toEqual(CLEARED);
          expect(eventsOf(application, shownBy(victim))).toEqual(['logged-in', 'rotated', 'reuse-detected']);
        } finally {
          await application.close();
          await line.close();
        }
      });
    },
  );
});
