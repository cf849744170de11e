import { Inject, Injectable, type OnModuleInit } from '@nestjs/common';
import { DiscoveryService } from '@nestjs/core';
import passport from 'passport';
import { SessionAuthConfigurationError } from '../session-auth.errors.js';
import type { SessionRequest, SessionResponse } from '../session/session.types.js';
import { nameOfStrategy } from './strategy-names.js';

/** What a strategy said of credentials it turned down. */
export interface Refusal {
  /** The strategy's own words, where it has any. */
  readonly message: string | undefined;
  /** The status it asked for; 401 unless it did. */
  readonly status: number;
}

/** How an authentication ended. A strategy that redirected or answered by itself never ends. */
type Authentication = { readonly outcome: 'passed' } | { readonly outcome: 'refused'; readonly refusal: Refusal };

/** A strategy while it runs: Passport has lent it its actions. */
type Strategy = Record<'authenticate', (this: Strategy, ...args: unknown[]) => unknown> & {
  fail(challenge?: unknown, status?: number): void;
  pass(): void;
  error(error: unknown): void;
};

/** Passport's default, for an application whose strategies say nothing. */
const UNAUTHORIZED = 401;

/**
 * This application's own Passport: its own Authenticator with the strategies found among its providers, so that two
 * applications in one process never meet.
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
   * Runs the named strategies, the first that succeeds logging the user in by `request.logIn`. All of Passport's options
   * hold, redirects included: then the answer has been given and the promise stays open, as the request is over.
   *
   * @param onRefusal told when the last of them has refused, also where Passport then redirects (`failureRedirect`)
   * @throws what a strategy or the login failed with
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
        onRefusal(telling(refusals));
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
          resolve({ outcome: 'refused', refusal: telling(refusals) });
        } else {
          reject(error instanceof Error ? error : new Error('A Passport strategy failed.', { cause: error }));
        }
      });
    });
  }

  /** The strategy for one run, with its refusals overheard: Passport keeps their words to itself. */
  private listening(name: string, refuse: (refusal: Refusal) => void): Strategy {
    const registered = this.strategy(name) as unknown as Strategy;
    const strategy = Object.create(registered) as Strategy;
    strategy.authenticate = function (this: Strategy, ...args: unknown[]) {
      const fail = this.fail.bind(this);
      this.fail = (challenge, status) => {
        refuse({ message: messageOf(challenge), status: statusOf(challenge, status) });
        fail(challenge, status);
      };
      // A strategy that abstains (as 'session' always does) has logged nobody in (nestjs/passport#1505).
      this.pass = () => {
        this.fail();
      };
      // Passport waits for nothing: an async strategy's rejection would leave the request open and end the process.
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
    // Passport's own look-up; its types leave it out.
    return (this.authenticator as unknown as { _strategy(name: string): passport.Strategy | undefined })._strategy(
      name,
    );
  }

  /** @throws SessionAuthConfigurationError for a name that no provider goes by */
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
    // Of another copy of passport-strategy, as each strategy package may bring.
    (typeof instance === 'object' &&
      instance !== null &&
      'authenticate' in instance &&
      typeof instance.authenticate === 'function' &&
      nameOfStrategy(instance as passport.Strategy) !== undefined)
  );
}

/** Of several refusals the first that has something to say. */
function telling(refusals: readonly Refusal[]): Refusal {
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
