import { Inject, Injectable, Logger, type OnModuleInit } from '@nestjs/common';
import { DiscoveryService } from '@nestjs/core';
import passport from 'passport';
import { SessionAuthConfigurationError } from '../session-auth.errors.js';
import type { SessionRequest, SessionResponse } from '../http/session-request.js';
import { pathOfThisSite } from '../http/site-path.js';
import { UNAUTHORIZED } from './challenge.js';
import { nameOfStrategy } from './strategy-names.js';
import { type OutcomeSteps, type Refusal, type Strategy, strategyForOneRun } from './strategy-run.js';

type Provider = ReturnType<DiscoveryService['getProviders']>[number];

/** The result of an authentication. There is none where the strategy redirects or responds by itself. */
type Authentication = { readonly outcome: 'admitted' } | { readonly outcome: 'refused'; readonly refusal: Refusal };

/** What happens at the results of an authentication. */
export interface AuthenticationSteps {
  /** Logs in the user of the first strategy that succeeds. Resolves to the user whom the request shows then, if any. */
  logIn(user: unknown, strategy: string): Promise<unknown>;
  /** Called when the last strategy has refused, even where Passport then redirects (`failureRedirect`). */
  onRefusal(refusal: Refusal): void;
}

/**
 * This application's own Passport: an Authenticator with the strategies among its providers, so that two applications
 * in one process do not share them.
 */
@Injectable()
export class ApplicationPassport implements OnModuleInit {
  private readonly authenticator = new passport.Passport();
  private readonly names: string[] = [];
  /** The classes of strategies that are request-scoped or transient: no instance of them can be registered. */
  private readonly scoped: string[] = [];
  /** The strategies that have called back twice and have been warned of. */
  private readonly warned = new Set<string>();
  private readonly logger = new Logger('LoginGuard');

  constructor(@Inject(DiscoveryService) private readonly discovery: DiscoveryService) {}

  onModuleInit(): void {
    for (const wrapper of this.discovery.getProviders()) {
      if (isScoped(wrapper)) {
        this.scoped.push(...(isStrategyClass(wrapper) ? [String(wrapper.name)] : []));
      } else if (isStrategy(wrapper.instance)) {
        const name = nameOfStrategy(wrapper.instance);
        if (name !== undefined) {
          this.names.push(name);
          this.authenticator.use(name, wrapper.instance);
        }
      }
    }
  }

  /**
   * Runs the named strategies, and admits the request when one succeeds or passes. All of Passport's options work. When
   * a strategy or an option redirects, the response has been sent, the request is over, and the promise never settles.
   *
   * @throws the error of a strategy or of the login
   */
  authenticate(
    names: readonly string[],
    options: passport.AuthenticateOptions,
    request: SessionRequest,
    response: SessionResponse,
    steps: AuthenticationSteps,
  ): Promise<Authentication> {
    const refusals: Refusal[] = [];
    let hasSucceeded = false;
    return new Promise((resolve, reject) => {
      // Then what Passport writes to `request.session` (flash, messages) lands in the new session.
      const logIn = async (user: unknown, strategy: string) => {
        const shown = await steps.logIn(user, strategy);
        hasSucceeded = true;
        return shown;
      };
      const listeners = {
        onRefusal: (refusal: Refusal) => {
          refusals.push(refusal);
          if (refusals.length === names.length) {
            steps.onRefusal(firstWithMessage(refusals));
          }
        },
        onError: (error: unknown) => {
          reject(error instanceof Error ? error : new Error('A Passport strategy failed.', { cause: error }));
        },
      };
      const strategies = names.map((name) =>
        this.strategyFor(name, options, { ...listeners, onSuccess: (user) => logIn(user, name) }),
      );
      // With `assignProperty`, Passport itself logs nobody in (that is done by then) and leaves the redirect to us.
      const passportOptions = { ...options, assignProperty: options.assignProperty || 'user', failWithError: true };
      const handler = this.authenticator.authenticate(strategies as never, passportOptions) as (
        request: SessionRequest,
        response: SessionResponse,
        next: (error?: unknown) => void,
      ) => void;
      // Passport has no error of its own but that of all strategies having refused.
      handler(request, response, (error) => {
        if (error !== undefined) {
          resolve({ outcome: 'refused', refusal: firstWithMessage(refusals) });
        } else if (!hasSucceeded || !redirectAfterLogin(request, response, options)) {
          resolve({ outcome: 'admitted' });
        }
      });
    });
  }

