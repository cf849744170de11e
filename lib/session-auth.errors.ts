import {
  ConflictException,
  ForbiddenException,
  HttpException,
  HttpStatus,
  InternalServerErrorException,
  ServiceUnavailableException,
  UnauthorizedException,
} from '@nestjs/common';

/** The code of every error of this module. Codes stay the same from version to version. */
export type SessionAuthErrorCode =
  | 'invalid_option'
  | 'imported_twice'
  | 'decorator_taken'
  | 'no_serializer'
  | 'not_initialised'
  | 'unknown_strategy'
  | 'unauthenticated'
  | 'cross_site_request'
  | 'login_incomplete'
  | 'fresh_login_required'
  | 'login_failed'
  | 'too_many_sessions'
  | 'registry_unavailable'
  | 'session_unavailable'
  | 'session_store_unavailable'
  | 'session_conflict'
  | 'session_not_serializable'
  | 'user_lookup_failed'
  | 'user_not_serializable'
  | 'cookie_not_sendable';

/**
 * A mistake in the application's set-up, thrown while it boots. Its message says what is wrong, where, and what to do.
 *
 * @example
 * ```ts
 * try {
 *   const app = await NestFactory.create(AppModule, { abortOnError: false });
 *   await app.listen(3000);
 * } catch (error) {
 *   if (!(error instanceof SessionAuthConfigurationError)) throw error;
 *   console.error(`${error.code}: ${error.message}`);
 *   process.exitCode = 78; // EX_CONFIG: a restart would not help.
 * }
 * ```
 */
export class SessionAuthConfigurationError extends Error {
  override readonly name = 'SessionAuthConfigurationError';

  constructor(
    readonly code: SessionAuthErrorCode,
    message: string,
  ) {
    super(message);
  }
}

/**
 * An option of `SessionAuthModule.forRoot()` is wrong. Code `invalid_option`.
 *
 * @example
 * ```ts
 * it('refuses a cookie that browsers would not take', async () => {
 *   const options: SessionAuthOptions = { secret: 'of tests', cookie: { sameSite: 'none', secure: false } };
 *   const boot = Test.createTestingModule({ imports: [SessionAuthModule.forRoot(options)] }).compile();
 *
 *   const error = await boot.catch((reason: unknown) => reason);
 *   expect(error).toBeInstanceOf(InvalidOptionError);
 *   expect(error).toHaveProperty('option', 'cookie.sameSite');
 * });
 * ```
 */
export class InvalidOptionError extends SessionAuthConfigurationError {
  /** @param option path of the option, such as `lifetime.idle` */
  constructor(
    readonly option: string,
    problem: string,
    remedy: string,
  ) {
    super('invalid_option', `SessionAuthModule option "${option}": ${problem}. ${remedy}`);
  }
}

/**
 * Why a session ended, as the browser that has its cookie is told.
 *
 * @example
 * ```ts
 * const TEXTS: Record<SignOutReason, string> = {
 *   expired: 'You were away for too long.',
 *   revoked: 'You signed this device out.',
 *   limit: 'You logged in on another device.',
 *   credentials_changed: 'Your password was changed.',
 *   logged_out: 'You logged out.',
 *   reuse_detected: 'Somebody used a copy of your cookie.',
 * };
 * ```
 */
export type SignOutReason = 'expired' | 'revoked' | 'limit' | 'credentials_changed' | 'logged_out' | 'reuse_detected';

const SIGNED_OUT: Record<SignOutReason, string> = {
  expired: 'Your session has expired.',
  revoked: 'Your session was ended.',
  limit: 'Your session was ended by a login on another device.',
  credentials_changed: 'Your session was ended because your credentials have changed.',
  logged_out: 'You have logged out.',
  reuse_detected: 'Your session was ended because an old copy of its cookie was used.',
};

/** Every {@link SignOutReason}. @internal */
export const SIGN_OUT_REASONS = Object.keys(SIGNED_OUT) as SignOutReason[];

