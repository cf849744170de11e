import {
  type CanActivate,
  type ExecutionContext,
  type HttpException,
  Inject,
  Injectable,
  type OnApplicationBootstrap,
} from '@nestjs/common';
import { responseOf } from '../access/carrier.js';
import { requestOrRefuse } from '../access/refusal.js';
import { pathOfThisSite } from '../http/site-path.js';
import { processWide } from '../passport/process-wide.js';
import type { LoginGuardOptions } from './login-guard-options.js';
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
    const request = await requestOrRefuse(context);
    const computed = await this.getAuthenticateOptions(context);
    const options = { ...this.options, ...withRedirectsOnThisSite(computed ?? {}) };
    const refusal = await this.strategyLogin.attempt(this.strategies, options, request, responseOf(context));
    return refusal === undefined || this.handleDenied(refusal, context);
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
   * or return `true` to let the request through, without a user.
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
 * Without options, the same strategies give the same class, so that a test can replace it:
 * `overrideGuard(LoginGuard('local'))`. Extend it to compute options for each request.
 *
 * @param strategy name of a strategy among the application's providers; an unknown one fails the boot
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
  const strategies = [strategy].flat();
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
  Object.defineProperty(NamedLoginGuard, 'name', { value: `LoginGuard(${strategies.join(', ')})` });
  return NamedLoginGuard;
}

/** The options without the redirects that are no path of this site: an array, as a query string makes one, is none. */
function withRedirectsOnThisSite(options: LoginGuardOptions): LoginGuardOptions {
  const isForeign = (name: string, value: unknown): boolean =>
    REDIRECTS.includes(name) && pathOfThisSite(value) === undefined;
  return Object.fromEntries(Object.entries(options).filter(([name, value]) => !isForeign(name, value)));
}
