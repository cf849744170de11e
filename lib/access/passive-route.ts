import { applyDecorators, type CanActivate, type ExecutionContext, Injectable, UseGuards } from '@nestjs/common';
import { requestSessionOf } from '../session/request-session.js';
import { findRequest } from './carrier.js';

/** The guard behind {@link PassiveRoute}. It lets everybody through. */
@Injectable()
class PassiveRouteGuard implements CanActivate {
  canActivate(context: ExecutionContext): boolean {
    requestSessionOf(findRequest(context))?.markPassive();
    return true;
  }
}

/**
 * Requests to this route do not count as activity: they do not postpone the session's end. For what a page polls while
 * its user may be away. For a class or a method; the subclasses of a marked class are marked too.
 *
 * @example
 * ```ts
 * @Controller('session')
 * @UseGuards(SessionGuard)
 * class SessionController {
 *   constructor(private readonly auth: SessionAuthService) {}
 *
 *   @Get()
 *   @PassiveRoute()
 *   remaining(@Req() request: Request) {
 *     return { endsAt: this.auth.current(request).expiresAt };
 *   }
 * }
 * ```
 */
export const PassiveRoute = (): ClassDecorator & MethodDecorator => applyDecorators(UseGuards(PassiveRouteGuard));
