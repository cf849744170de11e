import { Controller, Get, UseGuards } from '@nestjs/common';
import { PassiveRoute, SessionGuard } from '../../lib/index.js';
import { responseTo, cookieOf, sessionsIn } from '../support/devices.js';
import { eventually } from '../support/eventually.js';
import { TestClock } from '../support/test-clock.js';

@Controller()
class PolledController {
  @Get('polled')
  @UseGuards(SessionGuard)
  @PassiveRoute()
  polled() {
    return {};
  }
}

class RunningClock extends TestClock {
  override readonly now = (): number => Date.now();
}

describe.each(['memory', 'redis'])('who was signed out is told why, with sessions in %s:', (where) => {
  const home = sessionsIn(where);

  it.each([
    ['expired', { idle: '1s', absolute: '1h' }, '/polled'],
    ['expired', { idle: '1h', absolute: '1s' }, '/me'],
  ])('%s by the true time, asked all the while', async (reason, lifetime, path) => {
    const running = await home.start({
      options: { lifetime },
      clock: new RunningClock(),
      controllers: [PolledController],
    });
    const begun = Date.now();
    const short = cookieOf(await running.loggedIn());
    const ended = await eventually('the end of the session', async () => {
      const response = await responseTo(running, short, path);
      return response.status === 401 && response;
    });

    expect(ended).toEqual({ status: 401, reason });
    expect(Date.now() - begun).toBeGreaterThanOrEqual(999);
  });
});
