import { Controller, Get } from '@nestjs/common';
import { HealthCheck, HealthCheckService, TerminusModule } from '@nestjs/terminus';
import { SessionHealthIndicator } from '../../lib/health/index.js';
import { LocalStrategy, SnapshotSerializer, TestApplication } from '../support/application.js';
import { DelayProxy } from '../support/delay-proxy.js';
import { eventually } from '../support/eventually.js';
import { describePlatforms } from '../support/platforms.js';
import { RedisServer } from '../support/redis-server.js';

@Controller('health')
class HealthController {
  constructor(
    private readonly health: HealthCheckService,
    private readonly sessions: SessionHealthIndicator,
  ) {}

  @Get()
  @HealthCheck()
  lenient() {
    return this.health.check([() => this.sessions.isHealthy('sessions')]);
  }

  @Get('strict')
  @HealthCheck()
  strict() {
    return this.health.check([() => this.sessions.isHealthy('sessions', { slowAfter: 20, slowIsDown: true })]);
  }
}

const PARTS = {
  imports: [TerminusModule.forRoot({ logger: false })],
  providers: [SnapshotSerializer, LocalStrategy, SessionHealthIndicator],
  controllers: [HealthController],
};

describePlatforms(() => {
  describe('the health of the session store', () => {
    let redis: RedisServer;
    let line: DelayProxy;
    let application: TestApplication;

    beforeAll(async () => {
      redis = await RedisServer.start();
      line = await DelayProxy.start({ port: redis.port });
      application = await TestApplication.start({
        ...PARTS,
        options: { redis: { url: `redis://127.0.0.1:${line.port}` }, redisTimeout: 200 },
      });
    });

    afterAll(async () => {
      await application.close();
      await line.close();
      await redis.stop();
    });

    const check = async (path = '/health') => {
      const { status, json } = await application.browser().get(path);
      const { details } = json<{ details: { sessions: { status: string; store: string; milliseconds: number } } }>();
      return { code: status, ...details.sessions };
    };

    it('is up while Redis replies', async () => {
      expect(await check()).toEqual({ code: 200, status: 'up', store: 'up', milliseconds: expect.any(Number) });
    });

    it('is slow while Redis takes its time, and down for whom that is down', async () => {
      line.delay = 60;

      expect(await check()).toMatchObject({ code: 200, status: 'up', store: 'slow' });
      expect(await check('/health/strict')).toMatchObject({ code: 503, status: 'down', store: 'slow' });

      line.delay = 0;
      expect(await check()).toMatchObject({ code: 200, store: 'up' });
    });

    it('is down while Redis hangs, and up again with it', async () => {
      redis.pause();

      expect(await check()).toEqual({ code: 503, status: 'down', store: 'down', milliseconds: expect.any(Number) });

      redis.resume();
      await eventually('it to be up', async () => (await check()).store === 'up');
    });
  });

  it('the in-process store is up', async () => {
    const application = await TestApplication.start(PARTS);

    expect((await application.browser().get('/health')).status).toBe(200);
    await application.close();
  });
});
