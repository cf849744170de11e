import type { Logger } from '@nestjs/common';

/** Least time between two lines about one outage, in milliseconds. */
const REPORT_EVERY = 10_000;

/** Logs an outage of Redis now and then while it lasts, since later errors may tell more, and its end. */
export class OutageLog {
  #reportedAt: number | undefined;

  constructor(private readonly logger: Logger) {}

  report(error: unknown): void {
    const now = performance.now();
    if (now - (this.#reportedAt ?? -Infinity) >= REPORT_EVERY) {
      this.#reportedAt = now;
      this.logger.error(`Redis cannot be reached; still trying. (${describe(error)})`);
    }
  }

  over(): void {
    if (this.#reportedAt !== undefined) {
      this.#reportedAt = undefined;
      this.logger.log('Redis is back.');
    }
  }
}

/** Leaves the url out: it may hold a password. */
function describe(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException;
  return [code, message].filter(Boolean).join(' ') || String(error);
}
