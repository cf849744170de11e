import type { HttpException, Logger } from '@nestjs/common';
import type { Store } from 'express-session';
import type { DeviceCookies } from '../http/device-cookies.js';
import type { OldCookies } from '../http/old-cookies.js';
import type { CookieRuntime } from '../http/response-cookie.js';
import type { SessionRequest, SessionResponse } from '../http/session-request.js';
import type { LoginRecord } from '../model/login-record.js';
import type { RotationKeys } from '../model/rotation.js';
import type { MissingUser } from '../model/session-event.js';
import type { ResolvedSessionAuthOptions } from '../session-auth.options.js';
import type { OldSessions } from '../store/old-sessions.js';
import type { SessionRepository } from './session-repository.js';

/** A user as the serializer has restored them. */
export interface RestoredUser {
  readonly user: unknown;
  /** Hash of the credential stamp, where the serializer has one. */
  readonly stamp?: string | undefined;
}

/** Restores the user of a session. */
export interface UserRestorer {
  /**
   * The user of a session, or why it has none any more. Rejects when that cannot be told now.
   *
   * @param passport the value of `session.passport`, which the application's own code may have changed
   * @param login who logged in
   */
  restore(passport: unknown, login: LoginRecord, request: SessionRequest): Promise<RestoredUser | MissingUser>;

  /** Whether a value is the user of this login: also as a copy, with more properties, say. */
  isUserOf(login: LoginRecord, value: unknown): boolean;
}

/** Keeps other sites from acting in the name of who is logged in, and from logging anybody in. */
export interface CrossSiteChecks {
  /** Whether a request comes from another site and may change something. */
  concerns(request: SessionRequest): boolean;

  /**
   * Why a request that shows a session is refused at once; `undefined` where it is not.
   *
   * @param handle left out for a session that is not ours yet
   */
  ofRequest(request: SessionRequest, handle?: string): HttpException | undefined;

  /** Reports the refusal of a request. */
  refuse(request: SessionRequest, what: string, handle?: string): HttpException;
}

/** A user as an old session's payload has given them, and as a new session keeps them. */
export interface AdoptedUser {
  readonly user: unknown;
  readonly login: Pick<LoginRecord, 'userId' | 'kind' | 'stamp' | 'device'>;
  /** What `session.passport` becomes. */
  readonly passport: object;
}

/** The sessions of the stack that is being moved from (option `adopt`). */
export interface Adoption {
  readonly cookies: OldCookies;
  readonly sessions: OldSessions;
  /** The user of this payload; `undefined` where there is none any more. Rejects when that cannot be told now. */
  restore(payload: unknown, request: SessionRequest): Promise<AdoptedUser | undefined>;
}

/** What all requests of one application share. */
export interface SessionRuntime extends CookieRuntime {
  readonly repository: SessionRepository;
  /** The store for third-party code, at `req.sessionStore`. */
  readonly expressStore: Store;
  readonly rotationKeys: RotationKeys;
  readonly devices: DeviceCookies;
  readonly users: UserRestorer;
  /** `undefined` where no old sessions are carried over. */
  readonly adoption?: Adoption | undefined;
  readonly logger: Logger;
  readonly crossSite: CrossSiteChecks;
  readonly options: Pick<ResolvedSessionAuthOptions, 'onStoreError' | 'knownDevices'>;
  /** Gives a request `logIn`, `logOut` and Passport's other methods, and both what the platform takes. */
  readonly equip: (request: SessionRequest, response: SessionResponse) => void;
  /** Has the application respond to an error that comes after `next` was called. */
  readonly failLate: (
    error: unknown,
    request: SessionRequest,
    response: SessionResponse,
    next: (error: unknown) => void,
  ) => void;
}