/** The body of a response: the code, the message and details. The status code is added where it is sent. */
function body(code: SessionAuthErrorCode, message: string, details: object = {}): Record<string, unknown> {
  return { code, message, ...details };
}

/**
 * Gives exceptions the `extensions` that every GraphQL driver sends: `code` in GraphQL's words, our own code as
 * `sessionAuth`, and the details.
 *
 * What they keep as their response lacks `statusCode`, which `getResponse()` adds: by that, `@nestjs/apollo` recognizes
 * HTTP exceptions, and replaces the `code` of most of them by INTERNAL_SERVER_ERROR.
 */
// eslint-disable-next-line @typescript-eslint/no-explicit-any -- TypeScript has mixins of such constructors only.
function withExtensions<Base extends new (...args: any[]) => HttpException>(base: Base): Base {
  return class extends base {
    get extensions(): Record<string, unknown> {
      const { code, message: _message, ...details } = super.getResponse() as Record<string, unknown>;
      const status = this.getStatus();
      const isUnauthorized = status === (HttpStatus.UNAUTHORIZED as number);
      return { ...details, code: isUnauthorized ? 'UNAUTHENTICATED' : HttpStatus[status], sessionAuth: code };
    }

    override getResponse(): object {
      return { statusCode: this.getStatus(), ...(super.getResponse() as object) };
    }
  };
}

/**
 * 401: nobody is logged in on the request. Code `unauthenticated`. When the cookie is that of a session that has ended,
 * the body's `reason` tells why.
 *
 * @example
 * ```ts
 * @Catch(UnauthenticatedException)
 * class LoginPageFilter implements ExceptionFilter<UnauthenticatedException> {
 *   catch({ reason }: UnauthenticatedException, host: ArgumentsHost) {
 *     const page = reason === undefined ? '/login' : `/login?ended=${reason}`;
 *     host.switchToHttp().getResponse<Response>().redirect(303, page);
 *   }
 * }
 * ```
 */
export class UnauthenticatedException extends withExtensions(UnauthorizedException) {
  readonly code: SessionAuthErrorCode = 'unauthenticated';

  constructor(readonly reason?: SignOutReason) {
    const message = reason === undefined ? 'You are not logged in.' : SIGNED_OUT[reason];
    super(body('unauthenticated', message, reason && { reason }));
  }
}

/**
 * 403: a page of another site has sent this, with the session cookie of who is logged in. Code `cross_site_request`. The
 * session is as it was. If the page is yours, name its origin in the option `trustedOrigins`.
 *
 * @example
 * ```ts
 * const response = await fetch('https://api.example.com/socket.io/?EIO=4&transport=polling', { credentials: 'include' });
 * const { code } = (await response.json()) as { code?: SessionAuthErrorCode };
 * const isFromElsewhere = code === new CrossSiteRequestException().code;
 * ```
 */
export class CrossSiteRequestException extends withExtensions(ForbiddenException) {
  readonly code: SessionAuthErrorCode = 'cross_site_request';

  /** @internal @param details what the body says besides */
  constructor(details?: object) {
    const message = 'This comes from another site, which is not in the option "trustedOrigins".';
    super(body('cross_site_request', message, details));
  }
}

/**
 * 401: the login on the request's session is not complete. Code `login_incomplete`; the body's `pending` names the
 * methods that are still to be proved.
 *
 * @example
 * ```ts
 * @Catch(LoginIncompleteException)
 * class SecondFactorFilter implements ExceptionFilter<LoginIncompleteException> {
 *   catch({ pending: [next] }: LoginIncompleteException, host: ArgumentsHost) {
 *     host.switchToHttp().getResponse<Response>().redirect(303, `/login/${next}`);
 *   }
 * }
 * ```
 */
export class LoginIncompleteException extends withExtensions(UnauthorizedException) {
  readonly code: SessionAuthErrorCode = 'login_incomplete';

  /** @param pending the methods that are still to be proved */
  constructor(readonly pending: readonly string[]) {
    super(body('login_incomplete', 'Your login is not complete.', { pending }));
  }
}

