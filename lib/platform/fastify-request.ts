/* `User` below is Express.User, which @types/passport declares. */
/// <reference types="passport" preserve="true" />
import type { Session, SessionData, Store } from 'express-session';
// Finds the module that is added to below. In what is built there is nothing of it.
import type {} from 'fastify';
import type { PassportLogInOptions } from '../login/passport-request.js';

/**
 * What Fastify's requests have of this module, as Express's have it: the session, the user, and Passport's methods.
 *
 * @example
 * ```ts
 * @Controller('newsletter')
 * class NewsletterController {
 *   @Post()
 *   subscribe(@Req() request: FastifySessionRequest) {
 *     Object.assign(request.session, { subscribed: true });
 *     return { by: request.user };
 *   }
 * }
 * ```
 */
export interface FastifySessionRequest {
  session: Session & Partial<SessionData>;
  readonly sessionID: string;
  readonly sessionStore: Store;
  user?: Express.User;
  /** Logs the user in on a new session, which is stored when the promise resolves. */
  logIn(user: Express.User, options?: PassportLogInOptions): Promise<void>;
  /** The same as `logIn`. */
  login(user: Express.User, options?: PassportLogInOptions): Promise<void>;
  /** Ends the session. The store has ended it when the promise resolves. */
  logOut(options?: { keepSessionInfo?: boolean }): Promise<void>;
  /** The same as `logOut`. */
  logout(options?: { keepSessionInfo?: boolean }): Promise<void>;
  isAuthenticated(): boolean;
  isUnauthenticated(): boolean;
}

/* Fastify is an optional peer. Without it this declares nothing: in declaration files that is no error. */
declare module 'fastify' {
  // eslint-disable-next-line @typescript-eslint/no-empty-object-type -- adds what the other has
  interface FastifyRequest extends FastifySessionRequest {}
}
