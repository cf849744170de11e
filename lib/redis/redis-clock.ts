/**
 * Redis's time as this process knows it from answers, so that nobody's clocks need to agree. It is ahead by what the
 * question took that was answered so: nothing that is in time is taken to be late.
 */
export class RedisClock {
  #ahead: number | undefined;

  /**
   * Redis's time, in milliseconds, as an answer has just told it; 0 where it does not tell.
   *
   * @param askedAt by `performance.now()`
   */
  set(time: number, askedAt: number): void {
    this.#ahead = time > 0 ? time - askedAt : undefined;
  }

  /** By when, in Redis's time, something must be done that is asked for now and waited for so long; 0 where nobody knows. */
  until(milliseconds: number): number {
    return this.#ahead === undefined ? 0 : Math.ceil(this.#ahead + performance.now() + milliseconds);
  }
}
