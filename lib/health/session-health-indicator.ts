import { Inject, Injectable } from '@nestjs/common';
import { HealthIndicatorService, type HealthIndicatorResult } from '@nestjs/terminus';
import { newAnonymousSessionId } from '../model/session-id.js';
import { type Duration, type ResolvedSessionAuthOptions, SESSION_AUTH_OPTIONS } from '../session-auth.options.js';
import { SessionRepository } from '../session/session-repository.js';
import { milliseconds } from '../validation/duration.js';

/**
 * Options of {@link SessionHealthIndicator.isHealthy}.
 *
 * @example
 * ```ts
 * const readiness: SessionHealthOptions = { slowAfter: '100ms', slowIsDown: true };
 *
 * @Controller('ready')
 * class ReadinessController {
 *   constructor(
 *     private readonly health: HealthCheckService,
 *     private readonly sessions: SessionHealthIndicator,
 *   ) {}
 *
 *   @Get()
 *   @HealthCheck()
 *   check() {
 *     return this.health.check([() => this.sessions.isHealthy('sessions', readiness)]);
 *   }
 * }
 * ```
 */
export interface SessionHealthOptions {
  /** A store that takes longer than this to reply is slow. Default: half of `redisTimeout`. */
  slowAfter?: Duration;
  /** Whether a slow store counts as down. Default: `false`. */
  slowIsDown?: boolean;
}

/**
 * Tells Terminus whether the session store is `up`, `slow` or `down`, by looking for a session that does not exist, as
 * a request would. The result is there within `redisTimeout`. Add it to the providers of the module that has the health
 * check.
 *
 * @example
 * ```ts
 * @Controller('health')
 * class HealthController {
 *   constructor(
 *     private readonly health: HealthCheckService,
 *     private readonly sessions: SessionHealthIndicator,
 *   ) {}
 *
 *   @Get()
 *   @HealthCheck()
 *   check() {
 *     return this.health.check([() => this.sessions.isHealthy('sessions')]);
 *   }
 * }
 * ```
 */
@Injectable()
export class SessionHealthIndicator {
  /** @internal */
  constructor(
    @Inject(HealthIndicatorService) private readonly indicators: HealthIndicatorService,
    @Inject(SessionRepository) private readonly repository: SessionRepository,
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
      await this.repository.find(newAnonymousSessionId().handle);
    } catch {
      return indicator.down({ store: 'down', milliseconds: since(begun) }); // An event tells why.
    }
    const taken = since(begun);
    const isSlow = taken > limit;
    const details = { store: isSlow ? 'slow' : 'up', milliseconds: taken };
    return isSlow && slowIsDown ? indicator.down(details) : indicator.up(details);
  }
}

function since(begun: number): number {
  return Math.round(performance.now() - begun);
}
