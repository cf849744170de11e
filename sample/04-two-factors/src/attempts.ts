import { HttpException, Injectable } from '@nestjs/common';

const WINDOW = 15 * 60_000;
const MOST_KEYS = 10_000;

/** 429. Its message is for the page. */
export class TooManyAttemptsException extends HttpException {
  constructor() {
    super('Too many attempts. Try again in a quarter of an hour.', 429);
  }
}

/** How often somebody has tried lately. In memory: with several processes, count in Redis. */
@Injectable()
export class Attempts {
  private readonly byKey = new Map<string, { count: number; until: number }>();

  /**
   * Counts one attempt, before it is checked whether it is right: many at the same time are many.
   *
   * @throws TooManyAttemptsException for more than `limit` in a quarter of an hour
   */
  spend(key: string, limit: number): void {
    const now = Date.now();
    if (this.byKey.size >= MOST_KEYS) this.forgetBefore(now);
    const known = this.byKey.get(key);
    const entry = known && known.until > now ? known : { count: 0, until: now + WINDOW };
    if (++entry.count > limit) throw new TooManyAttemptsException();
    this.byKey.set(key, entry);
  }

  /** One was right. */
  succeeded(key: string): void {
    this.byKey.delete(key);
  }

  private forgetBefore(now: number): void {
    for (const [key, { until }] of this.byKey) {
      if (until <= now) this.byKey.delete(key);
    }
  }
}
