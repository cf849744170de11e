import { Controller, Get, Injectable, SetMetadata, UseGuards } from '@nestjs/common';
import { FreshLoginGuard, SessionGuard } from '../../lib/index.js';
import { TestApplication } from '../support/application.js';
import { describePlatforms } from '../support/platforms.js';

describePlatforms(() => {
  describe.each<[unknown, number]>([
    [true, 200],
    ...[1, 'yes', 'true', {}, [], 0, '', false, null, undefined].map((result): [unknown, number] => [result, 403]),
  ])('a handleDenied() that returns %j', (result, status) => {
    @Injectable()
    class AnonymousGuard extends SessionGuard {
      protected override handleDenied(): Promise<boolean> {
        return Promise.resolve(result as boolean);
      }
    }
    @Injectable()
    class StaleGuard extends FreshLoginGuard {
      protected override handleDenied(): Promise<boolean> {
        return Promise.resolve(result as boolean);
      }
    }
    @Controller()
    class DeniedController {
      @Get('guarded')
      @UseGuards(AnonymousGuard)
      guarded() {
        return 'in';
      }
      @Get('excluded')
      @UseGuards(AnonymousGuard)
      excluded() {
        return 'in';
      }
      @Get('fresh')
      @UseGuards(StaleGuard)
      @SetMetadata('nestjs-session-auth:freshness', { maxAge: 300_000 }) // What @RequireFreshLogin() sets.
      fresh() {
        return 'in';
      }
    }

    it(`is answered ${status} by each guard: only true lets a request through`, async () => {
      const application = await TestApplication.start({
        controllers: [DeniedController],
        options: { exclude: ['excluded'] },
      });
      try {
        const browser = await application.loggedIn();
        application.clock.advance('10m');
        const anybody = application.browser();
        const responses = [anybody.get('/guarded'), anybody.get('/excluded'), browser.get('/fresh')];

        expect((await Promise.all(responses)).map((response) => response.status)).toEqual([status, status, status]);
      } finally {
        await application.close();
      }
    });
  });
});
