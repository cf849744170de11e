import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Session, SessionData } from 'express-session';

/**
 * A request as this module needs it: Node's own. Express's and, by its `raw`, Fastify's fit. `session` and `user` are
 * there on every route that has a session.
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

/** The answer to a {@link SessionRequest}. */
export type SessionResponse = ServerResponse;

/** What is remembered of the device a user logged in on. */
export interface Device {
  ip?: string;
  userAgent?: string;
  /** A name of your own, such as "Ada's phone". */
  label?: string;
}

/** A session as its owner may see it: nothing in here lets anybody in. */
export interface SessionInfo {
  /** Public name of the session: for device lists, logs and revocation. */
  readonly handle: string;
  /** When this session was issued. */
  readonly createdAt: Date;
  /** When the user last proved who they are. */
  readonly authenticatedAt: Date;
  /** When it was last seen in use, to the precision of `lifetime.touchEvery`. */
  readonly seenAt: Date;
  /** When it ends unless it is used before. */
  readonly expiresAt: Date;
  readonly device: Device;
}
