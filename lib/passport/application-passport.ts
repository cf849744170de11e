import { Inject, Injectable, type OnModuleInit } from '@nestjs/common';
import { DiscoveryService } from '@nestjs/core';
import passport from 'passport';
import { SessionAuthConfigurationError } from '../session-auth.errors.js';
import type { SessionRequest, SessionResponse } from '../http/session-request.js';
import { pathOfThisSite } from '../http/site-path.js';
import { messageOf, sendable, statusOf, UNAUTHORIZED } from './challenge.js';
import { nameOfStrategy } from './strategy-names.js';

/** Why a strategy refused the credentials. */
export interface Refusal {
  /** The strategy's own words, where it has any. */
  readonly message: string | undefined;
  /** The status that the strategy has chosen; 401 if none. */
  readonly status: number;
}

/** The result of an authentication. There is none where the strategy redirects or responds by itself. */
type Authentication = { readonly outcome: 'admitted' } | { readonly outcome: 'refused'; readonly refusal: Refusal };

/** What happens at the results of an authentication. */
export interface AuthenticationSteps {
  /** Logs in the user of the first strategy that succeeds. */
  logIn(user: unknown): Promise<void>;
  /** Called when the last strategy has refused, even where Passport then redirects (`failureRedirect`). */
  onRefusal(refusal: Refusal): void;
}

/** A strategy while it runs: Passport has given it the actions below. */
interface Strategy {
  authenticate(this: Strategy, request: SessionRequest, options: passport.AuthenticateOptions): unknown;
  success(user: unknown, info?: unknown): void;
  fail(challenge?: unknown, status?: number): void;
  error(error: unknown): void;
}

/**
 * This application's own Passport: an Authenticator with the strategies among its providers, so that two applications
 * in one process do not share them.
 */
@Injectable()
export class ApplicationPassport implements OnModuleInit {
  private readonly authenticator = new passport.Passport();
  private readonly names: string[] = [];

  constructor(@Inject(DiscoveryService) private readonly discovery: DiscoveryService) {}

  onModuleInit(): void {
    for (const { instance } of this.discovery.getProviders()) {
      if (isStrategy(instance)) {
        const name = nameOfStrategy(instance);
        if (name !== undefined) {
          this.names.push(name);
          this.authenticator.use(name, instance);
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
    const refuse = (refusal: Refusal): void => {
      refusals.push(refusal);
      if (refusals.length === names.length) {
        steps.onRefusal(firstWithMessage(refusals));
      }
    };
    return new Promise((resolve, reject) => {
      const strategies = names.map((name) => this.listening(name, options, steps, refuse));
      // Without a session, Passport's own login only sets `request.user`: `steps.logIn` has done the rest by then.
      const passportOptions = { ...options, session: false, failWithError: true };
      const handler = this.authenticator.authenticate(strategies as never, passportOptions) as (
        request: SessionRequest,
        response: SessionResponse,
        next: (error?: unknown) => void,
      ) => void;
      handler(request, response, (error) => {
        if (error === undefined || error === null) {
          resolve({ outcome: 'admitted' });
        } else if (isRefusal(error)) {
          resolve({ outcome: 'refused', refusal: firstWithMessage(refusals) });
        } else {
          reject(error instanceof Error ? error : new Error('A Passport strategy failed.', { cause: error }));
        }
      });
    });
  }

  /**
   * The strategy for one run. Its user is logged in before Passport hears of the success: what Passport then writes to
   * `request.session` (flash, messages) lands in the new session. Its refusals are noted, since Passport does not pass on
   * their messages.
   */
  private listening(
    name: string,
    options: passport.AuthenticateOptions,
    steps: AuthenticationSteps,
    refuse: (refusal: Refusal) => void,
  ): Strategy {
    const registered = this.strategy(name) as unknown as Strategy;
    const strategy = Object.create(registered) as Strategy;
    strategy.authenticate = function (this: Strategy, request) {
      const success = this.success.bind(this);
      const fail = this.fail.bind(this);
      this.success = (user, info) => {
        run(this, async () => {
          await steps.logIn(user);
          keepReturnToOnThisSite(request, options);
          success(user, info);
        });
      };
      this.fail = (challenge, status) => {
        run(this, () => {
          refuse({ message: messageOf(challenge), status: statusOf(challenge, status) });
          fail(sendable(challenge), status);
        });
      };
      run(this, () => registered.authenticate.call(this, request, options));
    };
    return strategy;
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
    if (unknown !== undefined) {
      throw new SessionAuthConfigurationError(
        'unknown_strategy',
        `No provider is a Passport strategy named "${unknown}" (found: ${this.names.join(', ') || 'none'}). ` +
          'Add it to the providers of a module: @Injectable() class LocalStrategy extends PassportStrategy(Strategy) {...}',
      );
    }
  }
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

/** Runs a step of a strategy. Passport does not wait for it: a rejection would leave the request open and end the process. */
function run(strategy: Strategy, step: () => unknown): void {
  const running = async (): Promise<void> => {
    await step();
  };
  running().catch((error: unknown) => {
    strategy.error(error);
  });
}

/** `successReturnToOrRedirect` follows what a request has put into the session. That never leads to another site. */
function keepReturnToOnThisSite({ session }: SessionRequest, options: passport.AuthenticateOptions): void {
  const holder = session as { returnTo?: unknown } | undefined;
  if (options.successReturnToOrRedirect !== undefined && holder?.returnTo !== undefined) {
    const path = pathOfThisSite(holder.returnTo);
    if (path === undefined) {
      delete holder.returnTo;
    } else {
      holder.returnTo = path;
    }
  }
}

/** Of several refusals, the first that has a message. */
function firstWithMessage(refusals: readonly Refusal[]): Refusal {
  const refusal = refusals.find(({ message }) => message !== undefined) ?? refusals[0];
  return refusal ?? { message: undefined, status: UNAUTHORIZED };
}

function isRefusal(error: unknown): boolean {
  return error instanceof Error && error.name === 'AuthenticationError';
}
