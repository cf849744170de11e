import { type CanActivate, type ExecutionContext, type HttpException, Inject, Injectable } from '@nestjs/common';
import { Reflector } from '@nestjs/core';
import { UnauthenticatedException } from '../session-auth.errors.js';
import { requestSessionOf } from '../session/request-session.js';
import type { SessionRequest } from '../session/session.types.js';
import { IS_PUBLIC } from './decorators.js';
import { requestOf } from './request-of.js';

/**
 * Lets a request through when its user was restored from its session. Use it on a class, on a method, or for every route
 * as `{ provide: APP_GUARD, useClass: SessionGuard }`; `@Public()` routes need no login.
 *
 * Answers 401 (code `unauthenticated`) without a login, and 503 when nobody can tell: code `session_store_unavailable`
 * or `user_lookup_failed`. Over WebSocket the same as a `WsException`; over GraphQL Nest turns it into its error form.
 *
 * To differ, extend it and override {@link requestOf} or {@link handleDenied}.
 */
@Injectable()
export class SessionGuard implements CanActivate {
  constructor(@Inject(Reflector) protected readonly reflector: Reflector) {}

  async canActivate(context: ExecutionContext): Promise<boolean> {
    if (this.reflector.getAllAndOverride<boolean>(IS_PUBLIC, [context.getHandler(), context.getClass()])) {
      return true;
    }
    const request = this.requestOf(context);
    const session = requestSessionOf(request);
    if (session?.user !== undefined && request.user !== undefined && request.user !== null) {
      return true;
    }
    return this.handleDenied(session?.guardFailure ?? new UnauthenticatedException(), context);
  }

  /** The HTTP request behind the context. Override it for a context of your own. */
  protected requestOf(context: ExecutionContext): SessionRequest {
    return requestOf(context);
  }

  /**
   * Turns a request away. Override it to redirect, or to answer in another form; whatever it does, it must throw, or
   * answer `true` to let the request through after all.
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