/** What a route marked `@RequireFreshLogin()` requires. */
export interface FreshLoginChallenge {
  /** Longest time since the proof, in seconds (as `max_age` of RFC 9470, section 3). */
  readonly maxAge: number;
  /** The methods that count; all when absent. */
  readonly methods?: readonly string[];
  /** The proof is good for one request. */
  readonly once?: true;
}

/**
 * 401: the login is not as fresh as the route requires. Code `fresh_login_required`; the body tells what it requires.
 *
 * @example
 * ```ts
 * @Catch(FreshLoginRequiredException)
 * class ProofPageFilter implements ExceptionFilter<FreshLoginRequiredException> {
 *   catch({ challenge }: FreshLoginRequiredException, host: ArgumentsHost) {
 *     const { methods = ['password', 'webauthn'] } = challenge;
 *     host.switchToHttp().getResponse<Response>().status(401).render('prove-again', { methods });
 *   }
 * }
 * ```
 */
export class FreshLoginRequiredException extends withExtensions(UnauthorizedException) {
  readonly code: SessionAuthErrorCode = 'fresh_login_required';

  constructor(readonly challenge: FreshLoginChallenge) {
    const message = 'Prove again who you are.';
    super(body('fresh_login_required', message, challenge));
  }
}

/**
 * 409: the user has as many sessions as `maxSessions` allows, and its `overflow` is `reject`. Code `too_many_sessions`.
 *
 * @example
 * ```ts
 * @Injectable()
 * class LinkLogin {
 *   constructor(
 *     private readonly auth: SessionAuthService,
 *     private readonly registry: SessionRegistry,
 *   ) {}
 *
 *   async logIn(request: Request, user: User) {
 *     try {
 *       await this.auth.logIn(request, user);
 *     } catch (error) {
 *       if (!(error instanceof TooManySessionsException)) throw error;
 *       const devices = await this.registry.list(String(user.id)); // The user chooses one to sign out.
 *       throw new ConflictException({ code: error.code, devices });
 *     }
 *   }
 * }
 * ```
 */
export class TooManySessionsException extends withExtensions(ConflictException) {
  readonly code: SessionAuthErrorCode = 'too_many_sessions';

  constructor() {
    super(body('too_many_sessions', 'You are logged in on too many devices. Log out on one first.'));
  }
}

/**
 * 500: the store in use (option `store`) keeps no index of a user's sessions. Code `registry_unavailable`.
 *
 * @example
 * ```ts
 * @Injectable()
 * class Accounts {
 *   constructor(private readonly registry: SessionRegistry) {}
 *
 *   async sessionCount(userId: string): Promise<number | 'unknown'> {
 *     try {
 *       return await this.registry.count(userId);
 *     } catch (error) {
 *       if (error instanceof RegistryUnavailableException) return 'unknown';
 *       throw error;
 *     }
 *   }
 * }
 * ```
 */
export class RegistryUnavailableException extends withExtensions(InternalServerErrorException) {
  readonly code: SessionAuthErrorCode = 'registry_unavailable';

  constructor(who = 'SessionRegistry') {
    const remedy = `${who} needs the module's own store: use the option redis in place of store.`;
    super(body('registry_unavailable', remedy));
  }
}

/**
 * 401: the strategy refused the credentials. Code `login_failed`. A strategy may throw it with a message of its own.
 *
 * @example
 * ```ts
 * @Injectable()
 * class LocalStrategy extends PassportStrategy(Strategy) {
 *   constructor(private readonly users: UsersService) {
 *     super();
 *   }
 *
 *   async validate(username: string, password: string) {
 *     const user = await this.users.verify(username, password);
 *     if (user === null) throw new LoginFailedException('Wrong username or password.');
 *     return user;
 *   }
 * }
 * ```
 */
export class LoginFailedException extends withExtensions(UnauthorizedException) {
  readonly code: SessionAuthErrorCode = 'login_failed';

  constructor(message = 'The login was refused.') {
    super(body('login_failed', message));
  }
}

