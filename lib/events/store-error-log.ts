import type { Logger } from '@nestjs/common';
import type { SessionEvents } from './session-events.js';

/** Least time between two log lines about a store that fails, in milliseconds. */
const STORE_ERROR_LOG_INTERVAL = 10_000;

/** Logs now and then that the store fails: during an outage every request does. */
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
