import {
  type CanActivate,
  type ExecutionContext,
  HttpException,
  HttpStatus,
  Inject,
  Injectable,
  mixin,
  type OnApplicationBootstrap,
  type Type,
} from '@nestjs/common';
import {
  LoginFailedException,
  MalformedLoginException,
  SessionStoreUnavailableException,
  SessionUnavailableException,
  TooManySessionsException,
} from '../session-auth.errors.js';
import { SessionEvents } from '../events/session-events.js';
import { ApplicationPassport, type Refusal } from '../passport/application-passport.js';
import { requestOf, responseOf } from '../access/request-of.js';
import { CLOCK, type Clock } from '../session/clock.js';
import { requestSessionOf } from '../session/request-session.js';
import type { PassportLogInOptions } from './passport-request.js';

const UNAUTHORIZED: number = HttpStatus.UNAUTHORIZED;

/** Options of {@link LoginGuard}: those of the login, and whatever Passport and the strategy take. */
export interface LoginGuardOptions extends PassportLogInOptions {
  /** Redirects after a success, instead of going on to the handler. */
  successRedirect?: string;
  /** Redirects to `session.returnTo` where that was kept (`keep: ['returnTo']`), else here. */
  successReturnToOrRedirect?: string;
  /** Redirects after a refusal, instead of answering 401. */
  failureRedirect?: string;
  /** Keeps the refusal's message (or this one) in `session.messages`. */
  failureMessage?: boolean | string;
  /** What the strategy asks of its provider, for OAuth. */
  scope?: string | string[];
  [strategyOption: string]: unknown;
}

/**
 * A guard that logs in: runs the named Passport strategy (of several, the first that succeeds) on this application's
 * own Passport, then opens the user's session. `request.user` is set and the session stored when the handler runs.
 * Strategies that redirect (OAuth) work: put the same guard on the route that starts and on the one that comes back.
 *
 * ```ts
 * @Post('login')
 * @UseGuards(LoginGuard('local', { keep: ['returnTo'] }))
 * login(@CurrentUser() user: User) { return user; }
 * ```
 *
 * A strategy that is no provider fails the boot. Answers 401 (code `login_failed`) to credentials the strategy turned
 * down, with the strategy's message; 400 to credentials it could not read; 409 (code `too_many_sessions`) where
 * `maxSessions` rejects the login; 503 when the session store does not answer; 500 (code `session_unavailable`) on a
 * route without a session.
 */
export function LoginGuard(strategy: string | string[], options: LoginGuardOptions = {}): Type<CanActivate> {
  const names = [strategy].flat();

  @Injectable()
  class StrategyLoginGuard implements CanActivate, OnApplicationBootstrap {
    constructor(
      @Inject(ApplicationPassport) private readonly passport: ApplicationPassport,
      @Inject(SessionEvents) private readonly events: SessionEvents,
      @Inject(CLOCK) private readonly clock: Clock,
    ) {}

    onApplicationBootstrap(): void {
      this.passport.refuseUnknown(names);
    }

    async canActivate(context: ExecutionContext): Promise<boolean> {
      const request = requestOf(context);
      const session = requestSessionOf(request);
      if (session === undefined && options.session !== false) {
        throw new SessionUnavailableException();
      }
      if (session?.failure instanceof SessionStoreUnavailableException) {
        throw session.failure;
      }
      const ended = await this.passport
        .authenticate(names, options, request, responseOf(context), (refusal) => {
          this.report(exceptionFor(refusal).message);
        })
        .catch((error: unknown) => {
          if (
            error instanceof TooManySessionsException ||
            (error instanceof HttpException && error.getStatus() === UNAUTHORIZED)
          ) {
            this.report(error.message);
          }
          throw error;
        });
      if (ended.outcome === 'refused') {
        throw exceptionFor(ended.refusal);
      }
      return true;
    }

    private report(reason: string): void {
      this.events.emit({ type: 'login-failed', strategy: names.join(', '), reason }, this.clock.now());
    }
  }

  return mixin(StrategyLoginGuard);
}

function exceptionFor({ status, message }: Refusal): HttpException {
  return status === UNAUTHORIZED
    ? new LoginFailedException(message)
    : new MalformedLoginException(status, message ?? 'The credentials could not be read.');
}
