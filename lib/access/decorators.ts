import {
  createParamDecorator,
  type CustomDecorator,
  type ExecutionContext,
  type PipeTransform,
  SetMetadata,
  type Type,
} from '@nestjs/common';
import { SessionUnavailableException } from '../session-auth.errors.js';
import { requestSessionOf } from '../session/request-session.js';
import { requestOf } from './carrier.js';

type Pipe = Type<PipeTransform> | PipeTransform;

/** Metadata key of {@link Public}. */
export const IS_PUBLIC = 'nestjs-session-auth:public';

/**
 * Opens a route behind a `SessionGuard` to everybody. `request.user` is still restored when somebody is logged in. For
 * a class or a method.
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
  const user = requestOf(context).user as Record<string, unknown> | null | undefined;
  return property === undefined ? (user ?? undefined) : user?.[property];
});

/**
 * Injects the user, or one of the user's properties, into a handler: HTTP, GraphQL or WebSocket. `undefined` where
 * nobody is logged in.
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
 * Injects the live `request.session` into a handler: HTTP, GraphQL or WebSocket.
 *
 * @throws SessionStoreUnavailableException (503) when the store could not be reached
 * @throws SessionUnavailableException (500) on a route without a session
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
    const request = requestOf(context);
    const { failure } = requestSessionOf(request) ?? {};
    if (request.session === undefined) {
      throw failure ?? new SessionUnavailableException();
    }
    return request.session;
  },
);
