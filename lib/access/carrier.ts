import type { ExecutionContext } from '@nestjs/common';
import type { SessionRequest, SessionResponse } from '../http/session-request.js';

/** GraphQL resolvers take (root, args, context, info). */
const GRAPHQL_CONTEXT = 2;

/** The properties of a GraphQL context or a WebSocket client that lead to the HTTP request behind it. */
interface Carrier {
  req?: SessionRequest;
  request?: SessionRequest;
  upgradeReq?: SessionRequest;
}

/**
 * The HTTP request behind an execution context: the request itself, the one in the GraphQL context (`{ req }`, as
 * `@nestjs/graphql` has it by default, or `{ request }`), or the one that opened a WebSocket (Socket.IO's
 * `client.request`).
 */
export function requestOf(context: ExecutionContext): SessionRequest {
  switch (context.getType<'http' | 'ws' | 'rpc' | 'graphql'>()) {
    case 'graphql':
      return requestIn(context.getArgByIndex<Carrier & SessionRequest>(GRAPHQL_CONTEXT));
    case 'ws':
      return requestIn(context.switchToWs().getClient<Carrier & SessionRequest>());
    default:
      return context.switchToHttp().getRequest<SessionRequest>();
  }
}

/** The response to {@link requestOf}'s request. A GraphQL context may lack it, but Express's requests know it. */
export function responseOf(context: ExecutionContext): SessionResponse {
  if (context.getType<'http' | 'graphql'>() !== 'graphql') {
    return context.switchToHttp().getResponse<SessionResponse>();
  }
  const { res } = context.getArgByIndex<{ res?: SessionResponse }>(GRAPHQL_CONTEXT);
  return res ?? (requestOf(context) as SessionRequest & { res: SessionResponse }).res;
}

function requestIn(carrier: Carrier & SessionRequest): SessionRequest {
  return carrier.req ?? carrier.request ?? carrier.upgradeReq ?? carrier;
}
