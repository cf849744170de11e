/**
 * The time, in milliseconds since 1970.
 *
 * @example
 * ```ts
 * class TestClock implements Clock {
 *   private time = Date.now();
 *
 *   now() {
 *     return this.time;
 *   }
 *
 *   advance(milliseconds: number) {
 *     this.time += milliseconds;
 *   }
 * }
 * ```
 */
export interface Clock {
  now(): number;
}

/**
 * Injection token of the {@link Clock} that every lifetime is measured by. The system's time unless a test overrides
 * it.
 *
 * @example
 * ```ts
 * const clock = {
 *   time: Date.now(),
 *   now() {
 *     return this.time;
 *   },
 * };
 * const moduleRef = await Test.createTestingModule({ imports: [AppModule] })
 *   .overrideProvider(SESSION_CLOCK)
 *   .useValue(clock)
 *   .compile();
 * clock.time += 3_600_000; // An hour later, without waiting for it.
 * ```
 */
export const SESSION_CLOCK = Symbol.for('nestjs-session-auth:clock');

/** The system's time. */
export const systemClock: Clock = { now: () => Date.now() };
