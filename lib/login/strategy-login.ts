import { inspect } from 'node:util';
import { HttpException, HttpStatus, Inject, Injectable } from '@nestjs/common';
import { SessionEvents } from '../events/session-events.js';
import type { SessionRequest, SessionResponse } from '../http/session-request.js';
import { type Clock, SESSION_CLOCK } from '../model/clock.js';
import { ApplicationPassport } from '../passport/application-passport.js';
import type { Refusal } from '../passport/strategy-run.js';
import { type RequestSession, requestSessionOf } from '../session/request-session.js';
import {
  LoginFailedException,
  MalformedLoginException,
  SessionAuthConfigurationError,
  type SessionAuthErrorCode,
  SessionStoreUnavailableException,
  SessionUnavailableException,
  TooManySessionsException,
} from '../session-auth.errors.js';
import { milliseconds } from '../validation/duration.js';
import { SessionAuthService } from './session-auth.service.js';
import { copyResults, strategyRequest, strategyResponse, withUser } from './strategy-exchange.js';
import type { LoginGuardOptions, PerLogin } from './login-guard-options.js';
import type { CompleteLoginOptions } from './log-in-options.js';
import type { PassportLogInOptions, PassportRequestMethods } from './passport-request.js';
import { trustDuration } from './trust-duration.js';

const OTHER_USER = 'That is another user than the one whose login is to be completed.';

const UNAUTHORIZED: number = HttpStatus.UNAUTHORIZED;

/** Where connect-flash and Passport keep what the next page shows. A login carries them over. */
const MESSAGE_KEYS = ['flash', 'messages'];

/** Token of {@link StrategyLogin}: the same in both builds of this package. */
export const STRATEGY_LOGIN = Symbol.for('nestjs-session-auth:strategy-login');

/** What a `LoginGuard` does: it runs Passport strategies, and opens a session for the user whom one of them names. */
@Injectable()
export class StrategyLogin {
  constructor(
    @Inject(ApplicationPassport) private readonly passport: ApplicationPassport,
    @Inject(SessionEvents) private readonly events: SessionEvents,
    @Inject(SESSION_CLOCK) private readonly clock: Clock,
    @Inject(SessionAuthService) private readonly auth: SessionAuthService,
  ) {}

  /** @throws SessionAuthConfigurationError for unknown strategies, and for options that cannot be meant */
  check(
    strategies: readonly string[],
    { keep, remember, pending, method, trustFor, crossSite }: LoginGuardOptions,
  ): void {
    this.passport.refuseUnknown(strategies);
    if (crossSite !== undefined && typeof crossSite !== 'boolean') {
      throw new SessionAuthConfigurationError(
        'invalid_option',
        `LoginGuard: the option "crossSite" is ${inspect(crossSite)}. It must be true or false.`,
      );
    }
    checkKeep(keep);
    if (typeof pending !== 'function') {
      checkWords('pending', pending, "methods that are still to be proved: pending: ['totp']");
    }
    if (remember !== undefined && typeof remember !== 'function') {
      milliseconds('remember', remember);
    }
    if (trustFor !== undefined && typeof trustFor !== 'function') {
      trustDuration(trustFor);
    }
    if (trustFor !== undefined && method === undefined) {
      throw new SessionAuthConfigurationError(
        'invalid_option',
        'LoginGuard: the option "trustFor" needs "method", the one that the browser is to be spared.',
      );
    }
  }

  /**
   * Resolves when the request may go on, or to the refusal of the credentials. Never settles after a redirect.
   *
   * @param isStep the route is one of a login's steps: it is for users whose login is pending, or who are logged in
   */
  async attempt(
    strategies: readonly string[],
    options: LoginGuardOptions,
    given: SessionRequest,
    givenResponse: SessionResponse,
    isStep: boolean,
  ): Promise<HttpException | undefined> {
    const response = strategyResponse(givenResponse);
    const session = requestSessionOf(given);
    const pendingUser = isStep ? session?.pendingUser : undefined;
    const plain = strategyRequest(given, response);
    const request = withUser(plain, pendingUser);
    checkRequest(request, options);
    if (opensSession(options)) {
      session?.refuseLoginFromElsewhere(); // Before a strategy uses a code up. `CrossSiteGuard` sees no global guard.
    }
    if (isStep && session !== undefined && (session.user ?? pendingUser) === undefined) {
      return session.denial;
    }
    const report = (refusal: HttpException): void => {
      this.reportFailure(strategies, options, refusal);
    };
    try {
      const result = await this.passport.authenticate(strategies, options, request, response, {
        logIn: async (user, strategy) => {
          await this.logIn(request, user, strategy, options, isStep);
          return session?.pendingUser !== undefined && opensSession(options) ? undefined : user;
        },
        onRefusal: (refusal) => {
          report(exceptionFor(refusal));
        },
      });
      copyResults(plain, given, options);
      return result.outcome === 'refused' ? exceptionFor(result.refusal) : undefined;
    } catch (error) {
      if (isRefused(error)) {
        report(error);
      }
      throw error;
    }
  }

