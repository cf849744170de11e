/** The store took too long. The command may or may not have been carried out. */
export class DeadlineError extends Error {
  override readonly name = 'DeadlineError';
}

/**
 * How long one request has waited for the store: its commands together are to take no longer than one may. Time that it
 * spends on other things is credited, so an answer that streams for hours does not run out of it.
 */
export class Patience {
  #waited = 0;
  #since = 0;

  /** What is left of so many milliseconds, now that a wait begins. */
  leftOf(milliseconds: number): number {
    this.#note(-1);
    return milliseconds - this.#waited;
  }

  /** The wait is over. */
  end(): void {
    this.#note(1);
  }

  #note(sign: 1 | -1): void {
    const now = performance.now();
    this.#waited = Math.max(0, this.#waited + sign * (now - this.#since));
    this.#since = now;
  }
}

/** The answer, if it comes within so many milliseconds, and as long as the request's patience lasts. */
export function askWithin<T>(
  milliseconds: number,
  patience: Patience | undefined,
  question: () => Promise<T>,
  onFailure?: (error: Error) => void,
): Promise<T> {
  if (patience === undefined) {
    return within(milliseconds, question(), onFailure);
  }
  const left = patience.leftOf(milliseconds);
  if (left <= 0) {
    return Promise.reject(new DeadlineError(`no time left for it of ${milliseconds} ms`));
  }
  return within(left, question(), onFailure, patience);
}

/**
 * The answer, or a {@link DeadlineError} when it takes longer than so many milliseconds; `onFailure` is told of it, and of
 * any other error. Written out, for it is on every request's path: `Promise.race` makes several promises more.
 */
export function within<T>(
  milliseconds: number,
  answer: Promise<T>,
  onFailure?: (error: Error) => void,
  patience?: Patience,
): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    let late = false;
    const timer = setTimeout(() => {
      late = true;
      fail(new DeadlineError(`no answer within ${Math.ceil(milliseconds)} ms`));
    }, milliseconds);
    const fail = (error: Error): void => {
      patience?.end();
      onFailure?.(error);
      reject(error);
    };
    answer.then(
      (value) => {
        if (!late) {
          clearTimeout(timer);
          patience?.end();
          resolve(value);
        }
      },
      (error: unknown) => {
        if (!late) {
          clearTimeout(timer);
          fail(error instanceof Error ? error : new Error(String(error)));
        }
      },
    );
  });
}
