/** Runs one request's own operations one after the other. Between requests, the store's versions decide. */
export class SerialQueue {
  /** The last operation. Most requests have none. */
  #last: Promise<unknown> | undefined;
  #open = 0;
  #hasFailed = false;

  /** Whether an operation has failed. */
  get hasFailed(): boolean {
    return this.#hasFailed;
  }

  /** Settles when the operations that wait or run now are over; `undefined` when there are none. Never rejects. */
  get underWay(): Promise<unknown> | undefined {
    return this.#open > 0 ? this.#last : undefined;
  }

  /** Runs an operation when all before it are over, whether they failed or not. */
  run(operation: () => Promise<void>): Promise<void> {
    this.#open++;
    const result = (this.#last ?? Promise.resolve()).then(operation);
    this.#last = result
      .catch(() => {
        this.#hasFailed = true;
      })
      .finally(() => {
        this.#open--;
      });
    return result;
  }
}
