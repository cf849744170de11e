import { applyDecorators, type ExecutionContext, Inject, Injectable, SetMetadata, UseGuards } from '@nestjs/common';
import { Reflector } from '@nestjs/core';
import { type Clock, SESSION_CLOCK } from '../model/clock.js';
import { type FreshnessRequirement, isFresh, spent } from '../model/freshness.js';
import {
  type FreshLoginChallenge,
  FreshLoginRequiredException,
  SessionAuthConfigurationError,
} from '../session-auth.errors.js';
import type { Duration } from '../session-auth.options.js';
import { type RequestSession, requestSessionOf } from '../session/request-session.js';
import { milliseconds } from '../validation/duration.js';
import { letsThrough } from './refusal.js';
import { SessionGuard } from './session.guard.js';

const FRESHNESS = 'nestjs-session-auth:freshness';

/**
 * Further requirements of `@RequireFreshLogin()`.
 *
 * @example
 * ```ts
 * // Each payment needs a new proof by passkey.
 * const payment: RequireFreshLoginOptions = { methods: ['webauthn'], once: true };
 *
 * @Controller('payments')
 * @UseGuards(SessionGuard)
 * class PaymentsController {
 *   @Post()
 *   @RequireFreshLogin('2m', payment)
 *   pay() {
 *     return 'paid';
 *   }
 * }
 * ```
 */
export interface RequireFreshLoginOptions {
  /** Only these methods count: the words given to `logIn()`, `LoginGuard()` or `reauthenticate()`. Default: all. */
  methods?: string[];
  /**
   * One proof is good for one execution, even of several at the same time: one request, one message over a WebSocket,
   * one GraphQL field. When the guard lets the execution through, it uses up all proofs until then by the methods that
   * count, so that a login by password and code passes once.
   */
  once?: boolean;
}

/**
 * Step-up: the route is for users who proved who they are within this time. Others get 401, code
 * `fresh_login_required`, with `maxAge` (in seconds), `methods` and `once` in the body. Let them prove it, call
 * `SessionAuthService.reauthenticate()`, and send the request again. Without a login it is 401, code `unauthenticated`.
 *
 * Freshness counts from the login or the step-up (OWASP ASVS 7.5.1), never from activity or rotation. A remembered
 * login (`remember`) is not fresh. For a class or a method; a method's mark replaces its class's. The subclasses of a
 * marked class are marked too, also those marked `@Public()`.
 *
 * @param duration longest time since the proof
 *
 * @example
 * ```ts
 * @Controller('account')
 * @UseGuards(SessionGuard)
 * class AccountController {
 *   @Delete()
 *   @RequireFreshLogin('5m', { methods: ['password', 'webauthn'] })
 *   close() {
 *     return 'closed';
 *   }
 * }
 * ```
 */
export function RequireFreshLogin(
  duration: Duration,
  { methods, once }: RequireFreshLoginOptions = {},
): ClassDecorator & MethodDecorator {
  checkMethods(methods);
  const requirement: FreshnessRequirement = { maxAge: milliseconds('@RequireFreshLogin', duration), methods, once };
  return applyDecorators(SetMetadata(FRESHNESS, requirement), UseGuards(FreshLoginGuard));
}

/**
 * The guard behind {@link RequireFreshLogin}. Where no mark stands, it is a `SessionGuard`.
 *
 * @example
 * ```ts
 * const moduleRef = await Test.createTestingModule({ imports: [AppModule] })
 *   .overrideGuard(FreshLoginGuard)
 *   .useValue({ canActivate: () => true })
 *   .compile();
 * ```
 */
@Injectable()
export class FreshLoginGuard extends SessionGuard {
  constructor(
    @Inject(Reflector) reflector: Reflector,
    @Inject(SESSION_CLOCK) private readonly clock: Clock,
  ) {
    super(reflector);
  }

  override async canActivate(context: ExecutionContext): Promise<boolean> {
    const isLoggedIn = await super.canActivate(context);
    const requirement = this.requirementOf(context);
    const session = requestSessionOf(this.requestOf(context));
    if (requirement === undefined || (session !== undefined && (await this.passes(session, requirement, context)))) {
      return isLoggedIn;
    }
    return letsThrough(await this.handleDenied(new FreshLoginRequiredException(challengeOf(requirement)), context));
  }

  /** A route that asks for a fresh login is never public. */
  protected override isPublic(context: ExecutionContext): boolean {
    return this.requirementOf(context) === undefined && super.isPublic(context);
  }

  private requirementOf(context: ExecutionContext): FreshnessRequirement | undefined {
    return this.reflector.getAllAndOverride<FreshnessRequirement | undefined>(FRESHNESS, [
      context.getHandler(),
      context.getClass(),
    ]);
  }

  /** Whether the login is as fresh as required. A proof that is good for one request is used up. */
  private async passes(
    session: RequestSession,
    requirement: FreshnessRequirement,
    context: ExecutionContext,
  ): Promise<boolean> {
    const execution = context.getArgs(); // Nest makes one array for each, and all its guards get that.
    if (requirement.once === true && session.spentIn.has(execution)) {
      return true; // Marked at class and method, the route is checked twice.
    }
    const login = session.record?.login;
    const fresh = login !== undefined && isFresh(login, requirement, this.clock.now());
    if (!fresh || requirement.once !== true) {
      return fresh;
    }
    const isSpent = await session.amend(({ login: current }) => {
      const used = current && spent(current, requirement, this.clock.now());
      return used && { login: used };
    });
    if (isSpent) {
      session.spentIn.add(execution);
    }
    return isSpent;
  }
}

/** A text would match by its parts. */
function checkMethods(methods: unknown): void {
  const isList = Array.isArray(methods) && methods.every((method) => typeof method === 'string' && method !== '');
  if (methods !== undefined && !isList) {
    throw new SessionAuthConfigurationError(
      'invalid_option',
      "@RequireFreshLogin: methods is no list of words. As in { methods: ['password'] }.",
    );
  }
}

/** What the client is told. */
function challengeOf({ maxAge, methods, once }: FreshnessRequirement): FreshLoginChallenge {
  return { maxAge: maxAge / 1000, ...(methods && { methods }), ...(once === true && { once }) };
}
