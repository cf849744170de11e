import {
  createParamDecorator,
  type CustomDecorator,
  type ExecutionContext,
  type PipeTransform,
  SetMetadata,
  type Type,
} from '@nestjs/common';
import { SessionUnavailableException } from '../session-auth.errors.js';
import { connectedSession } from '../session/connected-session.js';
import { requestSessionOf } from '../session/request-session.js';
import { findRequest } from './carrier.js';
import { pendingUserOf } from './pending-login.js';
import { refuse, requestOrRefuse } from './refusal.js';

type Pipe = Type<PipeTransform> | PipeTransform;

/** Metadata key of {@link Public}. */
export const IS_PUBLIC = 'nestjs-session-auth:public';

/**
 * Opens a route behind a `SessionGuard` to everybody. `request.user` is still restored when somebody is logged in.
 *
 * On a method it opens that method, wherever the guard stands. On a class it opens the routes of that very class,
 * inherited methods included, and not those of its subclasses. There a `SessionGuard` on the class itself or on the
 * method wins over it.
 *
 * @example
 * ```ts
 * @Controller('articles')
 * @UseGuards(SessionGuard)
 * class ArticlesController {
 *   @Get()
 *   @Public()
 *   list(@CurrentUser() user: User | undefined) {
 *     return user ? 'all articles' : 'free articles';
 *   }
 * }
 * ```
 */
export const Public = (): CustomDecorator => SetMetadata(IS_PUBLIC, true);

const currentUser = createParamDecorator((property: string | undefined, context: ExecutionContext): unknown => {
  if (context.getType() === 'rpc') {
    return requestOrRefuse(context);
  }
  const request = findRequest(context);
  const user = (request?.user ?? pendingUserOf(requestSessionOf(request), context)) as
    Record<string, unknown> | null | undefined;
  return property === undefined ? (user ?? undefined) : user?.[property];
});

/**
 * Injects the user, or one of the user's properties, into a handler: HTTP, GraphQL or WebSocket. `undefined` where
 * nobody is logged in. Never anything that a caller sent. A handler of microservice messages has no user: there it
 * throws an `RpcException`, code `session_unavailable`.
 *
 * The user is `request.user` of the HTTP request: who was restored from the session or logged in by this request, or
 * whom a guard of yours has put there (a bearer token's, for example). On a route marked `@PendingLogin()` it may be the
 * user whose login is not complete.
 *
 * @param property a property of the user, or the first pipe
 * @param pipes applied to the value
 *
 * @example
 * ```ts
 * @Controller('me')
 * @UseGuards(SessionGuard)
 * class MeController {
 *   @Get()
 *   me(@CurrentUser() user: User) {
 *     return user;
 *   }
 *
 *   @Get('id')
 *   id(@CurrentUser('id', ParseIntPipe) id: number) {
 *     return { id };
 *   }
 * }
 * ```
 */
export function CurrentUser(property?: string | Pipe, ...pipes: Pipe[]): ParameterDecorator {
  return currentUser(...([property, ...pipes].filter((one) => one !== undefined) as [string, ...Pipe[]]));
}

/**
 * Injects the live `request.session` into a handler: HTTP or GraphQL. For a message of an open connection it is a frozen
 * copy of the session's data and its `id`: change the data by `SessionAuthService`.
 *
 * @throws SessionStoreUnavailableException (503) when the store could not be reached
 * @throws SessionUnavailableException (500) on a route without a session; a `WsException` or `RpcException` of the same
 * code where there is a message
 *
 * @example
 * ```ts
 * @Controller('cart')
 * class CartController {
 *   @Post('items')
 *   add(@CurrentSession() session: Session & { items?: string[] }, @Body('item') item: string) {
 *     session.items = [...(session.items ?? []), item]; // Saved before the response goes out.
 *     return session.items;
 *   }
 * }
 * ```
 */
export const CurrentSession: () => ParameterDecorator = createParamDecorator(
  (_: unknown, context: ExecutionContext) => {
    const request = findRequest(context);
    const session = requestSessionOf(request);
    const connected = connectedSession(session);
    const failure = session?.failure;
    if (connected !== undefined && failure === undefined) {
      return connected.frozenData;
    }
    return (
      (connected === undefined ? request?.session : undefined) ??
      refuse(failure ?? new SessionUnavailableException(), context)
    );
  },
);
