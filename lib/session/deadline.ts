/** The store took too long. The command may or may not have been carried out. */
export class DeadlineError extends Error {
  override readonly name = 'DeadlineError';
}

/** So long may each command take, however long those before it took, in milliseconds: the store may be well again. */
const LEAST = 50;
/** Where answers come from far away, each may take so many times what the quickest took, up to a share of the limit. */
const TIMES_QUICKEST = 2;
const MOST = 0.5;

/** A timer that comes so late, in milliseconds, says that the process was busy and not that the store is slow. */
const STOOD_STILL = 20;

/**
 * How long one request has waited for the store: its commands together are to take no longer than one may. Time that it
 * spends on other things is credited, and a store that answers, if from far away, is waited for: neither a handler that
 * saves twenty times nor an answer that streams for hours runs out of it.
 */
export class Patience {
  #waited = 0;
  #since = 0;
  #quickest = Infinity;

  /** What is left of so many milliseconds, now that a wait begins. */
  leftOf(milliseconds: number): number {
    this.#note(-1);
    const far = Number.isFinite(this.#quickest) ? TIMES_QUICKEST * this.#quickest : 0;
    const least = Math.max(Math.min(far, MOST * milliseconds), Math.min(LEAST, milliseconds));
    return Math.max(milliseconds - this.#waited, least);
  }

  /** The wait is over. */
  end(): void {
    this.#quickest = Math.min(this.#quickest, this.#note(1));
  }

  #note(sign: 1 | -1): number {
    const now = performance.now();
    const passed = now - this.#since;
    this.#waited = Math.max(0, this.#waited + sign * passed);
    this.#since = now;
    return passed;
  }
}

/** What a wait may have beside its limit. */
interface Waiting {
  /** Of the request that waits: the limit is what is left of it. */
  readonly patience?: Patience | undefined;
  /** Told why there is no answer: a {@link DeadlineError}, or the store's own. */
  readonly onFailure?: ((error: Error) => void) | undefined;
}

/**
 * The answer, or a {@link DeadlineError} when it takes longer than so many milliseconds. Written out, for it is on
 * every request's path: `Promise.race` makes several promises more.
 */
export function within<T>(milliseconds: number, answer: Promise<T>, { patience, onFailure }: Waiting = {}): Promise<T> {
  const left = patience?.leftOf(milliseconds) ?? milliseconds;
  const due = performance.now() + left;
  return new Promise<T>((resolve, reject) => {
    let isOver = false;
    /** False when it was over already. */
    const end = (): boolean => {
      if (isOver) {
        return false;
      }
      isOver = true;
      clearTimeout(timer);
      patience?.end();
      return true;
    };
    const fail = (error: Error): void => {
      if (end()) {
        onFailure?.(error);
        reject(error);
      }
    };
    const giveUp = (): void => {
      // Once sockets have been read: the answer may be there.
      setImmediate(() => {
        fail(new DeadlineError(`no answer within ${Math.ceil(left)} ms`));
      });
    };
    let timer = setTimeout(() => {
      // Where the process stood still, the command may have gone out just now.
      timer = setTimeout(giveUp, performance.now() > due + STOOD_STILL ? LEAST : 0);
    }, left);
    answer.then(
      (value) => {
        if (end()) {
          resolve(value);
        }
      },
      (error: unknown) => {
        fail(error instanceof Error ? error : new Error(String(error)));
      },
    );
  });
}
