import { TerminusModule } from '@nestjs/terminus';
import { RedisStore } from 'connect-redis';
import { SessionHealthIndicator } from '../../lib/health/index.js';
import { LocalStrategy, SnapshotSerializer, TestApplication } from '../support/application.js';
import { RedisServer } from '../support/redis-server.js';

const TIMEOUT = 200;
/** What a busy machine may add. How little it is otherwise, `npm run bench -- --only outage` tells. */
const GRACE = 5_000;

describe('while Redis hangs', () => {
  let redis: RedisServer;
  let application: TestApplication;

  beforeEach(async () => {
    redis = await RedisServer.start();
  });

  afterEach(async () => {
    redis.resume();
    await application.close();
    await redis.stop();
  });

  it('a store of the store option is given up after redisTimeout', async () => {
    const store = new RedisStore({ client: await redis.client() });
    application = await TestApplication.start({ options: { store, redisTimeout: TIMEOUT } });
    const browser = await application.loggedIn();
    redis.pause();
    const start = performance.now();
    const { status } = await browser.get('/me');
    const time = performance.now() - start;

    expect(status).toBe(503);
    expect(time).toBeLessThan(TIMEOUT + GRACE);
  });

  it('its health is told after redisTimeout', async () => {
    application = await TestApplication.start({
      imports: [TerminusModule.forRoot({ logger: false })],
      providers: [SnapshotSerializer, LocalStrategy, SessionHealthIndicator],
      options: { redis: { url: redis.url }, redisTimeout: TIMEOUT },
    });
    const indicator = application.app.get(SessionHealthIndicator);
    redis.pause();

    const { sessions } = await indicator.isHealthy('sessions');

    expect(sessions).toMatchObject({ status: 'down', store: 'down' });
    expect((sessions as { milliseconds?: number } | undefined)?.milliseconds).toBeLessThan(TIMEOUT + GRACE);
  });
});
