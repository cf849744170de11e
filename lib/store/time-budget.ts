/** The store took longer than it may. The command may or may not have been carried out. */
export class DeadlineError extends Error {
  override readonly name = 'DeadlineError';
}

/** The connection to the store is down. The command was not sent. */
export class DisconnectedError extends Error {
  override readonly name = 'DisconnectedError';
}

/** Each command gets this long, however long those before it took: the store may be well again. In milliseconds. */
const MINIMUM = 50;
/**
 * Where replies come from far away, each command gets so many times what the quickest took, up to a share of the limit.
 */
const TIMES_QUICKEST = 2;
const LARGEST_SHARE = 0.5;

/** A timer that fires so late, in milliseconds, shows that the process was blocked, and not that the store is slow. */
const BLOCKED = 20;

/**
 * How long one request has waited for the store. All its commands together may take no longer than one may. Time that
 * the request spends on other things is given back, and a store that replies from far away is waited for. So neither a
 * handler that saves twenty times nor a response that streams for hours runs out of it.
 */
export class TimeBudget {
  #waited = 0;
  #since = 0;
  #quickest = Infinity;

  /** Starts a wait. Returns what is left of this limit, in milliseconds. */
  start(limit: number): number {
    this.#count(-1);
    const remote = Number.isFinite(this.#quickest) ? TIMES_QUICKEST * this.#quickest : 0;
    const minimum = Math.max(Math.min(remote, LARGEST_SHARE * limit), Math.min(MINIMUM, limit));
    return Math.max(limit - this.#waited, minimum);
  }

  /** Ends the wait. */
  stop(): void {
    this.#quickest = Math.min(this.#quickest, this.#count(1));
  }

  #count(sign: 1 | -1): number {
    const now = performance.now();
    const passed = now - this.#since;
    this.#waited = Math.max(0, this.#waited + sign * passed);
    this.#since = now;
    return passed;
  }
}

interface Waiting {
  /** The request's remaining time, which then limits the wait. */
  readonly budget?: TimeBudget | undefined;
  /** Called with the reason when there is no result: a {@link DeadlineError}, or the store's own error. */
  readonly onFailure?: ((error: Error) => void) | undefined;
}

interface WaitingFor<T> extends Waiting {
  /** Called after the {@link DeadlineError}, with what may still come. */
  readonly onLate?: ((result: Promise<T>) => void) | undefined;
}

/**
 * The result, or a {@link DeadlineError} when it takes longer than `limit` milliseconds. Written out because it is on
 * every request's path: `Promise.race` would create several promises more.
 */
export function within<T>(
  limit: number,
  result: Promise<T>,
  { budget, onFailure, onLate }: WaitingFor<T> = {},
): Promise<T> {
  const left = budget?.start(limit) ?? limit;
  const due = performance.now() + left;
  return new Promise<T>((resolve, reject) => {
    let isOver = false;
    /** Returns false when the wait was over before. */
    const end = (): boolean => {
      if (isOver) {
        return false;
      }
      isOver = true;
      clearTimeout(timer);
      budget?.stop();
      return true;
    };
    const fail = (error: Error): void => {
      if (end()) {
        onFailure?.(error);
        reject(error);
      }
    };
    const giveUp = (): void => {
      // After the sockets have been read: the reply may have arrived.
      setImmediate(() => {
        if (!isOver) {
          fail(new DeadlineError(`no reply within ${Math.ceil(left)} ms`));
          onLate?.(result);
        }
      });
    };
    let timer = setTimeout(() => {
      // If the process was blocked, the command may have gone out just now.
      timer = setTimeout(giveUp, performance.now() > due + BLOCKED ? MINIMUM : 0);
    }, left);
    result.then(
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
