import { Inject, Injectable } from '@nestjs/common';
import { HealthIndicatorService, type HealthIndicatorResult } from '@nestjs/terminus';
import { milliseconds } from '../validation/duration.js';
import type { Duration, ResolvedSessionAuthOptions } from '../session-auth.options.js';
import { SESSION_AUTH_OPTIONS } from '../session-auth.tokens.js';
import { newSessionId } from '../session/session-id.js';
import { SessionKeeper } from '../session/session-keeper.js';

/** What {@link SessionHealthIndicator.isHealthy} takes. */
export interface SessionHealthOptions {
  /** An answer later than this is slow. Default half of `redisTimeout`. */
  slowAfter?: Duration;
  /** Whether a slow store counts as down. Default `false`. */
  slowIsDown?: boolean;
}

/**
 * Tells Terminus how the session store is: `up`, `slow` or `down`, by looking for a session that does not exist, as a
 * request would. It answers within `redisTimeout`. Add it to the providers of the module that has the health check:
 *
 * ```ts
 * @Get('health')
 * @HealthCheck()
 * check() { return this.health.check([() => this.sessions.isHealthy('sessions')]); }
 * ```
 */
@Injectable()
export class SessionHealthIndicator {
  constructor(
    @Inject(HealthIndicatorService) private readonly indicators: HealthIndicatorService,
    @Inject(SessionKeeper) private readonly keeper: SessionKeeper,
    @Inject(SESSION_AUTH_OPTIONS) private readonly options: ResolvedSessionAuthOptions,
  ) {}

  /** `{ [key]: { status: 'up' | 'down', store: 'up' | 'slow' | 'down', milliseconds } }` */
  async isHealthy<const Key extends string>(
    key: Key,
    { slowAfter = this.options.redisTimeout / 2, slowIsDown = false }: SessionHealthOptions = {},
  ): Promise<HealthIndicatorResult<Key>> {
    const limit = milliseconds('slowAfter', slowAfter);
    const indicator = this.indicators.check(key);
    const begun = performance.now();
    try {
      await this.keeper.find(newSessionId().handle);
    } catch {
      return indicator.down({ store: 'down', milliseconds: since(begun) }); // An event says why.
    }
    const taken = since(begun);
    const slow = taken > limit;
    const details = { store: slow ? 'slow' : 'up', milliseconds: taken };
    return slow && slowIsDown ? indicator.down(details) : indicator.up(details);
  }
}

function since(begun: number): number {
  return Math.round(performance.now() - begun);
}