/**
 * 400, or another status that the strategy has chosen: it could not read the credentials. Code `login_failed`.
 *
 * @example
 * ```ts
 * @Catch(LoginFailedException, MalformedLoginException)
 * class LoginFormFilter implements ExceptionFilter<HttpException> {
 *   catch(error: LoginFailedException | MalformedLoginException, host: ArgumentsHost) {
 *     const response = host.switchToHttp().getResponse<Response>();
 *     response.status(error.getStatus()).render('login', { problem: error.message });
 *   }
 * }
 * ```
 */
export class MalformedLoginException extends withExtensions(HttpException) {
  readonly code: SessionAuthErrorCode = 'login_failed';

  constructor(status: number, message: string) {
    super(body('login_failed', message), status);
  }
}

/**
 * 503: the session store did not reply in time. Code `session_store_unavailable`. Its `cause` is the store's error, if
 * any.
 *
 * @example
 * ```ts
 * @Catch(SessionStoreUnavailableException)
 * class MaintenancePageFilter implements ExceptionFilter<SessionStoreUnavailableException> {
 *   private readonly logger = new Logger('Sessions');
 *
 *   catch(error: SessionStoreUnavailableException, host: ArgumentsHost) {
 *     this.logger.warn(`The session store failed: ${String(error.cause)}`);
 *     host.switchToHttp().getResponse<Response>().status(503).render('maintenance');
 *   }
 * }
 * ```
 */
export class SessionStoreUnavailableException extends withExtensions(ServiceUnavailableException) {
  readonly code: SessionAuthErrorCode = 'session_store_unavailable';

  constructor(cause?: unknown) {
    super(body('session_store_unavailable', 'The session store cannot be reached. Try again.'), { cause });
  }
}

/**
 * 503: other requests kept changing the session, and nothing of this request was stored in it. Code `session_conflict`.
 * The session is saved after the handler, so a filter for it has to be global.
 *
 * @example
 * ```ts
 * @Catch(SessionConflictException)
 * class ConflictFilter extends BaseExceptionFilter {
 *   private readonly logger = new Logger('Sessions');
 *
 *   override catch(error: SessionConflictException, host: ArgumentsHost) {
 *     this.logger.warn(`Too many parallel changes: ${host.switchToHttp().getRequest<Request>().path}`);
 *     super.catch(error, host);
 *   }
 * }
 *
 * @Module({ providers: [{ provide: APP_FILTER, useClass: ConflictFilter }] })
 * class AppModule {}
 * ```
 */
export class SessionConflictException extends withExtensions(ServiceUnavailableException) {
  readonly code: SessionAuthErrorCode = 'session_conflict';

  constructor() {
    super(body('session_conflict', 'The session was changed by too many requests at once. Try again.'));
  }
}

/**
 * 503: `deserializeUser` failed, so nobody knows who this is. The session is kept. Code `user_lookup_failed`. Its
 * `cause` is the error of `deserializeUser`.
 *
 * @example
 * ```ts
 * @Injectable()
 * class DirectoryGuard extends SessionGuard {
 *   protected override async handleDenied(reason: HttpException, context: ExecutionContext): Promise<boolean> {
 *     if (reason instanceof UserLookupFailedException) {
 *       throw new ServiceUnavailableException('The directory is down. You stay logged in.', { cause: reason.cause });
 *     }
 *     return super.handleDenied(reason, context);
 *   }
 * }
 * ```
 */
export class UserLookupFailedException extends withExtensions(ServiceUnavailableException) {
  readonly code: SessionAuthErrorCode = 'user_lookup_failed';

  constructor(cause: unknown) {
    super(body('user_lookup_failed', 'The user cannot be looked up. Try again.'), {
      cause,
    });
  }
}

