import { DeadlineError, DisconnectedError } from '../store/time-budget.js';

/** What node-redis and ioredis call an error that Redis has replied. Its message begins with a word such as `READONLY`. */
const REPLIES = new Set(['ErrorReply', 'SimpleError', 'BlobError', 'ReplyError']);
/** What node-redis says of a command that it has not sent, since it is not connected. */
const UNSENT = new Set(['ClientOfflineError', 'ClientClosedError']);
const WORD = /^[A-Z][A-Z0-9_]+$/;

/**
 * The value of `error.type` for a failure of the store: `timeout`, `disconnected` (nothing was sent), else the first word
 * of Redis's error, the code of a system error, or the name of the error's class. No other part of a message: it may name a
 * session.
 */
export function errorType(error: unknown): string {
  if (!(error instanceof Error)) {
    return typeof error;
  }
  const { name } = error.constructor;
  if (error instanceof DeadlineError) {
    return 'timeout';
  }
  if (error instanceof DisconnectedError || UNSENT.has(name)) {
    return 'disconnected';
  }
  const word = REPLIES.has(name) ? error.message.split(' ', 1)[0] : (error as NodeJS.ErrnoException).code;
  return typeof word === 'string' && WORD.test(word) ? word : name;
}
