import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Http2ServerRequest } from 'node:http2';
import { Readable } from 'node:stream';
import type { Session, SessionData } from 'express-session';

/**
 * A request as this module needs it: Node's own, and so Express's. (Fastify has it at `request.raw`.) `session` is there
 * on every route that has a session, and `user` where somebody is logged in.
 *
 * @example
 * ```ts
 * @Injectable()
 * class TenantSerializer extends UserSerializer<User, number> {
 *   constructor(private readonly users: UsersService) {
 *     super();
 *   }
 *
 *   serializeUser(user: User) {
 *     return user.id;
 *   }
 *
 *   async deserializeUser(id: number, request: SessionRequest) {
 *     const user = await this.users.findById(id);
 *     return user?.tenant === request.headers.host ? user : null;
 *   }
 * }
 * ```
 */
export interface SessionRequest extends IncomingMessage {
  session?: Session & Partial<SessionData>;
  sessionID?: string;
  user?: unknown;
  /** Express: the path before routers cut it. */
  originalUrl?: string;
  /** Express: the application, and where other applications have mounted it. */
  app?: { path(): string };
  /** Express: the client's address, behind a trusted proxy too. */
  ip?: string | undefined;
  /** Express: the connection to the client is encrypted, as far as `trust proxy` can tell. */
  secure?: boolean;
  /** Fastify, by middie: `https` where the connection is encrypted, as far as `trustProxy` can tell. */
  protocol?: string;
}

/** A request that has Node's own at `raw`: Fastify's. */
export interface RequestWithRaw {
  readonly raw: IncomingMessage | Http2ServerRequest;
}

/** Whether this is Node's own request, of HTTP/1 or HTTP/2, or what Fastify's `inject()` has in place of one. */
export function isNodeRequest(value: unknown): value is SessionRequest {
  return value instanceof Readable && 'headers' in value && 'url' in value;
}

/** Node's own request: the one given, or the one that it has at `raw`. */
export function nodeRequest(request: SessionRequest | RequestWithRaw): SessionRequest {
  const { raw } = request as Partial<RequestWithRaw>;
  return isNodeRequest(raw) ? raw : (request as SessionRequest);
}

/** The response to a {@link SessionRequest}. */
export type SessionResponse = ServerResponse;

/** The scheme and the host of a request line in absolute form, which servers must accept (RFC 9112, section 3.2.2). */
const ORIGIN = /^[a-z][a-z\d+.-]*:\/\/[^/?#]*/i;

/** The path the client asked for, with its query. */
export function requestTarget(request: SessionRequest): string {
  const target = request.originalUrl ?? request.url ?? '/';
  return target.startsWith('/') ? target : target.replace(ORIGIN, '') || '/';
}

/** The path the client asked for, without its query. */
export function pathOf(request: SessionRequest): string {
  const url = requestTarget(request);
  const query = url.indexOf('?');
  return query === -1 ? url : url.slice(0, query);
}

/** Whether the client's connection is encrypted: by TLS here or, as far as the platform trusts the proxy, there. */
export function isSecure(request: SessionRequest): boolean {
  const isEncrypted = (request.socket as { encrypted?: boolean }).encrypted === true;
  return isEncrypted || (request.secure ?? request.protocol === 'https');
}

/** Whether the response goes out by HTTP/2, where a status has no text of its own. */
export function isHttp2(response: SessionResponse): boolean {
  return (response as { stream?: unknown }).stream !== undefined;
}

/** Error code: RFC 9113, section 7. Node's client takes half for the whole after CANCEL. */
const HTTP2_INTERNAL_ERROR = 2;

/** Whether the client has hung up. Node does not tell the responses of pipelined requests that still wait in line. */
export function hasHungUp(response: SessionResponse): boolean {
  const { stream } = response as { stream?: { readonly destroyed: boolean } };
  const { req } = response as { req?: { readonly socket?: { readonly destroyed?: boolean } | null } };
  return stream?.destroyed ?? (response.destroyed || req?.socket?.destroyed === true);
}

/** Ends a response so that the client knows that it is not whole. Of HTTP/2, the other streams of the connection go on. */
export function breakOff(response: SessionResponse): void {
  const { stream } = response as { stream?: { close(code: number): void } };
  if (stream === undefined) {
    response.destroy();
  } else {
    stream.close(HTTP2_INTERNAL_ERROR);
  }
}