  private strategyFor(
    name: string,
    options: passport.AuthenticateOptions,
    steps: Omit<OutcomeSteps, 'onLateOutcome'>,
  ): Strategy {
    const registered = this.strategy(name) as unknown as Strategy;
    return strategyForOneRun(registered, options, {
      ...steps,
      onLateOutcome: (first, late, argument) => {
        if (!this.warned.has(name)) {
          this.warned.add(name);
          const message =
            `The strategy "${name}" called back twice: a return is missing, or its validate() calls done() itself, ` +
            `where @nestjs/passport wants it to return the user. ` +
            `Its first call counts (${first}), and the later one was ignored (${late}).`;
          this.logger.warn(message, ...(argument instanceof Error ? [argument.stack] : []));
        }
      },
    });
  }

  private strategy(name: string): passport.Strategy | undefined {
    // Passport's own lookup, which its types leave out.
    return (this.authenticator as unknown as { _strategy(name: string): passport.Strategy | undefined })._strategy(
      name,
    );
  }

  /** @throws SessionAuthConfigurationError for a name that no provider has */
  refuseUnknown(names: readonly string[]): void {
    const unknown = names.find((name) => !this.names.includes(name));
    if (unknown === 'session') {
      throw new SessionAuthConfigurationError(
        'unknown_strategy',
        'LoginGuard("session") would let every request through: Passport\'s own strategy "session" passes them all ' +
          '(nestjs/passport#1505). To let through who is logged in, use SessionGuard.',
      );
    }
    if (unknown !== undefined && this.scoped.length > 0) {
      throw new SessionAuthConfigurationError(
        'unknown_strategy',
        `LoginGuard finds no strategy named "${unknown}", but ${this.scoped.join(', ')} is request-scoped or transient ` +
          '(or depends on a provider that is), and Passport needs one instance for all requests. Make it a singleton; ' +
          'with passReqToCallback: true, validate() is given the request.',
      );
    }
    if (unknown !== undefined) {
      throw new SessionAuthConfigurationError(
        'unknown_strategy',
        `No provider is a Passport strategy named "${unknown}" (found: ${this.names.join(', ') || 'none'}). ` +
          'Add it to the providers of a module: @Injectable() class LocalStrategy extends PassportStrategy(Strategy) {...}',
      );
    }
  }
}

/** Whether there is no one instance that all requests could share. */
function isScoped(wrapper: Provider): boolean {
  return wrapper.isTransient || !wrapper.isDependencyTreeStatic();
}

/** Whether the provider's class is that of a strategy. Its name is unknown without an instance. */
function isStrategyClass({ metatype }: Provider): boolean {
  const prototype =
    typeof metatype === 'function' ? (metatype.prototype as { authenticate?: unknown } | undefined) : {};
  return typeof prototype?.authenticate === 'function';
}

function isStrategy(instance: unknown): instance is passport.Strategy {
  return (
    instance instanceof passport.Strategy ||
    // Strategy packages may bring another copy of passport-strategy.
    (typeof instance === 'object' &&
      instance !== null &&
      'authenticate' in instance &&
      typeof instance.authenticate === 'function' &&
      nameOfStrategy(instance as passport.Strategy) !== undefined)
  );
}

/** Redirects where an option says so, and returns whether it did. */
function redirectAfterLogin(
  request: SessionRequest,
  response: SessionResponse,
  options: passport.AuthenticateOptions,
): boolean {
  const url = options.assignProperty === undefined ? urlAfterLogin(request, options) : undefined;
  if (url) {
    (response as SessionResponse & { redirect(url: string): void }).redirect(url);
  }
  return Boolean(url);
}

/** `session.returnTo` is what a request has put there. It never leads to another site. */
function urlAfterLogin(
  { session }: SessionRequest,
  { successReturnToOrRedirect, successRedirect }: passport.AuthenticateOptions,
): string | undefined {
  if (!successReturnToOrRedirect) {
    return successRedirect;
  }
  const holder = session as { returnTo?: unknown } | undefined;
  const path = pathOfThisSite(holder?.returnTo);
  delete holder?.returnTo;
  return path ?? successReturnToOrRedirect;
}

/** Of several refusals, the first that has a message. */
function firstWithMessage(refusals: readonly Refusal[]): Refusal {
  const refusal = refusals.find(({ message }) => message !== undefined) ?? refusals[0];
  return refusal ?? { message: undefined, status: UNAUTHORIZED };
}