  private reportFailure(
    strategies: readonly string[],
    { method }: LoginGuardOptions,
    { message: reason, extensions }: HttpException & { extensions?: { sessionAuth?: SessionAuthErrorCode } },
  ): void {
    const strategy = strategies.join(', ');
    const code = extensions?.sessionAuth ?? 'login_failed'; // A strategy may throw exceptions of its own.
    const event = { type: 'login-failed', strategy, ...(method !== undefined && { method }), code, reason } as const;
    this.events.emit(event, this.clock.now());
  }

  /** The strategy has named a user. */
  private async logIn(
    request: SessionRequest,
    user: unknown,
    strategy: string,
    options: LoginGuardOptions,
    isStep: boolean,
  ): Promise<void> {
    const session = requestSessionOf(request);
    if (session === undefined || !opensSession(options)) {
      await openSession(request, user, options);
      return;
    }
    session.strategy = strategy;
    try {
      await this.takeStep(session, request, user, options, isStep);
    } finally {
      session.strategy = undefined;
    }
  }

  /** A step of the pending login, a login, or a new proof. */
  private async takeStep(
    session: RequestSession,
    request: SessionRequest,
    user: unknown,
    options: LoginGuardOptions,
    isStep: boolean,
  ): Promise<void> {
    if (options.method !== undefined && session.waitsFor(options.method, user)) {
      await this.auth.completeLogin(request, options.method, await trustIn(user, request, options));
    } else if (!isStep) {
      await openSession(request, user, options);
    } else if (session.isUser(user) && options.method !== undefined) {
      await this.auth.completeLogin(request, options.method, await trustIn(user, request, options));
    } else if (session.isUser(user)) {
      await this.auth.reauthenticate(request);
    } else {
      throw session.isPendingUser(user) ? session.denial : new LoginFailedException(OTHER_USER);
    }
  }
}

/** With these options of Passport, a strategy's user is set for the request alone. */
function opensSession({ session, assignProperty }: LoginGuardOptions): boolean {
  return session !== false && assignProperty === undefined;
}

/** A text would be taken for its letters. */
function checkWords(option: string, value: unknown, remedy: string): void {
  if (value !== undefined && !(Array.isArray(value) && value.every((word) => typeof word === 'string'))) {
    throw new SessionAuthConfigurationError(
      'invalid_option',
      `LoginGuard: the option "${option}" is ${inspect(value)}. It must be an array of ${remedy}.`,
    );
  }
}

function checkKeep(keep: unknown): void {
  checkWords('keep', keep, "the keys to keep: keep: ['returnTo']");
}

function checkRequest(request: SessionRequest, options: LoginGuardOptions): void {
  checkKeep(options.keep);
  const session = requestSessionOf(request);
  if (session === undefined && opensSession(options)) {
    throw new SessionUnavailableException();
  }
  if (session?.failure instanceof SessionStoreUnavailableException) {
    throw session.failure;
  }
  const usesFlash = Boolean(options.successFlash) || Boolean(options.failureFlash);
  if (usesFlash && typeof (request as { flash?: unknown }).flash !== 'function') {
    throw new SessionAuthConfigurationError(
      'invalid_option',
      'LoginGuard: successFlash and failureFlash need request.flash(). Mount connect-flash for the route: ' +
        "consumer.apply(flash()).forRoutes('login').",
    );
  }
}

async function openSession(request: SessionRequest, user: unknown, options: LoginGuardOptions): Promise<void> {
  if (options.assignProperty !== undefined) {
    return; // Passport sets the user there.
  }
  const remember = (await valueFor(options.remember, user, request)) || undefined;
  const pending = (await valueFor(options.pending, user, request)) || undefined;
  const keep = [...(options.keep ?? []), ...MESSAGE_KEYS];
  await logIn(request, user, { ...options, keep, remember, pending });
}

/** Whether the browser is to be spared the method, and for how long. */
async function trustIn(
  user: unknown,
  request: SessionRequest,
  options: LoginGuardOptions,
): Promise<CompleteLoginOptions> {
  const trustFor = await valueFor(options.trustFor, user, request);
  return trustFor === undefined || trustFor === false ? {} : { trustFor };
}

/** Logs in by the request's own method, which an application may have wrapped. */
function logIn(request: SessionRequest, user: unknown, options: PassportLogInOptions): Promise<void> {
  return new Promise((resolve, reject) => {
    void (request as SessionRequest & PassportRequestMethods).logIn(user, options, (error) => {
      if (error === undefined || error === null) {
        resolve();
      } else {
        reject(error instanceof Error ? error : new Error('request.logIn() failed.', { cause: error }));
      }
    });
  });
}

/** The value of an option for this login. */
async function valueFor<Value extends string | number | string[]>(
  option: PerLogin<Value> | undefined,
  user: unknown,
  request: SessionRequest,
): Promise<Value | false | undefined> {
  return typeof option === 'function' ? option(user as Express.User, request) : option;
}

function isRefused(error: unknown): error is HttpException {
  const is401 = error instanceof HttpException && error.getStatus() === UNAUTHORIZED;
  return is401 || error instanceof TooManySessionsException;
}

function exceptionFor({ status, message }: Refusal): HttpException {
  return status === UNAUTHORIZED
    ? new LoginFailedException(message)
    : new MalformedLoginException(status, message ?? 'The credentials could not be read.');
}
