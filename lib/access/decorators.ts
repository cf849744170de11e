import {
  createParamDecorator,
  type ExecutionContext,
  type PipeTransform,
  SetMetadata,
  type CustomDecorator,
  type Type,
} from '@nestjs/common';
import { SessionUnavailableException } from '../session-auth.errors.js';
import { requestSessionOf } from '../session/request-session.js';
import { requestOf } from './request-of.js';

type Pipe = Type<PipeTransform> | PipeTransform;

/** Metadata key of {@link Public}. */
export const IS_PUBLIC = 'nestjs-session-auth:public';

/** No login is needed here; `request.user` is still restored when there is one. For a class or a method. */
export const Public = (): CustomDecorator => SetMetadata(IS_PUBLIC, true);

const currentUser = createParamDecorator((property: string | undefined, context: ExecutionContext): unknown => {
  const user = requestOf(context).user as Record<string, unknown> | null | undefined;
  return property === undefined ? (user ?? undefined) : user?.[property];
});

/**
 * The user, or one property of theirs, in HTTP, GraphQL and WebSocket handlers. Composes with pipes:
 * `@CurrentUser('id', ParseIntPipe) id: number`. `undefined` where nobody is logged in.
 */
export function CurrentUser(property?: string | Pipe, ...pipes: Pipe[]): ParameterDecorator {
  return currentUser(...([property, ...pipes].filter((one) => one !== undefined) as [string, ...Pipe[]]));
}

/**
 * The live `request.session`, in HTTP, GraphQL and WebSocket handlers.
 *
 * @throws SessionStoreUnavailableException (503) when the store could not be reached
 * @throws SessionUnavailableException (500) on a route without a session
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
