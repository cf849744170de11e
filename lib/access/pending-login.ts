import { type CustomDecorator, type ExecutionContext, SetMetadata } from '@nestjs/common';
import type { RequestSession } from '../session/request-session.js';
import { isMarked } from './marks.js';

const ADMITS_PENDING = 'nestjs-session-auth:pending-login';

/**
 * Opens a route behind a `SessionGuard` or a `LoginGuard` to users whose login is not complete, besides those who are
 * logged in. There, `@CurrentUser()` and a strategy's `request.user` are the user whose login it is. Everywhere else
 * such a user is nobody, and so they are over an open connection.
 *
 * For a method, or for the routes of that very class (inherited methods included, those of its subclasses not).
 *
 * @example
 * ```ts
 * @Controller('login')
 * class LoginController {
 *   constructor(
 *     private readonly auth: SessionAuthService,
 *     private readonly users: UsersService,
 *   ) {}
 *
 *   @Post()
 *   @UseGuards(LoginGuard('local', { method: 'password', pending: ['totp'] }))
 *   begin() {}
 *
 *   @Post('totp')
 *   @PendingLogin()
 *   @UseGuards(SessionGuard)
 *   async complete(@Req() request: Request, @CurrentUser() user: User, @Body('code') code: string) {
 *     if (!(await this.users.verifyCode(user.id, code))) throw new UnauthorizedException();
 *     await this.auth.completeLogin(request, 'totp');
 *   }
 * }
 * ```
 */
export const PendingLogin = (): CustomDecorator => SetMetadata(ADMITS_PENDING, true);

/** Whether the route is marked. */
export function admitsPending(context: ExecutionContext): boolean {
  return [context.getHandler(), context.getClass()].some((target) => isMarked(ADMITS_PENDING, target));
}

/** The user whose login is pending, where the route is marked. */
export function pendingUserOf(session: RequestSession | undefined, context: ExecutionContext): unknown {
  const user = session?.pendingUser;
  return user !== undefined && admitsPending(context) ? user : undefined;
}
