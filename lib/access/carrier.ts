import { IncomingMessage } from 'node:http';
import type { ExecutionContext } from '@nestjs/common';
import type { SessionRequest, SessionResponse } from '../http/session-request.js';
import { SessionUnavailableException } from '../session-auth.errors.js';
import { requestSessionOf } from '../session/request-session.js';

/** GraphQL resolvers take (root, args, context, info). */
const GRAPHQL_CONTEXT = 2;

/** The properties of a GraphQL context or a WebSocket client that lead to the HTTP request behind it. */
interface Carrier {
  req?: unknown;
  request?: unknown;
  upgradeReq?: unknown;
}

/**
 * The HTTP request behind an execution context: the request itself, the one in the GraphQL context (`{ req }`, as
 * `@nestjs/graphql` has it by default, or `{ request }`), or the one that opened a WebSocket (Socket.IO's
 * `client.request`). `undefined` where there is none: never a message, a payload or anything else that a caller sent.
 */
export function findRequest(context: ExecutionContext): SessionRequest | undefined {
  switch (context.getType<'http' | 'ws' | 'rpc' | 'graphql'>()) {
    case 'http':
      return context.switchToHttp().getRequest<SessionRequest>();
    case 'graphql':
      return requestIn(context.getArgByIndex(GRAPHQL_CONTEXT));
    case 'ws':
      return requestIn(context.switchToWs().getClient());
    case 'rpc':
      return undefined; // What a message brings with it is the sender's.
    default:
      return requestIn(context.getArgByIndex(0));
  }
}

/**
 * The same, for those who need one.
 *
 * @throws SessionUnavailableException where there is no request
 */
export function requestOf(context: ExecutionContext): SessionRequest {
  const request = findRequest(context);
  if (request === undefined) {
    throw new SessionUnavailableException();
  }
  return request;
}

/** The response to {@link requestOf}'s request. A GraphQL context may lack it, but Express's requests know it. */
export function responseOf(context: ExecutionContext): SessionResponse {
  if (context.getType<'http' | 'graphql'>() !== 'graphql') {
    return context.switchToHttp().getResponse<SessionResponse>();
  }
  const { res } = context.getArgByIndex<{ res?: SessionResponse }>(GRAPHQL_CONTEXT);
  return res ?? (requestOf(context) as SessionRequest & { res: SessionResponse }).res;
}

function requestIn(carrier: Carrier | null | undefined): SessionRequest | undefined {
  return [carrier?.req, carrier?.request, carrier?.upgradeReq, carrier].find(isRequest);
}

/** Whether the server made this from a connection: Node's or Express's request, or one that has Node's at `raw`. */
function isRequest(value: unknown): value is SessionRequest {
  return (
    requestSessionOf(value) !== undefined ||
    value instanceof IncomingMessage ||
    (value as { raw?: unknown } | null | undefined)?.raw instanceof IncomingMessage
  );
}
