import { Injectable } from '@nestjs/common';
import { SessionRegistry, UserSerializer } from '../../lib/index.js';
import { LocalStrategy, TestApplication } from '../support/application.js';
import { Browser, type BrowserResponse } from '../support/browser.js';
import { eventually } from '../support/eventually.js';
import { movedTo, OLD_SECRET, OldStack } from '../support/old-stack.js';
import { describePlatforms, placesOn } from '../support/platforms.js';
import { type DeploymentKind, RedisDeployment } from '../support/redis-deployment.js';
import { TestClock } from '../support/test-clock.js';

const AT_ONCE = 20;

@Injectable()
class IdSerializer extends UserSerializer<{ id: string }, string> {
  serializeUser({ id }: { id: string }) {
    return id;
  }
  deserializeUser(id: string) {
    return { id };
  }
}

/** Does the same for each, so many at a time. */
async function forEach<T>(all: readonly T[], work: (one: T) => Promise<void>): Promise<void> {
  for (let i = 0; i < all.length; i += AT_ONCE) await Promise.all(all.slice(i, i + AT_ONCE).map(work));
}

describePlatforms((platform) => {
  const places = placesOn<DeploymentKind>(platform, ['redis', 'cluster']);
  describe.each(places)('a hand-wired stack that is replaced under load, in %s', (where) => {
    const count = platform === 'express' && where === 'redis' ? 200 : 60;
    const clock = new TestClock(new Date());
    let redis: RedisDeployment;
    let old: OldStack;
    let applications: TestApplication[];

    const start = (redisTimeout: number) => {
      const options = { redis: redis.options, redisTimeout, adopt: { secret: OLD_SECRET } };
      return TestApplication.start({ clock, options, providers: [IdSerializer, LocalStrategy] });
    };
    beforeAll(async () => {
      redis = await RedisDeployment.start(where);
      // The worst of neighbours: it writes every session that it has read, and which may be gone by then.
      old = await OldStack.start(redis.client, { resave: true });
      applications = [await start(20_000), await start(20_000)];
    });
    afterAll(async () => {
      await Promise.all([...applications, old].map((one) => one.close()));
      await redis.stop();
    });

    it(`signs nobody of ${count} browsers out, doubles no session, and leaves no old cookie good`, async () => {
      const registry = applications[0]!.app.get(SessionRegistry);
      const browsers: { name: string; browser: Browser; cookie: string }[] = [];
      await forEach(
        Array.from({ length: count }, (_, i) => `user-${i}`),
        async (name) => {
          const browser = await old.loggedIn(name);
          browsers.push({ name, browser, cookie: `connect.sid=${browser.cookies.get('connect.sid')}` });
        },
      );
      const signedOut: string[] = [];
      const check = (name: string, { status, text }: BrowserResponse) => {
        if (status !== 200 || text !== JSON.stringify({ id: name })) signedOut.push(`${name}: ${status} ${text}`);
      };

      await forEach(browsers, async ({ name, browser, cookie }) => {
        const ofOld = new Browser(old.url).get('/me', { headers: { cookie } });
        const first = Array.from({ length: 4 }, (_, i) =>
          movedTo(applications[i % 2]!.url, browser).get('/me', { headers: { cookie } }),
        );
        for (const response of await Promise.all(first)) check(name, response);
        for (const { url } of applications) check(name, await movedTo(url, browser).get('/me'));
        await ofOld;
      });

      expect(signedOut).toEqual([]);
      for (const { name, browser } of browsers) {
        expect([name, (await registry.list(name)).length]).toEqual([name, 1]);
        expect(browser.cookies.all().map((one) => one.name)).toEqual(['sid']);
      }
      const adopted = applications.flatMap(({ events }) => events.filter(({ type }) => type === 'adopted'));
      expect(new Set(adopted.map(({ userId }) => userId)).size).toBe(count);
      expect(adopted).toHaveLength(count);

      clock.advance(31_000);
      await forEach(browsers, async ({ name, browser, cookie }) => {
        check(name, await movedTo(applications[0]!.url, browser).get('/me'));
        expect((await new Browser(applications[1]!.url).get('/me', { headers: { cookie } })).status).toBe(401);
        check(name, await movedTo(applications[1]!.url, browser).get('/me'));
      });
      expect(signedOut).toEqual([]);
    });

    if (where !== 'redis') return;

    it('signs nobody out when Redis hangs in the middle of it', async () => {
      const hurried = [await start(300), await start(300)];
      const registry = hurried[0]!.app.get(SessionRegistry);
      for (let round = 0; round < 6; round++) {
        const name = `hang-${round}`;
        const browser = await old.loggedIn(name);
        const cookie = `connect.sid=${browser.cookies.get('connect.sid')}`;
        const asking = Array.from({ length: 8 }, (_, i) =>
          new Browser(hurried[i % 2]!.url).get('/me', { headers: { cookie } }),
        );
        // A little later in each round, so that it hangs at another step.
        for (let turn = 0; turn < round * 3; turn++) await new Promise((resolve) => setImmediate(resolve));
        redis.server.pause();
        const statuses = (await Promise.all(asking)).map(({ status }) => status);
        redis.server.resume();
        expect(statuses.filter((status) => status !== 200 && status !== 503)).toEqual([]);

        for (const { url } of hurried) {
          await eventually(`${name} to be served`, async () => {
            const { status } = await movedTo(url, browser).get('/me');
            if (status === 401) throw new Error(`${name} was signed out`);
            return status === 200;
          });
        }
        expect(await registry.list(name)).toHaveLength(1);
        expect(browser.cookies.all().map((one) => one.name)).toEqual(['sid']);
      }
      await Promise.all(hurried.map((one) => one.close()));
    });
  });
});
