import type { Clock } from '../model/clock.js';
import type { Duration } from '../session-auth.options.js';
import { milliseconds } from '../validation/duration.js';

/**
 * A clock that stands still until a test advances it. Put it in the place of `SESSION_CLOCK`: every limit of a session
 * goes by it, whatever the store. What waits in real time goes on doing so: the timers of open connections, and Redis,
 * which keeps an expired session for some time longer, without anybody getting it.
 *
 * @example
 * ```ts
 * const clock = new TestClock();
 * const moduleRef = await Test.createTestingModule({ imports: [AppModule] })
 *   .overrideProvider(SESSION_CLOCK)
 *   .useValue(clock)
 *   .compile();
 * clock.advance('2h'); // All who were logged in have been away for too long.
 * ```
 */
export class TestClock implements Clock {
  #now: number;

  /** @param start the time that it shows at first. Default: now */
  constructor(start: Date = new Date()) {
    this.#now = start.getTime();
  }

  /** Milliseconds since 1970. It may be handed over as a function. */
  readonly now = (): number => this.#now;

  /**
   * Moves the clock on.
   *
   * @param by milliseconds, or a string such as `'2h'`. Zero moves nothing
   */
  advance(by: Duration): void {
    this.#now += by === 0 ? 0 : milliseconds('TestClock.advance', by);
  }
}
