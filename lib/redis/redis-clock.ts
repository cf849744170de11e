/**
 * Redis's time, as its replies tell it, so that nobody's clocks need to agree. The estimate is ahead by what the
 * command took that was replied to so: nothing that is in time counts as late.
 */
export class RedisClock {
  #ahead: number | undefined;

  /**
   * Sets the clock by a reply.
   *
   * @param time Redis's time in milliseconds; 0 where it did not tell
   * @param sentAt when the command was sent, by `performance.now()`
   */
  set(time: number, sentAt: number): void {
    this.#ahead = time > 0 ? time - sentAt : undefined;
  }

  /** Redis's time in so many milliseconds; 0 while it is not known. */
  in(milliseconds: number): number {
    return this.#ahead === undefined ? 0 : Math.ceil(this.#ahead + performance.now() + milliseconds);
  }
}
