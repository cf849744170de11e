import { applyDecorators, type CanActivate, type ExecutionContext, Injectable, UseGuards } from '@nestjs/common';
import { requestSessionOf } from '../session/request-session.js';
import { requestOf } from './request-of.js';

/** The guard behind {@link PassiveRoute}: it lets everybody through. */
@Injectable()
class PassiveRouteGuard implements CanActivate {
  canActivate(context: ExecutionContext): boolean {
    requestSessionOf(requestOf(context))?.markPassive();
    return true;
  }
}

/**
 * Requests to this handler, or to each of this controller, do not count as activity: they neither put the session's end
 * off nor renew its cookie's expiry. For what a page polls while its user may be away, such as the remaining time.
 */
export const PassiveRoute = (): ClassDecorator & MethodDecorator => applyDecorators(UseGuards(PassiveRouteGuard));
