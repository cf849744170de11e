/** The store took too long. The command may or may not have been carried out. */
export class DeadlineError extends Error {
  override readonly name = 'DeadlineError';
}

/**
 * The answer, or a {@link DeadlineError} when it takes longer than so many milliseconds; `onLate` is told then. Written
 * out, for it is on every request's path: `Promise.race` makes several promises more.
 */
export function within<T>(milliseconds: number, answer: Promise<T>, onLate?: () => void): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    const timer = setTimeout(() => {
      onLate?.();
      reject(new DeadlineError(`no answer within ${milliseconds} ms`));
    }, milliseconds);
    answer.then(
      (value) => {
        clearTimeout(timer);
        resolve(value);
      },
      (error: unknown) => {
        clearTimeout(timer);
        reject(error instanceof Error ? error : new Error(String(error)));
      },
    );
  });
}
