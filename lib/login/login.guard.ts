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
import { responseOf } from '../access/carrier.js';
import { requestOrRefuse } from '../access/refusal.js';
import { type Clock, SESSION_CLOCK } from '../model/clock.js';
import { requestSessionOf } from '../session/request-session.js';
import type { PassportLogInOptions } from './passport-request.js';

const UNAUTHORIZED: number = HttpStatus.UNAUTHORIZED;

/**
 * Options of {@link LoginGuard}: those of the login, and all that Passport and the strategy take.
 *
 * @example
 * ```ts
 * const google: LoginGuardOptions = { scope: ['openid', 'email'], keep: ['returnTo'], successReturnToOrRedirect: '/' };
 *
 * @Controller('login/google')
 * @UseGuards(LoginGuard('google', google))
 * class GoogleLoginController {
 *   @Get()
 *   start() {} // Never runs: the strategy redirects to Google.
 *
 *   @Get('callback')
 *   comeBack() {} // Never runs either: the option redirects after the login.
 * }
 * ```
 */
export interface LoginGuardOptions extends PassportLogInOptions {
  /** Redirects after a success, instead of going on to the handler. */
  successRedirect?: string;
  /** Redirects to `session.returnTo` if that was kept (`keep: ['returnTo']`), else to this path. */
  successReturnToOrRedirect?: string;
  /** Redirects after a refusal, instead of responding 401. */
  failureRedirect?: string;
  /** Puts the refusal's message, or this one, into `session.messages`. */
  failureMessage?: boolean | string;
  /** What an OAuth strategy requests from its provider. */
  scope?: string | string[];
  [strategyOption: string]: unknown;
}

/**
 * Creates a guard that logs users in. It runs the named Passport strategy on this application's own Passport (of
 * several, the first that succeeds counts), then opens the user's session. When the handler runs, `request.user` is set
 * and the session is stored. For a strategy that redirects (OAuth), put the same guard on the route that starts and on
 * the one that comes back.
 *
 * It responds 401 (code `login_failed`) with the strategy's message to credentials that the strategy refuses; 400 to
 * credentials that it cannot read; 409 (code `too_many_sessions`) when `maxSessions` rejects the login; 503 when the
 * session store does not reply; 500 (code `session_unavailable`) on a route without a session.
 *
 * @param strategy name of a strategy among the application's providers; an unknown one fails the boot
 *
 * @example
 * ```ts
 * @Controller()
 * class LoginController {
 *   @Post('login')
 *   @UseGuards(LoginGuard('local', { method: 'password', keep: ['returnTo'] }))
 *   login(@CurrentUser() user: User) {
 *     return user;
 *   }
 * }
 * ```
 */
export function LoginGuard(strategy: string | string[], options: LoginGuardOptions = {}): Type<CanActivate> {
  const names = [strategy].flat();

  @Injectable()
  class StrategyLoginGuard implements CanActivate, OnApplicationBootstrap {
    constructor(
      @Inject(ApplicationPassport) private readonly passport: ApplicationPassport,
      @Inject(SessionEvents) private readonly events: SessionEvents,
      @Inject(SESSION_CLOCK) private readonly clock: Clock,
    ) {}

    onApplicationBootstrap(): void {
      this.passport.refuseUnknown(names);
    }

    async canActivate(context: ExecutionContext): Promise<boolean> {
      const request = await requestOrRefuse(context);
      const session = requestSessionOf(request);
      if (session === undefined && options.session !== false) {
        throw new SessionUnavailableException();
      }
      if (session?.failure instanceof SessionStoreUnavailableException) {
        throw session.failure;
      }
      const result = await this.passport
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
      if (result.outcome === 'refused') {
        throw exceptionFor(result.refusal);
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
