import { Inject, Injectable, InternalServerErrorException, Logger } from '@nestjs/common';
import { type Carrier, requestIn } from '../access/carrier.js';
import { keepRequest } from '../access/kept-request.js';
import { dataOf, type ExpressSession } from '../http/express-session.js';
import type { SessionContents } from '../http/session-contents.js';
import { nodeRequest, type SessionRequest } from '../http/session-request.js';
import type { KeptRequest } from '../model/kept-request.js';
import { expiresAt } from '../model/lifetime.js';
import { deviceOf, type SessionInfo } from '../model/session-info.js';
import { sessionInfo } from '../model/session-record.js';
import {
  CookieNotSendableException,
  RegistryUnavailableException,
  SessionUnavailableException,
  UserLookupFailedException,
} from '../session-auth.errors.js';
import { type ResolvedSessionAuthOptions, SESSION_AUTH_OPTIONS } from '../session-auth.options.js';
import { milliseconds } from '../validation/duration.js';
import type { CompleteLoginOptions, LogInOptions, LogOutOptions } from './log-in-options.js';
import { trustDuration } from './trust-duration.js';
import { UserSerializers } from '../serializer/user-serializers.js';
import { type RequestSession, requestSessionOf } from '../session/request-session.js';
import type { RestoredUser } from '../session/session-runtime.js';

/**
 * Logs users in and out, wherever the request is at hand, or something that leads to it: see {@link Carrier}.
 *
 * @example
 * ```ts
 * @Controller()
 * class LinkLoginController {
 *   constructor(
 *     private readonly auth: SessionAuthService,
 *     private readonly users: UsersService,
 *   ) {}
 *
 *   @Post('login/link')
 *   async logIn(@Req() request: Request, @Body('token') token: string) {
 *     const user = await this.users.findByLoginToken(token);
 *     await this.auth.logIn(request, user, { method: 'link', remember: '30d' });
 *   }
 *
 *   @Post('logout')
 *   async logOut(@Req() request: Request) {
 *     await this.auth.logOut(request);
 *   }
 * }
 * ```
 */
@Injectable()
export class SessionAuthService {
  readonly #logger = new Logger(SessionAuthService.name);

  /** @internal */
  constructor(
    @Inject(UserSerializers) private readonly serializers: UserSerializers,
    @Inject(SESSION_AUTH_OPTIONS) private readonly options: ResolvedSessionAuthOptions,
  ) {}

  /**
   * Logs this user in on a new session under a new id. When it resolves, the session is stored, the former one has
   * ended, and `request.user` is the user. With `pending`, nobody is logged in yet: see {@link completeLogin}.
   *
   * @throws SessionStoreUnavailableException (503) when the store does not reply
   * @throws TooManySessionsException (409) when `maxSessions` is reached and `reject`s
   * @throws CookieNotSendableException (500) when the cookie could not reach the browser; then nothing is stored
   * @throws UserNotSerializableException (500) when no serializer takes the user
   * @throws TypeError when `pending` is no list of words
   * @throws SessionUnavailableException (500) on a route without a session
   */
  async logIn(at: Carrier, user: unknown, options: LogInOptions = {}): Promise<void> {
    const [request, session] = behind(at);
    try {
      await this.#logIn(session, request, user, options);
    } catch (error) {
      // Nest does not log HTTP exceptions, and the client is not told the cause. (An unsendable cookie is logged
      // elsewhere.)
      if (error instanceof InternalServerErrorException && !(error instanceof CookieNotSendableException)) {
        this.#logger.error(error.message);
      }
      throw error;
    }
  }

