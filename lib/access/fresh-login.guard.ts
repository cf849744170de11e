import { inspect } from 'node:util';
import { applyDecorators, type ExecutionContext, Inject, Injectable, SetMetadata, UseGuards } from '@nestjs/common';
import { Reflector } from '@nestjs/core';
import { isFor } from '../http/page-request.js';
import { seeOther } from '../http/redirect.js';
import { pathOfThisSite } from '../http/site-path.js';
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
import { requestOf, responseOf } from './carrier.js';
import { keepRequest } from './kept-request.js';
import { letsThrough, reportedUnless } from './refusal.js';
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
  /**
   * For page applications: the path on this site where users prove again who they are, as in `'/confirm'` (a global
   * prefix included). A browser that loads a page, by a link or by an URL-encoded form, is redirected there (303), and
   * what it wanted is kept for `SessionAuthService.takeKeptRequest()`. All others get the 401, and so does that page
   * itself where it is marked, too: leave it unmarked. Default: 401 for all.
   */
  proveAt?: string;
  /**
   * With `proveAt`, the fields of a form that may be kept, in the session, so that users need not fill it in again within
   * five minutes (WCAG 2.2.5). After that they leave the store with the session's next use, or with its end. Never name
   * secrets, such as a new password. `a` is also `a[]` and `a[b]`. Default: none.
   */
  keepFields?: string[];
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
  { methods, once, proveAt, keepFields }: RequireFreshLoginOptions = {},
): ClassDecorator & MethodDecorator {
  checkWords('methods', methods, 'password');
  checkWords('keepFields', keepFields, 'iban');
  const requirement: Requirement = {
    maxAge: milliseconds('@RequireFreshLogin', duration),
    methods,
    once,
    proveAt: checkedPath(proveAt),
    keepFields,
  };
  return applyDecorators(SetMetadata(FRESHNESS, requirement), UseGuards(FreshLoginGuard));
}

/** What a route asks, and where it sends the users of pages. */
interface Requirement extends FreshnessRequirement {
  readonly proveAt: string | undefined;
  readonly keepFields: readonly string[] | undefined;
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
    const reason = new FreshLoginRequiredException(challengeOf(requirement));
    if (session === undefined) {
      return letsThrough(await this.handleDenied(reason, context));
    }
    const handleDenied = async () => {
      await (session.user !== undefined && this.sendToProof(reason, session, requirement, context));
      return this.handleDenied(reason, context);
    };
    return reportedUnless(handleDenied, reason, session);
  }

  /** Sends the user of a page where the route says, and does not settle then: the response is done. */
  private async sendToProof(
    reason: FreshLoginRequiredException,
    session: RequestSession,
    requirement: Requirement,
    context: ExecutionContext,
  ): Promise<void> {
    const { proveAt, keepFields = [] } = requirement;
    if (proveAt === undefined || context.getType<string>() !== 'http') {
      return;
    }
    const request = requestOf(context);
    if (!isFor(proveAt, request) && (await keepRequest(request, session, keepFields))) {
      session.reportRefusal(reason);
      seeOther(responseOf(context), proveAt);
      await new Promise(() => undefined);
    }
  }

  /** A route that asks for a fresh login is never public. */
  protected override isPublic(context: ExecutionContext): boolean {
    return this.requirementOf(context) === undefined && super.isPublic(context);
  }

  private requirementOf(context: ExecutionContext): Requirement | undefined {
    return this.reflector.getAllAndOverride<Requirement | undefined>(FRESHNESS, [
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
function checkWords(option: string, words: unknown, example: string): void {
  const isList = Array.isArray(words) && words.every((word) => typeof word === 'string' && word !== '');
  if (words !== undefined && !isList) {
    throw new SessionAuthConfigurationError(
      'invalid_option',
      `@RequireFreshLogin: ${option} is no list of words. As in { ${option}: ['${example}'] }.`,
    );
  }
}

function checkedPath(proveAt: unknown): string | undefined {
  const path = pathOfThisSite(proveAt);
  if (proveAt !== undefined && path === undefined) {
    throw new SessionAuthConfigurationError(
      'invalid_option',
      `@RequireFreshLogin: proveAt is ${inspect(proveAt)}, which is no path of this site. As in { proveAt: '/confirm' }.`,
    );
  }
  return path;
}

/** What the client is told. */
function challengeOf({ maxAge, methods, once }: FreshnessRequirement): FreshLoginChallenge {
  return { maxAge: maxAge / 1000, ...(methods && { methods }), ...(once === true && { once }) };
}
