/** Lets one request's own writes follow one another; between requests the store's versions decide. */
export class Turns {
  /** Some piece of work was not done. */
  failed = false;
  #last: Promise<unknown> = Promise.resolve();
  /** How many pieces of work wait or run. */
  #open = 0;

  /** Settles once what waits or runs now has been done, or has failed; `undefined` when nothing does. */
  get underWay(): Promise<unknown> | undefined {
    return this.#open > 0 ? this.#last : undefined;
  }

  /** Does this work when all before it is over, whatever came of that. */
  take(work: () => Promise<void>): Promise<void> {
    this.#open++;
    const turn = this.#last.then(work);
    this.#last = turn
      .catch(() => {
        this.failed = true;
      })
      .finally(() => {
        this.#open--;
      });
    return turn;
  }
}
