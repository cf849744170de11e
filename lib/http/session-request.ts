import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Session, SessionData } from 'express-session';

/**
 * A request as this module needs it: Node's own, and so Express's. `session` is there on every route that has a
 * session, and `user` where somebody is logged in.
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
  /** Express: the client's address, behind a trusted proxy too. */
  ip?: string | undefined;
  /** Express: the connection to the client is encrypted, as far as `trust proxy` can tell. */
  secure?: boolean;
}

/** The response to a {@link SessionRequest}. */
export type SessionResponse = ServerResponse;

/** The scheme and the host of a request line in absolute form, which servers must accept (RFC 9112, section 3.2.2). */
const ORIGIN = /^[a-z][a-z\d+.-]*:\/\/[^/?#]*/i;

/** The path the client asked for, without its query. */
export function pathOf(request: SessionRequest): string {
  const target = request.originalUrl ?? request.url ?? '/';
  const url = target.startsWith('/') ? target : target.replace(ORIGIN, '') || '/';
  const query = url.indexOf('?');
  return query === -1 ? url : url.slice(0, query);
}

/** Whether the client's connection is encrypted: by TLS here or, by Express's `trust proxy`, at the proxy. */
export function isSecure(request: SessionRequest): boolean {
  return (request.socket as { encrypted?: boolean }).encrypted === true || request.secure === true;
}