/**
 * 500: no serializer takes this user, or `userId` returned no id. Code `user_not_serializable`. The message names the
 * method at fault; the response does not contain it.
 *
 * @example
 * ```ts
 * @Injectable()
 * class RobotLogin {
 *   constructor(private readonly auth: SessionAuthService) {}
 *
 *   async logIn(request: Request, robot: object) {
 *     try {
 *       await this.auth.logIn(request, robot);
 *     } catch (error) {
 *       if (!(error instanceof UserNotSerializableException)) throw error;
 *       throw new ForbiddenException('Robots cannot log in here.', { cause: error }); // See error.message.
 *     }
 *   }
 * }
 * ```
 */
export class UserNotSerializableException extends withExtensions(InternalServerErrorException) {
  readonly code: SessionAuthErrorCode = 'user_not_serializable';

  constructor(reason: string) {
    super(body('user_not_serializable', 'The user cannot be kept in a session.'), {
      cause: new Error(reason),
    });
    this.message = reason;
  }
}

/**
 * 500: the session contains a value that JSON cannot carry (a BigInt, a circular value). What was stored before stays.
 * Code `session_not_serializable`. The session is saved after the handler, so a filter for it has to be global.
 *
 * @example
 * ```ts
 * @Catch(SessionNotSerializableException)
 * class DeveloperHintFilter implements ExceptionFilter<SessionNotSerializableException> {
 *   catch({ key, code }: SessionNotSerializableException, host: ArgumentsHost) {
 *     const hint = `Keep an id in session.${key}, not the object.`;
 *     host.switchToHttp().getResponse<Response>().status(500).json({ code, hint });
 *   }
 * }
 *
 * const app = await NestFactory.create(AppModule);
 * if (process.env.NODE_ENV !== 'production') app.useGlobalFilters(new DeveloperHintFilter());
 * ```
 */
export class SessionNotSerializableException extends withExtensions(InternalServerErrorException) {
  readonly code: SessionAuthErrorCode = 'session_not_serializable';

  constructor(
    /** The top-level key of the session that cannot be written. */
    readonly key: string,
    cause: unknown,
  ) {
    super(body('session_not_serializable', 'The session could not be saved.'), {
      cause,
    });
    this.message = `The session's key "${key}" cannot be written as JSON.`;
  }
}

/**
 * 500: a login was refused because its cookie could not reach the browser. Nothing was stored. Code
 * `cookie_not_sendable`. The message says why; the response does not contain it.
 *
 * @example
 * ```ts
 * @Catch(CookieNotSendableException)
 * class HttpsFilter implements ExceptionFilter<CookieNotSendableException> {
 *   catch(error: CookieNotSendableException, host: ArgumentsHost) {
 *     console.warn(error.message); // For example: the cookie is Secure, and the request came by plain HTTP.
 *     host.switchToHttp().getResponse<Response>().redirect(303, 'https://www.example.com/login');
 *   }
 * }
 * ```
 */
export class CookieNotSendableException extends withExtensions(InternalServerErrorException) {
  readonly code: SessionAuthErrorCode = 'cookie_not_sendable';

  constructor(reason: string) {
    super(body('cookie_not_sendable', 'The login cookie could not be sent.'), {
      cause: new Error(reason),
    });
    this.message = reason;
  }
}

/**
 * 500: the route has no session because it is excluded, is outside `cookie.path`, or the request is not one of this
 * application. Code `session_unavailable`.
 *
 * @example
 * ```ts
 * @Injectable()
 * class AccessLog {
 *   constructor(private readonly auth: SessionAuthService) {}
 *
 *   handleOf(request: Request): string {
 *     try {
 *       return this.auth.current(request).handle;
 *     } catch (error) {
 *       if (error instanceof SessionUnavailableException) return 'no session here';
 *       if (error instanceof UnauthenticatedException) return 'anonymous';
 *       throw error;
 *     }
 *   }
 * }
 * ```
 */
export class SessionUnavailableException extends withExtensions(InternalServerErrorException) {
  readonly code: SessionAuthErrorCode = 'session_unavailable';

  constructor() {
    super(
      body(
        'session_unavailable',
        'This route has no session. Check the options "exclude" and "cookie.path", and that SessionAuthModule is imported.',
      ),
    );
  }
}
