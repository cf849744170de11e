import type { Http2ServerRequest } from 'node:http2';
import type { ExecutionContext } from '@nestjs/common';
import {
  isNodeRequest,
  type RequestWithRaw,
  type SessionRequest,
  type SessionResponse,
} from '../http/session-request.js';
import { SessionUnavailableException } from '../session-auth.errors.js';
import { requestSessionOf } from '../session/request-session.js';

/** GraphQL resolvers take (root, args, context, info). */
const GRAPHQL_CONTEXT = 2;

/**
 * Whatever leads to the request behind it: the request itself (Express's, Fastify's or Node's), a GraphQL context
 * (`{ req }`, `{ request }`, `{ reply }`, and graphql-ws's `{ extra }` and `{ req: { extra } }`), or a client of a gateway
 * (a Socket.IO socket, a WebSocket of `ws`).
 *
 * @example
 * ```ts
 * @Resolver()
 * class LogoutResolver {
 *   constructor(private readonly auth: SessionAuthService) {}
 *
 *   @Mutation(() => Boolean)
 *   async logOut(@Context() context: Carrier) {
 *     await this.auth.logOut(context);
 *     return true;
 *   }
 * }
 * ```
 */
export type Carrier =
  | SessionRequest
  | Http2ServerRequest
  | RequestWithRaw
  | { req: unknown }
  | { request: unknown }
  | { reply: unknown }
  | { extra: unknown }
  | { readonly readyState: number; send: (data: string) => unknown };

/** The properties of carriers that lead to a request. What a sender says is at none of them. */
interface Leads {
  req?: { extra?: Leads } | null;
  request?: unknown;
  reply?: Leads | null;
  extra?: Leads | null;
  upgradeReq?: unknown;
  [REQUEST]?: unknown;
}

/** Where a client that does not know its request keeps it: `ws` forgets it after the handshake. */
const REQUEST = Symbol.for('nestjs-session-auth:request');

/** Lets a client lead to the request that has opened its connection. */
export function leadTo(request: SessionRequest, client: object): void {
  Object.defineProperty(client, REQUEST, { value: request, configurable: true });
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

/** The response to {@link requestOf}'s request. A GraphQL context may lack it, but the request or its session knows it. */
export function responseOf(context: ExecutionContext): SessionResponse {
  if (context.getType<'http' | 'graphql'>() !== 'graphql') {
    return context.switchToHttp().getResponse<SessionResponse>();
  }
  const { res, reply } = context.getArgByIndex<{ res?: SessionResponse; reply?: SessionResponse }>(GRAPHQL_CONTEXT);
  const request = requestOf(context) as SessionRequest & { res: SessionResponse };
  return res ?? reply ?? requestSessionOf(request)?.response ?? request.res;
}

/** The request behind a {@link Carrier}. */
export function requestIn(carrier: unknown): SessionRequest | undefined {
  const { req, request, reply, extra, upgradeReq, [REQUEST]: own } = (carrier ?? {}) as Leads;
  return [carrier, own, req, request, reply?.request, extra?.request, req?.extra?.request, upgradeReq].find(isRequest);
}

/** Whether the server made this from a connection: Node's or Express's request, or one that has Node's at `raw`. */
function isRequest(value: unknown): value is SessionRequest {
  return (
    requestSessionOf(value) !== undefined ||
    isNodeRequest(value) ||
    isNodeRequest((value as Partial<RequestWithRaw> | null | undefined)?.raw)
  );
}
