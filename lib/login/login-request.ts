import type { ExecutionContext } from '@nestjs/common';
import type { SessionRequest } from '../http/session-request.js';

/** GraphQL resolvers take (root, args, context, info). */
const GRAPHQL_ARGUMENTS = 1;

/**
 * The request as a login sees it. The body of a GraphQL request is the operation, so the field's arguments stand in for
 * it, and the fields of an argument `input`. All else is the request's own, also what is set there.
 */
export function loginRequestOf(request: SessionRequest, context: ExecutionContext): SessionRequest {
  if (context.getType<'http' | 'graphql'>() !== 'graphql') {
    return request;
  }
  const given = context.getArgByIndex<{ input?: object | null }>(GRAPHQL_ARGUMENTS);
  const body = { ...given.input, ...given };
  return new Proxy(request, {
    get: (target, property): unknown => (property === 'body' ? body : Reflect.get(target, property)),
  });
}
