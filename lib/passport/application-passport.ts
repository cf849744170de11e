import { Inject, Injectable, type OnModuleInit } from '@nestjs/common';
import { DiscoveryService } from '@nestjs/core';
import passport from 'passport';
import { SessionAuthConfigurationError } from '../session-auth.errors.js';
import type { SessionRequest, SessionResponse } from '../http/session-request.js';
import { nameOfStrategy } from './strategy-names.js';

/** Why a strategy refused the credentials. */
export interface Refusal {
  /** The strategy's own words, where it has any. */
  readonly message: string | undefined;
  /** The status that the strategy has chosen; 401 if none. */
  readonly status: number;
}

/** The result of an authentication. There is none where the strategy redirects or responds by itself. */
type Authentication = { readonly outcome: 'passed' } | { readonly outcome: 'refused'; readonly refusal: Refusal };

/** A strategy while it runs: Passport has given it the actions below. */
type Strategy = Record<'authenticate', (this: Strategy, ...args: unknown[]) => unknown> & {
  fail(challenge?: unknown, status?: number): void;
  pass(): void;
  error(error: unknown): void;
};

/** Passport's default status of a refusal. */
const UNAUTHORIZED = 401;

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
   * Runs the named strategies. The first that succeeds logs the user in by `request.logIn`. All of Passport's options
   * work. When one redirects, the response has been sent, the request is over, and the promise never settles.
   *
   * @param onRefusal called when the last strategy has refused, even where Passport then redirects (`failureRedirect`)
   * @throws the error of a strategy or of the login
   */
  authenticate(
    names: readonly string[],
    options: passport.AuthenticateOptions,
    request: SessionRequest,
    response: SessionResponse,
    onRefusal: (refusal: Refusal) => void,
  ): Promise<Authentication> {
    const refusals: Refusal[] = [];
    const refuse = (refusal: Refusal): void => {
      refusals.push(refusal);
      if (refusals.length === names.length) {
        onRefusal(firstWithMessage(refusals));
      }
    };
    return new Promise((resolve, reject) => {
      const strategies = names.map((name) => this.listening(name, refuse));
      const handler = this.authenticator.authenticate(strategies as never, { ...options, failWithError: true }) as (
        request: SessionRequest,
        response: SessionResponse,
        next: (error?: unknown) => void,
      ) => void;
      handler(request, response, (error) => {
        if (error === undefined || error === null) {
          resolve({ outcome: 'passed' });
        } else if (isRefusal(error)) {
          resolve({ outcome: 'refused', refusal: firstWithMessage(refusals) });
        } else {
          reject(error instanceof Error ? error : new Error('A Passport strategy failed.', { cause: error }));
        }
      });
    });
  }

  /** The strategy for one run. Its refusals are noted, since Passport does not pass on their messages. */
  private listening(name: string, refuse: (refusal: Refusal) => void): Strategy {
    const registered = this.strategy(name) as unknown as Strategy;
    const strategy = Object.create(registered) as Strategy;
    strategy.authenticate = function (this: Strategy, ...args: unknown[]) {
      const fail = this.fail.bind(this);
      this.fail = (challenge, status) => {
        refuse({ message: messageOf(challenge), status: statusOf(challenge, status) });
        fail(challenge, status);
      };
      // A strategy that passes (as 'session' always does) has logged nobody in (nestjs/passport#1505).
      this.pass = () => {
        this.fail();
      };
      // Passport does not wait for a strategy: a rejection would leave the request open and end the process.
      const authenticate = async (): Promise<void> => {
        await registered.authenticate.apply(this, args);
      };
      authenticate().catch((error: unknown) => {
        this.error(error);
      });
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
    const unknown = names.find((name) => this.strategy(name) === undefined);
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

/** Of several refusals, the first that has a message. */
function firstWithMessage(refusals: readonly Refusal[]): Refusal {
  const refusal = refusals.find(({ message }) => message !== undefined) ?? refusals[0];
  return refusal ?? { message: undefined, status: UNAUTHORIZED };
}

function isRefusal(error: unknown): boolean {
  return error instanceof Error && error.name === 'AuthenticationError';
}

function messageOf(challenge: unknown): string | undefined {
  const message: unknown =
    typeof challenge === 'object' && challenge !== null && 'message' in challenge ? challenge.message : undefined;
  return typeof message === 'string' ? message : undefined;
}

function statusOf(challenge: unknown, status: number | undefined): number {
  return status ?? (typeof challenge === 'number' ? challenge : UNAUTHORIZED);
}
