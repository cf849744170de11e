/* `User` below is Express.User, which @types/passport declares. */
/// <reference types="passport" preserve="true" />
import type { SessionRequest } from '../http/session-request.js';
import type { Duration } from '../session-auth.options.js';
import type { PassportLogInOptions } from './passport-request.js';

/**
 * An option that may differ from login to login: the value, or a function of the user and the request. `undefined` and
 * `false` stand for the default.
 */
export type PerLogin<Value, User = Express.User> = Value | ValueForLogin<Value, User>['of'];

/** As a method, its parameters may be annotated with types of the application's own: its user, Express's `Request`. */
interface ValueForLogin<Value, User> {
  of(user: User, request: SessionRequest): Value | false | undefined | Promise<Value | false | undefined>;
}

/**
 * Options of `LoginGuard()`: those of the login, and all that Passport and the strategy take.
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
export interface LoginGuardOptions<User = Express.User> extends Omit<PassportLogInOptions, 'remember' | 'pending'> {
  /**
   * Top-level keys of the present session to carry into the new one, besides `flash` and `messages`, which tell the user
   * something. Nothing is ever carried from one user's session into another's.
   */
  keep?: string[];
  /**
   * "Remember me": this session's own idle and absolute limit, or a function that decides for each login. Default: the
   * limits of `lifetime`.
   */
  remember?: PerLogin<Duration, User>;
  /**
   * The methods that the user has still to prove, such as `['totp']`, or a function that decides for each login. Default:
   * none.
   */
  pending?: PerLogin<string[], User>;
  /**
   * Lets logins come from other sites, by a form that is posted there: for strategies whose provider sends the browser
   * back so (SAML, Sign in with Apple), and protect that by a state of their own. Default: `false`.
   */
  crossSite?: boolean;
  /**
   * "Trust this browser": for so long, logins of this user on this browser leave `method` out of what is `pending`, as
   * with `completeLogin()`. Of use where the guard takes a step of a login, or a new proof. A duration of at most 400
   * days, or a function that decides for each login. Default: the method is asked for each time.
   */
  trustFor?: PerLogin<Duration, User>;
  /** Redirects after a success, instead of going on to the handler. */
  successRedirect?: string;
  /**
   * Redirects to `session.returnTo` if that was kept (`keep: ['returnTo']`) and is a path of this site, else to this
   * address.
   */
  successReturnToOrRedirect?: string;
  /** Redirects after a refusal, instead of responding 401. */
  failureRedirect?: string;
  /** Puts the strategy's message, or this one, into the new session's `messages`. */
  successMessage?: boolean | string;
  /** Puts the refusal's message, or this one, into `session.messages`. */
  failureMessage?: boolean | string;
  /** Sets the user at this property of the request alone, and opens no session. */
  assignProperty?: string;
  /** What an OAuth strategy requests from its provider. */
  scope?: string | string[];
  [strategyOption: string]: unknown;
}
