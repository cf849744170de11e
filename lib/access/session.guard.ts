import { type CanActivate, type ExecutionContext, type HttpException, Inject, Injectable } from '@nestjs/common';
import { Reflector } from '@nestjs/core';
import { UnauthenticatedException } from '../session-auth.errors.js';
import { requestSessionOf } from '../session/request-session.js';
import type { SessionRequest } from '../session/session.types.js';
import { IS_PUBLIC } from './decorators.js';
import { requestOf } from './request-of.js';

/**
 * Lets a request through when its user was restored from its session. Use it on a class, on a method, or for every
 * route as `{ provide: APP_GUARD, useClass: SessionGuard }`; `@Public()` routes need no login.
 *
 * Answers 401 (code `unauthenticated`, and the `reason` where the cookie is that of a session that has ended) without a
 * login, and 503 when nobody can tell: code `session_store_unavailable` or `user_lookup_failed`. Over WebSocket the
 * same as a `WsException`; over GraphQL Nest turns it into its error form.
 *
 * To differ, extend it and override {@link requestOf} or {@link handleDenied}.
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
    const reason = session?.guardFailure ?? new UnauthenticatedException(await session?.whySignedOut());
    return this.handleDenied(reason, context);
  }

  /** Whether the route needs no login: it is marked `@Public()`. */
  protected isPublic(context: ExecutionContext): boolean {
    const marked = this.reflector.getAllAndOverride<boolean | undefined>(IS_PUBLIC, [
      context.getHandler(),
      context.getClass(),
    ]);
    return marked === true;
  }

  /** The HTTP request behind the context. Override it for a context of your own. */
  protected requestOf(context: ExecutionContext): SessionRequest {
    return requestOf(context);
  }

  /**
   * Turns a request away. Override it to redirect, or to answer in another form; whatever it does, it must throw, or
   * answer `true` to let the request through after all. An `UnauthenticatedException` says by its `reason` why the
   * session has ended, where that is known.
   */
  protected async handleDenied(reason: HttpException, context: ExecutionContext): Promise<boolean> {
    if (context.getType() === 'ws') {
      // Installed wherever there is a WebSocket context; never loaded where there is none.
      const { WsException } = await import('@nestjs/websockets');
      throw new WsException(reason.getResponse());
    }
    throw reason;
  }
}
