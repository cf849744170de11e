import type { Logger } from '@nestjs/common';

/** What an outage's log has between two lines, in milliseconds. */
const REPORT_EVERY = 10_000;

/** Says that Redis is out of reach, again and again as long as that lasts: what comes later may tell more; and when it is over. */
export class OutageLog {
  #reportedAt: number | undefined;

  constructor(private readonly logger: Logger) {}

  report(error: unknown): void {
    const now = performance.now();
    if (now - (this.#reportedAt ?? -Infinity) >= REPORT_EVERY) {
      this.#reportedAt = now;
      this.logger.error(`Redis cannot be reached; trying on. (${describe(error)})`);
    }
  }

  over(): void {
    if (this.#reportedAt !== undefined) {
      this.#reportedAt = undefined;
      this.logger.log('Redis is back.');
    }
  }
}

/** Without the url: it may hold a password. */
function describe(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException;
  return [code, message].filter(Boolean).join(' ') || String(error);
}
