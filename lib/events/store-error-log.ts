import type { Logger } from '@nestjs/common';
import type { SessionEvents } from './session-events.js';

/** The least time between two lines in the log about a store that does not answer, in milliseconds. */
const STORE_ERROR_LOG_INTERVAL = 10_000;

/** Logs that the store fails, once in a while: an outage fails every request. */
export function logStoreErrors({ events$ }: SessionEvents, logger: Logger): void {
  let loggedAt = -Infinity;
  events$.subscribe((event) => {
    const failed = event.type === 'store-error' || event.type === 'touch-failed';
    if (failed && event.at.getTime() - loggedAt >= STORE_ERROR_LOG_INTERVAL) {
      loggedAt = event.at.getTime();
      const operation = event.type === 'store-error' ? event.operation : 'touch';
      logger.error(`The session store failed (${operation}): ${String(event.error)}`);
    }
  });
}
