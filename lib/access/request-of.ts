import type { ExecutionContext } from '@nestjs/common';
import type { SessionRequest, SessionResponse } from '../session/session.types.js';

/** GraphQL resolvers take (root, args, context, info). */
const GRAPHQL_CONTEXT = 2;

/** The parts of a GraphQL context or a WebSocket client that lead to the HTTP request behind it. */
interface RequestHolder {
  req?: SessionRequest;
  request?: SessionRequest;
  upgradeReq?: SessionRequest;
}

/**
 * The HTTP request behind any execution context: the request itself, the one in the GraphQL context (`{ req }`, as
 * `@nestjs/graphql` gives it by default, or `{ request }`), or the one a WebSocket was opened by (socket.io's
 * `client.request`).
 */
export function requestOf(context: ExecutionContext): SessionRequest {
  switch (context.getType<'http' | 'ws' | 'rpc' | 'graphql'>()) {
    case 'graphql':
      return requestIn(context.getArgByIndex<RequestHolder & SessionRequest>(GRAPHQL_CONTEXT));
    case 'ws':
      return requestIn(context.switchToWs().getClient<RequestHolder & SessionRequest>());
    default:
      return context.switchToHttp().getRequest<SessionRequest>();
  }
}

/** The HTTP answer that belongs to {@link requestOf}'s request. A GraphQL context may lack it, but Express's requests know it. */
export function responseOf(context: ExecutionContext): SessionResponse {
  if (context.getType<'http' | 'graphql'>() !== 'graphql') {
    return context.switchToHttp().getResponse<SessionResponse>();
  }
  const { res } = context.getArgByIndex<{ res?: SessionResponse }>(GRAPHQL_CONTEXT);
  return res ?? (requestOf(context) as SessionRequest & { res: SessionResponse }).res;
}

function requestIn(holder: RequestHolder & SessionRequest): SessionRequest {
  return holder.req ?? holder.request ?? holder.upgradeReq ?? holder;
}
