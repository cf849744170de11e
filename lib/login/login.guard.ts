import { inspect } from 'node:util';
import {
  type CanActivate,
  type ExecutionContext,
  type HttpException,
  Inject,
  Injectable,
  type OnApplicationBootstrap,
} from '@nestjs/common';
import { markLoginGuard } from '../access/allow-cross-site.js';
import { responseOf } from '../access/carrier.js';
import { admitsPending } from '../access/pending-login.js';
import { letsThrough, requestOrRefuse } from '../access/refusal.js';
import type { SessionRequest } from '../http/session-request.js';
import { pathOfThisSite } from '../http/site-path.js';
import { processWide } from '../passport/process-wide.js';
import { requestSessionOf } from '../session/request-session.js';
import type { LoginGuardOptions } from './login-guard-options.js';
import { SessionAuthConfigurationError } from '../session-auth.errors.js';
import { loginRequestOf } from './login-request.js';
import { STRATEGY_LOGIN, type StrategyLogin } from './strategy-login.js';

/** The options that redirect. */
const REDIRECTS = ['successRedirect', 'successReturnToOrRedirect', 'failureRedirect'];

/**
 * What {@link LoginGuard} creates subclasses of. To change it, extend `LoginGuard(...)` and override the protected
 * methods.
 *
 * @example
 * ```ts
 * class LocalGuard extends LoginGuard('local') {
 *   // Shows the form again, instead of an exception.
 *   protected override async handleDenied(reason: HttpException, context: ExecutionContext): Promise<boolean> {
 *     context.switchToHttp().getRequest<Request & { problem?: string }>().problem = reason.message;
 *     return true; // The handler runs, without a user.
 *   }
 * }
 * ```
 */
@Injectable()
export class StrategyLoginGuard implements CanActivate, OnApplicationBootstrap {
  /** A property, so that a subclass may have a constructor of its own. */
  @Inject(STRATEGY_LOGIN) private readonly strategyLogin!: StrategyLogin;

  /** @internal */
  protected readonly strategies: readonly string[] = [];
  /** @internal */
  protected readonly options: LoginGuardOptions = {};

  onApplicationBootstrap(): void {
    this.strategyLogin.check(this.strategies, this.options);
  }

  async canActivate(context: ExecutionContext): Promise<boolean> {
    const request = loginRequestOf(await requestOrRefuse(context), context);
    const computed = await this.getAuthenticateOptions(context);
    const options = { ...this.options, ...withRedirectsOnThisSite(computed ?? {}) };
    const isStep = admitsPending(context);
    const refusal = await this.strategyLogin.attempt(this.strategies, options, request, responseOf(context), isStep);
    return refusal === undefined || this.#goesOnWithoutUser(refusal, request, context);
  }

  /** A handler that asks for a user asks who has shown good credentials now, and not whose session it is. */
  async #goesOnWithoutUser(
    refusal: HttpException,
    request: SessionRequest,
    context: ExecutionContext,
  ): Promise<boolean> {
    const goesOn = letsThrough(await this.handleDenied(refusal, context));
    if (goesOn) {
      const session = requestSessionOf(request);
      session?.setUser(undefined);
      session?.setPendingUser(undefined);
      request.user = undefined;
    }
    return goesOn;
  }

  /**
   * Options for one request. They win over those given to `LoginGuard()`. Since they may be made of what a request says,
   * a redirect among them that is anything but a path of this site is ignored: that of `LoginGuard()` holds then.
   */
  protected getAuthenticateOptions(
    _context: ExecutionContext,
  ): LoginGuardOptions | undefined | Promise<LoginGuardOptions | undefined> {
    return undefined;
  }

  /**
   * Refuses a request whose credentials the strategy has refused. Override it to respond in another form. It must throw,
   * or return `true` to let the request through, without a user. The browser's session stays as it is, but in this
   * request nobody is logged in, whoever's session that is: `request.user` is unset, and `reauthenticate()` responds 401.
   *
   * @param reason a `LoginFailedException` or a `MalformedLoginException`
   */
  // eslint-disable-next-line @typescript-eslint/require-await -- an override may wait
  protected async handleDenied(reason: HttpException, _context: ExecutionContext): Promise<boolean> {
    throw reason;
  }
}

