import { Inject, Injectable, InternalServerErrorException, Logger } from '@nestjs/common';
import {
  CookieNotSendableException,
  SessionUnavailableException,
  UnauthenticatedException,
  UserLookupFailedException,
} from '../session-auth.errors.js';
import type { Duration, ResolvedSessionAuthOptions } from '../session-auth.options.js';
import { milliseconds } from '../validation/duration.js';
import { SESSION_AUTH_OPTIONS } from '../session-auth.tokens.js';
import { UserSerializers } from '../serializer/user-serializers.js';
import { expiresAt } from '../lifetime/lifetime.policy.js';
import { type LiveSession, dataOf } from '../session/live-session.js';
import { type RequestSession, requestSessionOf } from '../session/request-session.js';
import { sessionInfo } from '../session/session-record.js';
import type { RestoredUser } from '../session/session.runtime.js';
import type { Device, SessionInfo, SessionRequest } from '../session/session.types.js';

/** How to log a user in. */
export interface LogInOptions {
  /**
   * Top-level keys of the present session to carry into the new one, such as `['returnTo']`. Default none. Nothing is
   * ever carried from one user's session into another's.
   */
  keep?: string[];
  /** This session's own idle and absolute limit, for "remember me". Default those of `lifetime`. */
  remember?: Duration;
  /** How the user proved who they are, in a word of your own: `'password'`, `'webauthn'`. */
  method?: string;
}

/** Logs users in and out, from anywhere that has the request. */
@Injectable()
export class SessionAuthService {
  readonly #logger = new Logger(SessionAuthService.name);

  constructor(
    @Inject(UserSerializers) private readonly serializers: UserSerializers,
    @Inject(SESSION_AUTH_OPTIONS) private readonly options: ResolvedSessionAuthOptions,
  ) {}

  /**
   * Logs this user in: a new session under a new id, committed to the store when it resolves; then the old session has
   * ended and `request.user` is the user.
   *
   * @throws SessionStoreUnavailableException (503) when the store does not answer
   * @throws TooManySessionsException (409) when `maxSessions` is reached and `reject`s
   * @throws CookieNotSendableException (500) when the cookie could not reach the browser; nothing is stored then
   * @throws UserNotSerializableException (500) when no serializer takes the user
   * @throws SessionUnavailableException (500) on a route without a session
   */
  async logIn(request: SessionRequest, user: unknown, options: LogInOptions = {}): Promise<void> {
    const session = sessionOf(request);
    try {
      await this.#logIn(session, request, user, options);
    } catch (error) {
      // Nest logs no HTTP exception, and the client is told only that it failed. (An unsendable cookie is logged once.)
      if (error instanceof InternalServerErrorException && !(error instanceof CookieNotSendableException)) {
        this.#logger.error(error.message);
      }
      throw error;
    }
  }

  async #logIn(session: RequestSession, request: SessionRequest, user: unknown, options: LogInOptions): Promise<void> {
    const { userId, passport, stamp } = await this.serializers.serialize(user);
    const device = this.options.device === false ? undefined : onlyDevice(this.options.device(request));
    const login = {
      userId,
      ...(options.method !== undefined && { method: options.method }),
      ...(device !== undefined && { device }),
      ...(stamp !== undefined && { stamp }),
    };
    const data = { ...kept(request, session, userId, options.keep ?? []), passport };
    const remember = options.remember === undefined ? undefined : milliseconds('remember', options.remember);
    await session.logIn({ login, data, remember }, user);
  }

  /**
   * Logs out: the session has ended in the store when it resolves, nothing in flight can bring it back, and the answer
   * has the browser forget the cookie. Does nothing for a request without a session.
   *
   * @throws SessionStoreUnavailableException (503) when the store does not answer: the cookie stays, and the user is logged
   * in still, unless the store does it when it wakes
   */
  async logOut(request: SessionRequest): Promise<void> {
    await sessionOf(request).logOut();
    request.user = null;
  }

  /**
   * The user has proved again who they are (you have checked how): their session goes on under a new id, with its data
   * and its own limits, and the old id has ended when it resolves. The login is fresh now and the absolute limit counts
   * anew (OWASP ASVS 7.2.4). The user is restored anew too, so that changed credentials hold from here.
   *
   * @param method how they proved it, in a word of your own; see `@RequireFreshLogin()`
   * @throws UnauthenticatedException (401) when the caller is not logged in (any more)
   * @throws SessionStoreUnavailableException (503) when the store does not answer
   */
  async reauthenticate(request: SessionRequest, method?: string): Promise<void> {
    const session = sessionOf(request);
    const restored = session.user === undefined ? undefined : await this.#restoreAnew(session, request);
    if (restored === undefined) {
      throw session.failure ?? new UnauthenticatedException();
    }
    const { user, stamp } = restored;
    const proof = { ...(method !== undefined && { method }), ...(stamp !== undefined && { stamp }) };
    await session.reauthenticate(proof, user);
  }

  async #restoreAnew({ passport, stored }: RequestSession, request: SessionRequest): Promise<RestoredUser | undefined> {
    try {
      return stored?.login && (await this.serializers.restore(passport, stored.login.userId, request));
    } catch (error) {
      throw new UserLookupFailedException(error);
    }
  }

  /**
   * The caller's own session: what it is called, when it ends. Asks the store nothing and extends nothing; a route that
   * a page polls for the remaining time is a `@PassiveRoute()` besides, for requests count as activity.
   *
   * @throws UnauthenticatedException (401) when the caller is not logged in
   */
  current(request: SessionRequest): SessionInfo {
    const record = sessionOf(request).stored;
    if (record?.login === undefined) {
      throw new UnauthenticatedException();
    }
    return sessionInfo(record, record.login, expiresAt(record, this.options.lifetime));
  }
}

/** What the application's function may say of a device, and nothing else. Only texts: others could not be read back. */
function onlyDevice({ ip, userAgent, label }: Device = {}): Device {
  return Object.fromEntries(
    Object.entries({ ip, userAgent, label }).filter(([, value]: [string, unknown]) => typeof value === 'string'),
  );
}

/** The session of a request that must have one. */
function sessionOf(request: SessionRequest): RequestSession {
  const session = requestSessionOf(request);
  if (session === undefined) {
    throw new SessionUnavailableException();
  }
  return session;
}

/** What a login keeps of the session before it: the named keys, unless they are another user's. */
function kept(
  request: SessionRequest,
  { owner }: RequestSession,
  userId: string,
  keys: readonly string[],
): Record<string, unknown> {
  if ((owner !== undefined && owner !== userId) || request.session === undefined) {
    return {};
  }
  const data = dataOf(request.session as LiveSession);
  return Object.fromEntries(keys.filter((key) => Object.hasOwn(data, key)).map((key) => [key, data[key]]));
}
