import { applyDecorators, type ExecutionContext, Inject, Injectable, SetMetadata, UseGuards } from '@nestjs/common';
import { Reflector } from '@nestjs/core';
import { type FreshnessRequirement, isFresh } from '../lifetime/freshness.js';
import { type FreshLoginChallenge, FreshLoginRequiredException } from '../session-auth.errors.js';
import type { Duration } from '../session-auth.options.js';
import { milliseconds } from '../validation/duration.js';
import { CLOCK, type Clock } from '../session/clock.js';
import { type RequestSession, requestSessionOf } from '../session/request-session.js';
import { SessionGuard } from './session.guard.js';

const FRESHNESS = 'nestjs-session-auth:freshness';

/** What else `@RequireFreshLogin()` asks. */
export interface RequireFreshLoginOptions {
  /** Only logins by one of these methods count: the words given to `logIn()`, `LoginGuard()` or `reauthenticate()`. */
  methods?: string[];
  /** One proof is good for one request: of several at the same time, too. It is used up when the handler is reached. */
  once?: boolean;
}

/**
 * Step-up: this handler, or each of this controller, is for users who proved who they are within this time, as in
 * `@RequireFreshLogin('5m')`. Others get 401, code `fresh_login_required`, with `maxAge` (seconds), `methods` and
 * `once` in the body: have them prove it, call `SessionAuthService.reauthenticate()` and try again. Without a login it
 * is 401, code `unauthenticated`.
 *
 * Freshness counts from the login or step-up (OWASP ASVS 7.5.1), never from activity or rotation; a remembered login
 * (`remember`) is not fresh. A method's mark stands in place of its class's.
 */
export function RequireFreshLogin(
  duration: Duration,
  { methods, once }: RequireFreshLoginOptions = {},
): ClassDecorator & MethodDecorator {
  const requirement: FreshnessRequirement = { maxAge: milliseconds('@RequireFreshLogin', duration), methods, once };
  return applyDecorators(SetMetadata(FRESHNESS, requirement), UseGuards(FreshLoginGuard));
}

/** The guard behind {@link RequireFreshLogin}. */
@Injectable()
export class FreshLoginGuard extends SessionGuard {
  constructor(
    @Inject(Reflector) reflector: Reflector,
    @Inject(CLOCK) private readonly clock: Clock,
  ) {
    super(reflector);
  }

  override async canActivate(context: ExecutionContext): Promise<boolean> {
    const loggedIn = await super.canActivate(context);
    const requirement = this.requirementOf(context);
    const session = requestSessionOf(this.requestOf(context));
    if (requirement === undefined || (session !== undefined && (await this.passes(session, requirement)))) {
      return loggedIn;
    }
    return this.handleDenied(new FreshLoginRequiredException(challengeOf(requirement)), context);
  }

  /** A route for fresh logins is for nobody without one. Where no mark stands, this is a `SessionGuard`. */
  protected override isPublic(context: ExecutionContext): boolean {
    return this.requirementOf(context) === undefined && super.isPublic(context);
  }

  private requirementOf(context: ExecutionContext): FreshnessRequirement | undefined {
    return this.reflector.getAllAndOverride<FreshnessRequirement | undefined>(FRESHNESS, [
      context.getHandler(),
      context.getClass(),
    ]);
  }

  /** Whether the login is as fresh as that; where it is good for one request, it is used up by this one. */
  private async passes(session: RequestSession, requirement: FreshnessRequirement): Promise<boolean> {
    const login = session.stored?.login;
    const fresh = login !== undefined && isFresh(login, requirement, this.clock.now());
    if (session.spentFor === requirement || !fresh || requirement.once !== true) {
      return session.spentFor === requirement || fresh; // Marked at class and method, it is asked twice.
    }
    const spent = await session.amend((current) =>
      current.login && isFresh(current.login, requirement, this.clock.now())
        ? { login: { ...current.login, spent: true } }
        : undefined,
    );
    session.spentFor = spent ? requirement : undefined;
    return spent;
  }
}

/** What the client is told. */
function challengeOf({ maxAge, methods, once }: FreshnessRequirement): FreshLoginChallenge {
  return { maxAge: maxAge / 1000, ...(methods && { methods }), ...(once === true && { once }) };
}
