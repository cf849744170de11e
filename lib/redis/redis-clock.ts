/**
 * Redis's time as this process knows it from answers, so that nobody's clocks need to agree. It is behind by what the
 * answer took that told it.
 */
export class RedisClock {
  #ahead: number | undefined;

  /** Redis's time, in milliseconds, as an answer has just told it; 0 where it does not tell. */
  set(time: number): void {
    this.#ahead = time > 0 ? time - performance.now() : undefined;
  }

  /** By when, in Redis's time, something must be done that is asked for now and waited for so long; 0 where nobody knows. */
  until(milliseconds: number): number {
    // Twice: what the clock is behind is no longer than a wait either.
    return this.#ahead === undefined ? 0 : Math.ceil(this.#ahead + performance.now() + 2 * milliseconds);
  }
}
