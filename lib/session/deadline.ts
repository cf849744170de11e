/** The store took too long. The command may or may not have been carried out. */
export class DeadlineError extends Error {
  override readonly name = 'DeadlineError';
}

/** The answer, or a {@link DeadlineError} when it takes longer than so many milliseconds; `onLate` is told then. */
export async function within<T>(milliseconds: number, answer: Promise<T>, onLate?: () => void): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      onLate?.();
      reject(new DeadlineError(`no answer within ${milliseconds} ms`));
    }, milliseconds);
  });
  try {
    return await Promise.race([answer, late]);
  } finally {
    clearTimeout(timer);
  }
}
