import type { Logger } from '@nestjs/common';
import type { Store } from 'express-session';
import type { ResolvedSessionAuthOptions } from '../session-auth.options.js';
import type { Clock } from './clock.js';
import type { LifetimePolicy } from './lifetime-policy.js';
import type { SessionCookies } from './session-cookies.js';
import type { SessionKeeper } from './session-keeper.js';
import type { SessionRequest } from './session.types.js';

/** A user as they were found. */
export interface RestoredUser {
  readonly user: unknown;
  /** A hash of their credentials' stamp, where their serializer gives one. */
  readonly stamp?: string | undefined;
}

/** Who restores the user of a session. */
export interface UserRestorer {
  /**
   * The user whose payload the session keeps; `undefined` when there is none any more. Rejects when nobody can say.
   * @param passport what stands under `session.passport`
   * @param userId who logged in
   */
  restore(passport: unknown, userId: string, request: SessionRequest): Promise<RestoredUser | undefined>;
}

/** What every request of one application shares. */
export interface SessionRuntime {
  readonly keeper: SessionKeeper;
  /** The same store as third-party code may take it, at `req.sessionStore`. */
  readonly expressStore: Store;
  readonly cookies: SessionCookies;
  readonly lifetime: LifetimePolicy;
  readonly clock: Clock;
  readonly users: UserRestorer;
  readonly logger: Logger;
  /** Logs an error in the application's set-up the first time it shows. */
  readonly logOnce: (message: string) => void;
  readonly options: Pick<ResolvedSessionAuthOptions, 'onStoreError'>;
  /** Gives a request `logIn`, `logOut` and the rest of Passport's methods. */
  readonly equip: (request: SessionRequest) => void;
}
