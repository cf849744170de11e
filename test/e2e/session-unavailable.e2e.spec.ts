import { Controller, type ExecutionContext, Get, type HttpException, Injectable, UseGuards } from '@nestjs/common';
import { FreshLoginGuard, Public, RequireFreshLogin, SessionGuard } from '../../lib/index.js';
import {
  LocalStrategy,
  SnapshotSerializer,
  TestApplication,
  type TestApplicationOptions,
} from '../support/application.js';
import { LogRecorder } from '../support/log-recorder.js';
import { describePlatforms } from '../support/platforms.js';

@Injectable()
class LenientGuard extends SessionGuard {
  protected override handleDenied(reason: HttpException, context: ExecutionContext): Promise<boolean> {
    context
      .switchToHttp()
      .getResponse<{ setHeader(name: string, value: string): void }>()
      .setHeader('x-denied', reason.name);
    return Promise.resolve(true);
  }
}

@Controller('guarded')
@UseGuards(SessionGuard)
class GuardedController {
  @Get('page')
  page() {
    return {};
  }
  @Get('other')
  other() {
    return {};
  }
  @Get('open')
  @Public()
  open() {
    return {};
  }
  @Get('fresh')
  @RequireFreshLogin('5m')
  fresh() {
    return {};
  }
}

@Controller('lenient')
@UseGuards(LenientGuard)
class LenientController {
  @Get()
  page() {
    return {};
  }
}

describePlatforms(() => {
  describe.each<[string, TestApplicationOptions]>([
    ['is excluded', { options: { exclude: ['guarded/{*path}', 'lenient'] } }],
    ['is outside "cookie.path"', { options: { cookie: { path: '/app' } } }],
    [
      'has a session of other middleware',
      {
        configure: (app) =>
          void app.use((request: { session: object }, _: unknown, next: () => void) => {
            request.session = {};
            next();
          }),
      },
    ],
  ])('a guarded route that %s', (_, options) => {
    const log = new LogRecorder();
    let application: TestApplication;

    beforeAll(async () => {
      application = await TestApplication.start({
        ...options,
        logger: log,
        controllers: [GuardedController, LenientController],
        providers: [SnapshotSerializer, LocalStrategy, LenientGuard, FreshLoginGuard],
      });
    });
    beforeEach(() => void log.lines.splice(0));
    afterAll(() => application.close());

    const get = (path: string) => application.browser().get(path);
    const errors = () => log.at('error').filter((line) => line.includes('session_unavailable'));

    it('responds 500, code session_unavailable, to everybody', async () => {
      for (const path of ['/guarded/page', '/guarded/fresh']) {
        const response = await get(path);
        expect([path, response.status, response.json()]).toMatchObject([path, 500, { code: 'session_unavailable' }]);
      }
    });

    it('is logged once, with what to do', async () => {
      await get('/guarded/other');
      await get('/guarded/other');

      expect(errors()).toEqual([
        expect.stringMatching(/GuardedController\.other .*"exclude".*"cookie\.path".*@Public\(\)/),
      ]);
    });

    it('is open where it is public, and nothing is logged', async () => {
      expect((await get('/guarded/open')).status).toBe(200);
      expect(errors()).toEqual([]);
    });

    it('may be refused in another way, and is logged all the same', async () => {
      const { status, headers } = await get('/lenient');

      expect([status, headers['x-denied']]).toEqual([200, 'SessionUnavailableException']);
      expect(errors()).toEqual([expect.stringContaining('LenientController.page')]);
    });
  });
});
