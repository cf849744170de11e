/** A write to a register; `at` is when it was acknowledged: `undefined` while it runs, and where nobody knows whether it happened. */
export interface Write<T> {
  readonly value: T;
  at?: number;
}

export interface Reading {
  /** When the read began: a write acknowledged later may or may not be seen by it. */
  readonly since: number;
  /** Whether what was acknowledged at that time may have been forgotten. */
  readonly lossy?: (at: number) => boolean;
}

/** Something with one value at a time, and what that may be in the light of what its writers were told. */
export class Register<T> {
  readonly #writes: Write<T>[] = [];

  constructor(private readonly initial: T) {}

  /** A write that has begun, or (`at`) is known to have happened. */
  write(value: T, at?: number): Write<T> {
    const write: Write<T> = at === undefined ? { value } : { value, at };
    this.#writes.push(write);
    return write;
  }

  /** It certainly did not happen. */
  withdraw(write: Write<T>): void {
    const i = this.#writes.indexOf(write);
    if (i >= 0) this.#writes.splice(i, 1);
  }

  get last(): Write<T> | undefined {
    return this.#writes.at(-1);
  }

  /** Whether a write that was acknowledged may have been forgotten. */
  hasLost(lossy: (at: number) => boolean): boolean {
    return this.#writes.some(({ at }) => at !== undefined && lossy(at));
  }

  /** Since when it certainly has this value; `undefined` where it may have another one. */
  since(value: T, lossy: (at: number) => boolean): number | undefined {
    let since: number | undefined;
    for (const write of [...this.#writes].reverse()) {
      if (write.value !== value) break;
      if (write.at !== undefined && !lossy(write.at)) since = write.at;
    }
    return since;
  }

  /** Every value that a read may see: the last certain one, and those of all writes after it. */
  possible({ since, lossy = () => false }: Reading): Set<T> {
    const values = new Set<T>();
    for (const { value, at } of [...this.#writes].reverse()) {
      values.add(value);
      if (at !== undefined && at <= since && !lossy(at)) return values;
    }
    return values.add(this.initial);
  }
}
