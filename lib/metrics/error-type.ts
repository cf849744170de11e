import { DeadlineError } from '../store/time-budget.js';

/** An error reply of Redis begins with a word such as `READONLY`, a system error has one as its code. */
const WORD = /^[A-Z][A-Z0-9_]+$/;

/**
 * The value of `error.type` for a failure of the store: `timeout`, `disconnected` where the connection is down, else the
 * first word of Redis's error reply, the code of a system error, or the name of the error's class.
 */
export function errorType(error: unknown, isDisconnected: boolean): string {
  if (error instanceof DeadlineError) {
    return 'timeout';
  }
  if (isDisconnected) {
    return 'disconnected';
  }
  const { code, message = '' } = (error ?? {}) as { code?: unknown; message?: string };
  const word = [code, message.split(' ', 1)[0]].find((one) => typeof one === 'string' && WORD.test(one));
  return (word as string | undefined) ?? (error instanceof Error ? error.constructor.name : typeof error);
}
