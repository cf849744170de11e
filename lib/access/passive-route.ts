import { applyDecorators, type CanActivate, type ExecutionContext, Injectable, UseGuards } from '@nestjs/common';
import { GUARDS_METADATA } from '@nestjs/common/constants.js';
import { connectedSession } from '../session/connected-session.js';
import { requestSessionOf } from '../session/request-session.js';
import { findRequest } from './carrier.js';

/** The guard behind {@link PassiveRoute}. It lets everybody through. */
@Injectable()
class PassiveRouteGuard implements CanActivate {
  canActivate(context: ExecutionContext): boolean {
    const session = requestSessionOf(findRequest(context));
    if (connectedSession(session) === undefined) {
      session?.markPassive(); // A message of an open connection is not its request: see isPassive().
    }
    return true;
  }
}

/** Whether the route, or the handler of a message, is marked. Metadata tell, since its guard may come after others. */
export function isPassive(context: ExecutionContext): boolean {
  return [context.getHandler(), context.getClass()].some((target) => {
    const guards: unknown = Reflect.getMetadata(GUARDS_METADATA, target);
    return Array.isArray(guards) && guards.includes(PassiveRouteGuard);
  });
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
