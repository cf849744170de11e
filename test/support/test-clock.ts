import ms, { type StringValue } from 'ms';

/** A clock that stands still until a test advances it. */
export class TestClock {
  #now: number;

  constructor(start: number = Date.parse('2026-01-01T00:00:00Z')) {
    this.#now = start;
  }

  /** Milliseconds since the epoch. Bound, so that it can be handed over as a function. */
  readonly now = (): number => this.#now;

  /** Milliseconds, or a string as the `ms` package reads it (`'15m'`). */
  advance(by: number | StringValue): void {
    const step = typeof by === 'number' ? by : ms(by);
    if (!Number.isFinite(step)) throw new TypeError(`TestClock cannot advance by ${String(by)}`);
    this.#now += step;
  }
}
