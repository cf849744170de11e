import { Controller, Get, Param, Res } from '@nestjs/common';
import { CurrentSession } from '../../lib/index.js';
import { TestApplication } from '../support/application.js';
import { Browser } from '../support/browser.js';
import { describePlatforms } from '../support/platforms.js';
import { ProcessWatch } from '../support/process-watch.js';

const VISITORS = 50;
const VISITS = 200;

/** Every so manieth request of a visitor stores what cannot be stored. */
const FAILING = 100;

interface CrowdResponse {
  set(name: string, value: string): { status(code: number): unknown };
}

@Controller()
class CrowdController {
  /** Keeps the first visitor of its session. */
  @Get('crowd/:visitor/:n')
  crowd(
    @CurrentSession() session: Record<string, unknown>,
    @Param('visitor') visitor: string,
    @Param('n') n: string,
    @Res({ passthrough: true }) response: CrowdResponse,
  ) {
    session['visitor'] ??= visitor;
    session['n'] = n;
    if (Number(n) % FAILING === 0) session['amount'] = 1n;
    response.set('x-n', n).status(202);
    return { visitor: session['visitor'], n };
  }
}

describePlatforms(() => {
  let watch: ProcessWatch;
  let application: TestApplication;

  beforeAll(async () => {
    watch = new ProcessWatch();
    application = await TestApplication.start({ controllers: [CrowdController] });
  });

  afterAll(async () => {
    await application.close();
    watch.stop();
  });

  /** Comes again and again, and returns the responses that are not the visitor's own. */
  async function visit(visitor: string): Promise<unknown[]> {
    const browser = new Browser(application.url, { timeout: 60_000 });
    const wrong: unknown[] = [];
    for (let n = 1; n <= VISITS; n++) {
      const { status, headers, text } = await browser.get(`/crowd/${visitor}/${n}`);
      const right =
        n % FAILING === 0
          ? { status: 500, body: { code: 'session_not_serializable' } }
          : { status: 202, n: `${n}`, body: { visitor, n: `${n}` } };
      const response = { status, n: headers['x-n'], body: JSON.parse(text) as object };
      try {
        expect(response).toMatchObject(right);
      } catch {
        wrong.push(response);
      }
    }
    browser.close();
    return wrong;
  }

  it('among 10,000 requests, one in a hundred that cannot be saved crosses nobody and crashes nothing', async () => {
    const visitors = Array.from({ length: VISITORS }, (_, visitor) => `${visitor}`);
    const wrong = await Promise.all(visitors.map(visit));

    expect(wrong.flat()).toEqual([]);
    expect(watch.unhandled).toEqual([]);
  });
});