/**
 * Creates a guard that logs users in. It runs the named Passport strategy on this application's own Passport (of
 * several, the first that succeeds counts), then opens the user's session. When the handler runs, `request.user` is set
 * and the session is stored. For a strategy that redirects (OAuth), put the same guard on the route that starts and on
 * the one that comes back.
 *
 * It responds 401 (code `login_failed`) with the strategy's message to credentials that the strategy refuses; 400 to
 * credentials that it cannot read; 409 (code `too_many_sessions`) when `maxSessions` rejects the login; 503 when the
 * session store does not reply; 500 (code `session_unavailable`) on a route without a session. A strategy that passes
 * (anonymous, remember-me) lets the request go on as it is.
 *
 * For a second factor, give the first guard `pending: ['totp']`, and put another with `method: 'totp'` on a route of its
 * own that is marked `@PendingLogin()`. There the strategy finds the user at `request.user`. When it names the same user,
 * that step is done; another user is refused (401, code `login_failed`), and so is a request whose login is not pending
 * (401). For who is logged in already, it is a new proof, as by `SessionAuthService.reauthenticate()`.
 *
 * Two of these guards on one route do not ask for both logins: the first one's session is open, and stays open, when the
 * second one refuses. The same holds for any guard after it. Put guards that may refuse before it.
 *
 * Over GraphQL, the field's arguments, and the fields of an argument `input`, are the `body` of the request that the
 * strategy and the options' functions are given.
 *
 * Without options, the same strategies give the same class, so that a test can replace it:
 * `overrideGuard(LoginGuard('local'))`. Extend it to compute options for each request.
 *
 * @param strategy name of a strategy among the application's providers; an unknown one fails the boot
 * @throws SessionAuthConfigurationError when that is no name, or an empty list: code `unknown_strategy`
 *
 * @example
 * ```ts
 * @Controller()
 * class LoginController {
 *   @Post('login')
 *   @UseGuards(
 *     LoginGuard('local', {
 *       method: 'password',
 *       // The tick box "stay signed in" of the form.
 *       remember: (user: User, request: Request) => request.body.staySignedIn === 'on' && '30d',
 *     }),
 *   )
 *   login(@CurrentUser() user: User) {
 *     return user;
 *   }
 * }
 * ```
 *
 * @example
 * ```ts
 * // Options for each request.
 * class GoogleGuard extends LoginGuard('google', { scope: ['openid', 'email'] }) {
 *   protected override getAuthenticateOptions(context: ExecutionContext) {
 *     return { loginHint: context.switchToHttp().getRequest<Request>().query.email };
 *   }
 * }
 * ```
 */
export function LoginGuard<User = Express.User>(
  strategy: string | string[],
  options?: LoginGuardOptions<User>,
): new () => StrategyLoginGuard {
  const strategies = strategyNames(strategy);
  if (options !== undefined) {
    return guardFor(strategies, options as LoginGuardOptions);
  }
  // A class made by the other build of this package does as well: all that it needs of the application is behind a token
  // that both builds share, and its state is in its instances.
  const guards = processWide('login-guards', () => new Map<string, new () => StrategyLoginGuard>());
  const key = JSON.stringify(strategies);
  const guard = guards.get(key) ?? guardFor(strategies, {});
  guards.set(key, guard);
  return guard;
}

function guardFor(strategies: readonly string[], options: LoginGuardOptions): new () => StrategyLoginGuard {
  class NamedLoginGuard extends StrategyLoginGuard {
    protected override readonly strategies = strategies;
    protected override readonly options = options;
  }
  markLoginGuard(NamedLoginGuard, options.crossSite === true);
  Object.defineProperty(NamedLoginGuard, 'name', { value: `LoginGuard(${strategies.join(', ')})` });
  return NamedLoginGuard;
}

/** As a list. A guard without a strategy would refuse nobody by its credentials, and one that is `undefined` is no name. */
function strategyNames(given: unknown): string[] {
  const names: unknown[] = [given].flat();
  if (names.length === 0 || names.some((name) => typeof name !== 'string')) {
    throw new SessionAuthConfigurationError(
      'unknown_strategy',
      `LoginGuard() was given ${inspect(given)}, which is no name of a strategy. Write the name, or an array of names: ` +
        "LoginGuard('local'). A constant may be undefined because its file is imported in a circle.",
    );
  }
  return names as string[];
}

/** The options without the redirects that are no path of this site: an array, as a query string makes one, is none. */
function withRedirectsOnThisSite(options: LoginGuardOptions): LoginGuardOptions {
  const isForeign = (name: string, value: unknown): boolean =>
    REDIRECTS.includes(name) && pathOfThisSite(value) === undefined;
  return Object.fromEntries(Object.entries(options).filter(([name, value]) => !isForeign(name, value)));
}
