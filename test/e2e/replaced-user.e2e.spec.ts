import { type CanActivate, Controller, type ExecutionContext, Get, Injectable, UseGuards } from '@nestjs/common';
import { CurrentUser, RequireFreshLogin, SessionGuard, type SessionRequest } from '../../lib/index.js';
import { TestApplication, type User } from '../support/application.js';
import { LogRecorder } from '../support/log-recorder.js';
import { describePlatforms } from '../support/platforms.js';

const GRACE = { id: '2', name: 'Grace' };

/** Puts somebody at `req.user`, as a guard of bearer tokens does, or an interceptor that adds to the user. */
@Injectable()
class ReplacingGuard implements CanActivate {
  canActivate(context: ExecutionContext): boolean {
    const request = context.switchToHttp().getRequest<SessionRequest>();
    const by = request.headers['x-user'];
    if (by === 'grace') request.user = GRACE;
    if (by === 'copy') request.user = { ...(request.user as User), roles: ['editor'] };
    if (by === 'wrapped') request.user = { user: request.user };
    if (by === 'nobody') request.user = null;
    return true;
  }
}

@Controller('replaced')
@UseGuards(ReplacingGuard)
class ReplacedController {
  @Get('guarded')
  @UseGuards(SessionGuard)
  guarded(@CurrentUser() user: User) {
    return user;
  }

  @Get('fresh')
  @RequireFreshLogin('5m')
  fresh(@CurrentUser() user: User) {
    return user;
  }
}

describePlatforms(() => {
  describe.each(['guarded', 'fresh'])('a user whom other code has put at req.user of a %s route', (route) => {
    let application: TestApplication;
    let logger: LogRecorder;

    beforeEach(async () => {
      logger = new LogRecorder();
      application = await TestApplication.start({ controllers: [ReplacedController], logger });
    });

    afterEach(() => application.close());

    async function ask(by: string) {
      const browser = await application.loggedIn();
      const response = await browser.get(`/replaced/${route}`, { headers: { 'x-user': by } });
      return response.status === 200 ? response.json() : response.status;
    }

    it.each(['grace', 'wrapped', 'nobody'])('is not let in by the session of another: %s', async (by) => {
      expect(await ask(by)).toBe(401);
      expect(await ask(by)).toBe(401);
      expect(logger.at('error')).toEqual(
        by === 'nobody'
          ? []
          : [expect.stringMatching(/its session is logged in, but other code has put somebody else/)],
      );
    });

    it('is let in where it is the same user, with more properties', async () => {
      expect(await ask('copy')).toEqual({ id: '1', name: 'Ada', roles: ['editor'] });
      expect(await ask('itself')).toEqual({ id: '1', name: 'Ada' });
      expect(logger.at('error')).toEqual([]);
    });
  });
});
