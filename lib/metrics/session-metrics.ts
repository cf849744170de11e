import { type HttpException, Inject, Injectable, type OnApplicationShutdown, type OnModuleInit } from '@nestjs/common';
import { type Attributes, metrics, type ObservableResult } from '@opentelemetry/api';
import { SessionConnections } from '../connections/session-connections.js';
import { SessionEvents } from '../events/session-events.js';
import type { SessionEvent } from '../model/session-event.js';
import { SessionConflictException, type SessionAuthErrorCode, type SignOutReason } from '../session-auth.errors.js';
import { SessionRepository } from '../session/session-repository.js';
import { BoundedWords } from './bounded-words.js';
import { errorType } from './error-type.js';
import {
  createInstruments,
  END_REASON,
  ERROR_TYPE,
  type Instruments,
  METHOD,
  OPERATION,
  OUTCOME,
  STRATEGY,
} from './instruments.js';
import { MeasuredStore } from './measured-store.js';

/** The most different values of an attribute that are not known beforehand. */
const MOST_WORDS = 30;

/**
 * Counts what happens to sessions, and measures their store, by OpenTelemetry: logins, step-ups, ended sessions, copied
 * cookies, refusals, conflicts, open connections, and how long the store takes. Names and attributes are listed in
 * docs/metrics.md. No attribute holds a handle, a user's id, an address or a user agent.
 *
 * To switch it on, add it to the providers of one module. The application's OpenTelemetry SDK must have been started
 * before. Without one, nothing is counted, and nothing fails.
 *
 * @example
 * ```ts
 * @Module({
 *   imports: [SessionAuthModule.forRoot({ secret: process.env.SESSION_SECRET, redis: { url: process.env.REDIS_URL } })],
 *   providers: [AppUserSerializer, LocalStrategy, SessionMetrics],
 * })
 * class AppModule {}
 * ```
 */
@Injectable()
export class SessionMetrics implements OnModuleInit, OnApplicationShutdown {
  readonly #strategies = new BoundedWords(MOST_WORDS);
  readonly #methods = new BoundedWords(MOST_WORDS);
  readonly #errors = new BoundedWords(MOST_WORDS);
  #instruments: Instruments | undefined;

  /** @internal */
  constructor(
    @Inject(SessionEvents) private readonly events: SessionEvents,
    @Inject(SessionRepository) private readonly repository: SessionRepository,
    @Inject(SessionConnections) private readonly connections: SessionConnections,
  ) {}

  onModuleInit(): void {
    const { repository } = this;
    if (repository.reporter.onRefused !== undefined) {
      return; // It is among the providers of two modules, and would count everything twice.
    }
    const instruments = (this.#instruments = createInstruments(metrics.getMeter('nestjs-session-auth')));
    this.events.events$.subscribe((event) => {
      this.#count(event, instruments);
    });
    repository.reporter.onRefused = (reason) => {
      instruments.refusals.add(1, refusalAttributes(reason));
    };
    repository.watchStore(
      (store) =>
        new MeasuredStore(store, {
          onOperation: (operation, milliseconds, error) => {
            const failure = error !== undefined && {
              [ERROR_TYPE]: this.#errors.of(errorType(error)),
            };
            instruments.storeDuration.record(milliseconds / 1000, { [OPERATION]: operation, ...failure });
          },
          onConflict: () => {
            instruments.conflicts.add(1, { [OUTCOME]: 'retried' });
          },
        }),
    );
    instruments.connections.addCallback(this.#observeConnections);
    instruments.reuseDetections.add(0); // Else an alert on its increase would not see the first one.
  }

  /** The SDK outlives the application, and would go on asking. */
  onApplicationShutdown(): void {
    this.#instruments?.connections.removeCallback(this.#observeConnections);
  }

  readonly #observeConnections = (result: ObservableResult): void => {
    result.observe(this.connections.count());
  };

  #count(event: SessionEvent, instruments: Instruments): void {
    switch (event.type) {
      case 'logged-in':
        instruments.loginAttempts.add(1, this.#meansOf(event));
        break;
      case 'login-failed':
        instruments.loginAttempts.add(1, { ...this.#meansOf(event), [ERROR_TYPE]: event.code });
        break;
      case 'login-pending':
        instruments.loginSteps.add(1, this.#meansOf(event));
        break;
      case 'reauthenticated':
        instruments.stepUps.add(1, this.#meansOf(event));
        break;
      case 'logged-out':
        instruments.endedSessions.add(1, { [END_REASON]: 'logged_out' });
        break;
      case 'revoked':
      case 'ended':
        instruments.endedSessions.add(1, { [END_REASON]: event.reason });
        break;
      case 'reuse-detected':
        instruments.reuseDetections.add(1);
        instruments.endedSessions.add(1, { [END_REASON]: 'reuse_detected' });
        break;
      case 'cross-site-refused':
        instruments.refusals.add(1, { [ERROR_TYPE]: 'cross_site_request' });
        break;
      case 'store-error':
        if (event.error instanceof SessionConflictException) {
          instruments.conflicts.add(1, { [OUTCOME]: 'given_up' });
        }
        break;
    }
  }

  #meansOf({ strategy, method }: { strategy?: string; method?: string }): Attributes {
    return {
      ...(strategy !== undefined && { [STRATEGY]: this.#strategies.of(strategy) }),
      ...(method !== undefined && { [METHOD]: this.#methods.of(method) }),
    };
  }
}

/** Why a guard has refused a request: its error's code and, of a session that has ended, how that was. */
function refusalAttributes(refusal: HttpException): Attributes {
  const { code, reason } = refusal as HttpException & { code: SessionAuthErrorCode; reason?: SignOutReason };
  return { [ERROR_TYPE]: code, ...(reason !== undefined && { [END_REASON]: reason }) };
}