  async #logIn(session: RequestSession, request: SessionRequest, user: unknown, options: LogInOptions): Promise<void> {
    const { userId, kind, passport, stamp } = await this.serializers.serialize(user);
    const device = deviceOf(this.options.device, request);
    const login = {
      userId,
      ...(kind !== undefined && { kind }),
      ...(options.method !== undefined && { method: options.method }),
      ...(device !== undefined && { device }),
      ...(stamp !== undefined && { stamp }),
    };
    const data = { ...kept(request, session, userId, options.keep ?? []), passport };
    const remember = options.remember === undefined ? undefined : milliseconds('remember', options.remember);
    const pending = pendingMethods(options.pending);
    const spared = await session.spared(login, pending);
    const missing = pending.filter((method) => spared?.methods.includes(method) !== true);
    if (missing.length > 0) {
      await session.logInPending({ login, data, remember, spared }, missing, user);
    } else {
      await session.logIn({ login, data, remember, spared }, user);
    }
  }

  /**
   * One step of a login that began with `pending`: call it after the user has proved this method. With the last one the
   * user is logged in, on a new session under a new id, with the data of this one; `remember` and `maxSessions` apply
   * then. Of requests that prove it at the same time, one logs in, and the others are refused. For a user who is logged
   * in already it is {@link reauthenticate}.
   *
   * @param method one of those that are pending
   * @param options `trustFor` spares the user the method on this browser from then on
   * @throws InvalidOptionError when `trustFor` is no duration of at most 400 days
   * @throws RegistryUnavailableException (500) when `trustFor` is given with the option `store`
   * @throws LoginIncompleteException (401) when the login does not wait for this method
   * @throws UnauthenticatedException (401) when no login is pending (any more)
   * @throws TooManySessionsException (409) when `maxSessions` is reached and `reject`s; the login is pending as before
   * @throws SessionStoreUnavailableException (503) when the store does not reply
   */
  async completeLogin(at: Carrier, method: string, options: CompleteLoginOptions = {}): Promise<void> {
    const [, session] = behind(at);
    const trustFor = options.trustFor === undefined ? undefined : trustDuration(options.trustFor);
    if (trustFor !== undefined && session.repository.trust === undefined) {
      throw new RegistryUnavailableException('The option "trustFor"');
    }
    await (session.user === undefined
      ? session.proveMethod(method, trustFor)
      : this.#reauthenticate(at, method, trustFor));
  }

  /**
   * Logs out. When it resolves, the store has ended the session, no request that is under way can bring it back, and
   * the response makes the browser forget the cookie. If the session has been stepped up meanwhile, it ends all the same,
   * and so does every other session that the request's cookies open. Does nothing for a request without a login.
   *
   * @throws SessionStoreUnavailableException (503) when the store does not reply: the cookie stays, and the user is
   * still logged in unless the store carries it out later
   */
  async logOut(at: Carrier, { clearSiteData = false }: LogOutOptions = {}): Promise<void> {
    const [request, session] = behind(at);
    // Without a cookie it may be another site that sends the browser here, to have it lose what it stores of this one.
    const isOfUser =
      session.record?.login !== undefined || session.signOutReason !== undefined || session.others.areShown;
    await session.logOut();
    request.user = null;
    if (clearSiteData && isOfUser) {
      session.caching.clearSiteData();
    }
  }

  /**
   * Call it after the user has proved again who they are. Their session goes on under a new id, with its data and its
   * own limits; when it resolves, the former id has ended. The login is fresh then, and the absolute limit counts anew
   * (OWASP ASVS 7.2.4). The user is restored anew too, so that changed credentials count from here.
   *
   * @param method how the user proved it, in a word of your own; see `@RequireFreshLogin()`
   * @throws UnauthenticatedException (401) when the caller is not logged in (any more)
   * @throws SessionStoreUnavailableException (503) when the store does not reply
   */
  async reauthenticate(at: Carrier, method?: string): Promise<void> {
    await this.#reauthenticate(at, method);
  }

  async #reauthenticate(at: Carrier, method?: string, trustFor?: number): Promise<void> {
    const [request, session] = behind(at);
    const restored = session.user === undefined ? undefined : await this.#restoreAnew(session, request);
    if (restored === undefined) {
      throw session.failure ?? session.denial;
    }
    const { user, stamp } = restored;
    const proof = { ...(method !== undefined && { method }), ...(stamp !== undefined && { stamp }) };
    await session.reauthenticate(proof, user, trustFor);
  }

  /**
   * For page applications: keeps what the request is about, for {@link takeKeptRequest}. Then redirect its user (303) to
   * where they prove again who they are. `@RequireFreshLogin()` with `proveAt` does both by itself. It replaces what was
   * kept before.
   *
   * @param fields the fields of a form that may be kept, in the session, for five minutes: after that they leave the store
   * with its next use, or with its end. Never name secrets, such as a new password. `a` is also `a[]` and `a[b]`. Of a
   * form of more than 16 kB only the path is kept
   * @returns false where it is not a request of a page: a browser's navigation, by a link or by an URL-encoded form of
   * this site. Nothing is kept then, and a redirect would not help
   * @throws UnauthenticatedException (401) when the caller is not logged in
   * @throws SessionStoreUnavailableException (503) when the store does not reply
   */
  async keepRequest(at: Carrier, fields: readonly string[] = []): Promise<boolean> {
    const [request, session] = behind(at);
    if (session.user === undefined) {
      throw session.denial;
    }
    return keepRequest(requestIn(at) ?? request, session, fields); // Fastify's own request has the form.
  }

  /**
   * What the user had requested when they were sent to prove again who they are: call it after {@link reauthenticate}.
   * Redirect to the path of a GET. Show a POST again, as a form with the fields hidden in it: a redirect by 307 would
   * send the form that has just been posted, with its password.
   *
   * It is given once, after a proof that is newer than the request, within five minutes. Of several requests the last
   * one counts. A login does not keep it, whoever's.
   *
   * @returns `undefined` where there is nothing to go on with
   * @throws SessionStoreUnavailableException (503) when the store does not reply
   *
   * @example
   * ```ts
   * async function afterProof(auth: SessionAuthService, request: Request, response: Response) {
   *   await auth.reauthenticate(request, 'password');
   *   const kept = await auth.takeKeptRequest(request);
   *   if (kept?.method === 'POST') {
   *     response.render('once-more', kept);
   *   } else {
   *     response.redirect(303, kept?.path ?? '/');
   *   }
   * }
   * ```
   */
  async takeKeptRequest(at: Carrier): Promise<KeptRequest | undefined> {
    const [, session] = behind(at);
    return session.takeKept();
  }

  async #restoreAnew({ passport, record }: RequestSession, request: SessionRequest): Promise<RestoredUser | undefined> {
    if (record?.login === undefined) {
      return undefined;
    }
    const restored = await this.serializers.restore(passport, record.login, request).catch((error: unknown) => {
      throw new UserLookupFailedException(error);
    });
    return typeof restored === 'string' ? undefined : restored;
  }

  /**
   * Changes the session's data, in one step. When it resolves, that is stored, and so is what the request has changed at
   * `req.session` before. Changes of other requests are kept: where one was faster, `change` is called again, on the newer
   * data, so that counting up never loses a count. Over an open connection this is the way to change the session.
   *
   * @param change changes the data in place, and at once: what it changes later is lost
   * @throws UnauthenticatedException (401) when the session has ended meanwhile; then nothing is stored
   * @throws SessionConflictException (503) when others kept being faster
   * @throws SessionStoreUnavailableException (503) when the store does not reply
   * @throws SessionNotSerializableException (500) when JSON cannot carry a value
   * @throws CookieNotSendableException (500) for a visitor without a session whose browser no cookie can reach
   *
   * @example
   * ```ts
   * @WebSocketGateway()
   * @UseGuards(SessionGuard)
   * class ReadingGateway {
   *   constructor(private readonly auth: SessionAuthService) {}
   *
   *   @SubscribeMessage('read')
   *   async read(@ConnectedSocket() client: Carrier, @MessageBody() page: number) {
   *     await this.auth.update(client, (data) => {
   *       data['page'] = page;
   *     });
   *   }
   * }
   * ```
   */
  async update(at: Carrier, change: (data: SessionContents) => void): Promise<void> {
    const [, session] = behind(at);
    await session.update(change);
  }

  /**
   * The caller's own session: its handle, its device, when it ends. Sends no command to the store and extends nothing.
   * Since requests count as activity, mark a route that a page polls for the remaining time as `@PassiveRoute()`.
   *
   * @throws UnauthenticatedException (401) when the caller is not logged in
   */
  current(at: Carrier): SessionInfo {
    const [, session] = behind(at);
    const { record } = session;
    if (record?.login === undefined) {
      throw session.denial;
    }
    return sessionInfo(record, record.login, expiresAt(record, this.options.lifetime));
  }
}

/** A text would count by its letters. */
function pendingMethods(pending: unknown = []): string[] {
  if (!Array.isArray(pending) || !pending.every((method) => typeof method === 'string' && method !== '')) {
    throw new TypeError('The option "pending" is a list of methods: pending: [\'totp\'].');
  }
  return [...new Set<string>(pending)];
}

/** The request behind a carrier, and its session, which it must have. */
function behind(carrier: Carrier): [SessionRequest, RequestSession] {
  const request = requestIn(carrier);
  const session = requestSessionOf(request);
  if (request === undefined || session === undefined) {
    throw new SessionUnavailableException();
  }
  return [nodeRequest(request), session];
}

/** What a login keeps of the former session: the named keys, unless they are another user's. */
function kept(
  request: SessionRequest,
  { owner }: RequestSession,
  userId: string,
  keys: readonly string[],
): Record<string, unknown> {
  if ((owner !== undefined && owner !== userId) || !request.session) {
    return {};
  }
  const data = dataOf(request.session as ExpressSession);
  return Object.fromEntries(keys.filter((key) => Object.hasOwn(data, key)).map((key) => [key, data[key]]));
}
