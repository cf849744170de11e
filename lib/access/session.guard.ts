import { type CanActivate, type ExecutionContext, type HttpException, Inject, Injectable } from '@nestjs/common';
import { Reflector } from '@nestjs/core';
import type { SessionRequest } from '../http/session-request.js';
import { UnauthenticatedException } from '../session-auth.errors.js';
import { requestSessionOf } from '../session/request-session.js';
import { requestOf } from './carrier.js';
import { IS_PUBLIC } from './decorators.js';

/**
 * Lets a request through when its user was restored from its session. Use it on a class, on a method, or for every
 * route as `{ provide: APP_GUARD, useClass: SessionGuard }`. Routes marked `@Public()` need no login.
 *
 * Without a login it responds 401, code `unauthenticated`, with the `reason` when the cookie is that of a session that
 * has ended. It responds 503 when that cannot be told: code `session_store_unavailable` or `user_lookup_failed`. Over
 * WebSocket it throws the same as a `WsException`.
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
  constructor(@Inject(Reflector) protected readonly reflector: Reflector) {}

  async canActivate(context: ExecutionContext): Promise<boolean> {
    if (this.isPublic(context)) {
      return true;
    }
    const request = this.requestOf(context);
    const session = requestSessionOf(request);
    if (session?.user !== undefined && request.user !== undefined && request.user !== null) {
      return true;
    }
    const reason = session?.guardFailure ?? new UnauthenticatedException(session?.signOutReason);
    return this.handleDenied(reason, context);
  }

  /** Whether the route needs no login because it is marked `@Public()`. */
  protected isPublic(context: ExecutionContext): boolean {
    const marked = this.reflector.getAllAndOverride<boolean | undefined>(IS_PUBLIC, [
      context.getHandler(),
      context.getClass(),
    ]);
    return marked === true;
  }

  /** The HTTP request behind the context. Override it for contexts of your own. */
  protected requestOf(context: ExecutionContext): SessionRequest {
    return requestOf(context);
  }

  /**
   * Refuses a request. Override it to redirect or to respond in another form. It must throw, or return `true` to let
   * the request through after all.
   *
   * @param reason an `UnauthenticatedException`, whose `reason` tells why the session has ended, or the failure behind
   * a 503
   */
  protected async handleDenied(reason: HttpException, context: ExecutionContext): Promise<boolean> {
    if (context.getType() === 'ws') {
      // An optional peer: installed wherever there is a WebSocket context, and not loaded elsewhere.
      const { WsException } = await import('@nestjs/websockets');
      throw new WsException(reason.getResponse());
    }
    throw reason;
  }
}
