import {
  type CanActivate,
  type ExecutionContext,
  type HttpException,
  Inject,
  Injectable,
  Logger,
} from '@nestjs/common';
import { Reflector } from '@nestjs/core';
import type { SessionRequest } from '../http/session-request.js';
import { SessionUnavailableException } from '../session-auth.errors.js';
import { connectedSession } from '../session/connected-session.js';
import { type RequestSession, requestSessionOf } from '../session/request-session.js';
import { findRequest } from './carrier.js';
import { IS_PUBLIC } from './decorators.js';
import { guardsOn, isMarked } from './marks.js';
import { isPassive } from './passive-route.js';
import { pendingUserOf } from './pending-login.js';
import { letsThrough, refuse, reportedUnless } from './refusal.js';

const OTHER_USER =
  'A request was refused (401): its session is logged in, but other code has put somebody else, or something without the ' +
  "user's id, at req.user. Do not mix sessions with other guards that set req.user on one route.";

/**
 * Lets a request through when its user was restored from its session. Use it on a class, on a method, or for every
 * route as `{ provide: APP_GUARD, useClass: SessionGuard }`. Routes marked `@Public()` need no login.
 *
 * Without a login it responds 401, code `unauthenticated`, with the `reason` when the cookie is that of a session that
 * has ended; code `login_incomplete`, with the methods that are missing, when the login is pending (see `@PendingLogin()`). It responds 503 when that cannot be told: code `session_store_unavailable` or `user_lookup_failed`. On a
 * route that cannot have a session (excluded, outside `cookie.path`, a message of a microservice) it responds 500, code
 * `session_unavailable`, and logs once what to do. For messages it throws the same as a `WsException` or an
 * `RpcException`.
 *
 * No cache stores a response that it admitted (`Cache-Control: no-store`), unless the handler sets `Cache-Control` or
 * `Expires` itself.
 *
 * To change it, extend it and override {@link requestOf} or {@link handleDenied}.
 *
 * @example
 * ```ts
 * @Injectable()
 * class PageGuard extends SessionGuard {
 *   protected override async handleDenied(reason: HttpException, context: ExecutionContext): Promise<boolean> {
 *     if (context.switchToHttp().getRequest<Request>().accepts('html')) {
 *       throw new HttpException('See the login page', 303, { cause: reason });
 *     }
 *     return super.handleDenied(reason, context);
 *   }
 * }
 * ```
 */
@Injectable()
export class SessionGuard implements CanActivate {
  /** What has been logged: routes without a session, and messages. */
  readonly #logged = new Set<string>();

  constructor(@Inject(Reflector) protected readonly reflector: Reflector) {}

  async canActivate(context: ExecutionContext): Promise<boolean> {
    if (this.isPublic(context)) {
      return true;
    }
    const request = this.requestOf(context);
    const session = requestSessionOf(request);
    if (session === undefined) {
      this.#logUnavailable(context);
      return letsThrough(await this.handleDenied(new SessionUnavailableException(), context));
    }
    const connected = connectedSession(session);
    await connected?.confirm();
    const isLoggedIn = session.user !== undefined && this.#isUserOf(session, request?.user);
    const isPending = pendingUserOf(session, context) !== undefined && this.#isPendingUserOf(session, request?.user);
    const isAdmitted = isLoggedIn || isPending || (await this.#admitsAfterAll(session, context));
    if (isAdmitted) {
      if (connected === undefined) {
        session.caching.admit();
      } else if (!isPassive(context)) {
        connected.touch();
      }
    }
    return isAdmitted;
  }

  /** Whether the route needs no login because it is marked `@Public()`. */
  protected isPublic(context: ExecutionContext): boolean {
    const [method, route] = [context.getHandler(), context.getClass()];
    if (isMarked(IS_PUBLIC, method)) {
      return true;
    }
    return isMarked(IS_PUBLIC, route) && ![method, route].flatMap(guardsOn).some(isSessionGuard);
  }

  /** The HTTP request behind the context; `undefined` where there is none. Override it for contexts of your own. */
  protected requestOf(context: ExecutionContext): SessionRequest | undefined {
    return findRequest(context);
  }

  /**
   * Refuses a request. Override it to redirect or to respond in another form. It must throw, or return `true` to let
   * the request through after all.
   *
   * @param reason an `UnauthenticatedException`, whose `reason` tells why the session has ended; a
   * `LoginIncompleteException`; the failure behind a 503; or a `SessionUnavailableException` (500)
   */
  protected async handleDenied(reason: HttpException, context: ExecutionContext): Promise<boolean> {
    return refuse(reason, context);
  }

  #admitsAfterAll(session: RequestSession, context: ExecutionContext): Promise<boolean> {
    const reason = session.denial;
    return reportedUnless(() => this.handleDenied(reason, context), reason, session);
  }

  /**
   * Whether the handler will see the session's user at `req.user`. A guard before this one (of bearer tokens, say) may
   * have put somebody else there, for whom neither this login nor its freshness speaks.
   */
  #isUserOf(session: RequestSession, user: unknown): boolean {
    return this.#loggingOthers(session.isUser(user), user);
  }

  /** The same where the login is pending. Otherwise the code of somebody else would complete it. */
  #isPendingUserOf(session: RequestSession, user: unknown): boolean {
    return user === undefined || user === null || this.#loggingOthers(session.isPendingUser(user), user);
  }

  #loggingOthers(isUser: boolean, user: unknown): boolean {
    if (!isUser && user !== undefined && user !== null && !this.#logged.has(OTHER_USER)) {
      this.#logged.add(OTHER_USER);
      new Logger(SessionGuard.name).error(OTHER_USER);
    }
    return isUser;
  }

  /** Nobody can ever pass here, which is a mistake in the application: whoever wrote it should hear of it. */
  #logUnavailable(context: ExecutionContext): void {
    const route = `${context.getClass().name}.${context.getHandler().name}`;
    if (!this.#logged.has(route)) {
      this.#logged.add(route);
      new Logger(SessionGuard.name).error(
        `${route} is guarded, but its requests have no session, so nobody can pass (500, code session_unavailable). ` +
          'Check the options "exclude" and "cookie.path", and that SessionAuthModule is imported, or mark the route ' +
          '@Public(). Messages of a microservice never have a session.',
      );
    }
  }
}

/** Whether an entry of `@UseGuards()`, a class or an object, is a `SessionGuard` or extends it. */
export function isSessionGuard(guard: unknown): boolean {
  const prototype: unknown = typeof guard === 'function' ? guard.prototype : guard;
  return prototype === SessionGuard.prototype || prototype instanceof SessionGuard;
}
