import {
  ConflictException,
  HttpException,
  HttpStatus,
  InternalServerErrorException,
  ServiceUnavailableException,
  UnauthorizedException,
} from '@nestjs/common';

/** Every way this module can fail, by a code that stays the same from version to version. */
export type SessionAuthErrorCode =
  | 'invalid_option'
  | 'imported_twice'
  | 'no_serializer'
  | 'unknown_strategy'
  | 'unauthenticated'
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

/** A mistake in the application's set-up, thrown while it boots: says what is wrong, where, and what to do. */
export class SessionAuthConfigurationError extends Error {
  override readonly name = 'SessionAuthConfigurationError';

  constructor(
    readonly code: SessionAuthErrorCode,
    message: string,
  ) {
    super(message);
  }
}

/** One option of `SessionAuthModule.forRoot()` is wrong. Code `invalid_option`. */
export class InvalidOptionError extends SessionAuthConfigurationError {
  /** @param option path of the option, as `lifetime.idle` */
  constructor(
    readonly option: string,
    problem: string,
    remedy: string,
  ) {
    super('invalid_option', `SessionAuthModule option "${option}": ${problem}. ${remedy}`);
  }
}

/** Why a session ended, as the holder of its cookie is told. */
export type SignOutReason =
  'idle_timeout' | 'absolute_timeout' | 'revoked' | 'limit' | 'credentials_changed' | 'logged_out' | 'reuse_detected';

const SIGNED_OUT: Record<SignOutReason, string> = {
  idle_timeout: 'Your session ended, for it was not used.',
  absolute_timeout: 'Your session has reached its end.',
  revoked: 'Your session was ended.',
  limit: 'Your session was ended by a login on another device.',
  credentials_changed: 'Your session was ended, for your credentials have changed.',
  logged_out: 'You have logged out.',
  reuse_detected: 'Your session was ended, for an old copy of its cookie was used.',
};

/** The answer's body: what Nest sends for any exception, the code, and what else there is to know. */
function body(
  statusCode: number,
  code: SessionAuthErrorCode,
  message: string,
  details: object = {},
): Record<string, unknown> {
  return { statusCode, code, message, ...details };
}

/**
 * 401: the request carries no live login. Code `unauthenticated`; where the cookie is that of a session that has ended, the
 * body's `reason` says why.
 */
export class UnauthenticatedException extends UnauthorizedException {
  readonly code: SessionAuthErrorCode = 'unauthenticated';

  constructor(readonly reason?: SignOutReason) {
    const message = reason === undefined ? 'You are not logged in.' : SIGNED_OUT[reason];
    super(body(HttpStatus.UNAUTHORIZED, 'unauthenticated', message, reason && { reason }));
  }
}

/** What it takes to pass a route marked `@RequireFreshLogin()`. */
export interface FreshLoginChallenge {
  /** Seconds that a login may be old (as `max_age` of RFC 9470, section 3). */
  readonly maxAge: number;
  /** The methods that count, where not all do. */
  readonly methods?: readonly string[];
  /** The proof is good for one request. */
  readonly once?: true;
}

/** 401: the login is not as fresh as the route asks. Code `fresh_login_required`; the body says what it takes. */
export class FreshLoginRequiredException extends UnauthorizedException {
  readonly code: SessionAuthErrorCode = 'fresh_login_required';

  constructor(readonly challenge: FreshLoginChallenge) {
    const message = 'Prove again who you are.';
    super(body(HttpStatus.UNAUTHORIZED, 'fresh_login_required', message, challenge));
  }
}

/** 409: the user has as many sessions as `maxSessions` allows, and a login of theirs is to be rejected. */
export class TooManySessionsException extends ConflictException {
  readonly code: SessionAuthErrorCode = 'too_many_sessions';

  constructor() {
    super(
      body(HttpStatus.CONFLICT, 'too_many_sessions', 'You are logged in on too many devices. Log out on one first.'),
    );
  }
}

/** 500: the store in use (option `store`) keeps no index of a user's sessions. */
export class RegistryUnavailableException extends InternalServerErrorException {
  readonly code: SessionAuthErrorCode = 'registry_unavailable';

  constructor() {
    const remedy = "SessionRegistry needs the module's own store: use the option redis in place of store.";
    super(body(HttpStatus.INTERNAL_SERVER_ERROR, 'registry_unavailable', remedy));
  }
}

/** 401: the strategy turned the credentials down. Code `login_failed`. */
export class LoginFailedException extends UnauthorizedException {
  readonly code: SessionAuthErrorCode = 'login_failed';

  constructor(message = 'The login was refused.') {
    super(body(HttpStatus.UNAUTHORIZED, 'login_failed', message));
  }
}

/** 400 or another status of the strategy's own choice: the credentials could not be read. Code `login_failed`. */
export class MalformedLoginException extends HttpException {
  readonly code: SessionAuthErrorCode = 'login_failed';

  constructor(status: number, message: string) {
    super(body(status, 'login_failed', message), status);
  }
}

/** 503: the session store did not answer in time, or not at all. Nothing was lost or changed that was promised. */
export class SessionStoreUnavailableException extends ServiceUnavailableException {
  readonly code: SessionAuthErrorCode = 'session_store_unavailable';

  constructor(cause?: unknown) {
    super(
      body(
        HttpStatus.SERVICE_UNAVAILABLE,
        'session_store_unavailable',
        'The session store cannot be reached. Try again.',
      ),
      { cause },
    );
  }
}

/** 503: other requests kept changing this session; nothing of this request's changes was stored. */
export class SessionConflictException extends ServiceUnavailableException {
  readonly code: SessionAuthErrorCode = 'session_conflict';

  constructor() {
    super(
      body(
        HttpStatus.SERVICE_UNAVAILABLE,
        'session_conflict',
        'The session was changed by too many requests at once. Try again.',
      ),
    );
  }
}

/** 503: `deserializeUser` failed, so nobody can say who this is. The session is kept. */
export class UserLookupFailedException extends ServiceUnavailableException {
  readonly code: SessionAuthErrorCode = 'user_lookup_failed';

  constructor(cause: unknown) {
    super(body(HttpStatus.SERVICE_UNAVAILABLE, 'user_lookup_failed', 'The user cannot be looked up. Try again.'), {
      cause,
    });
  }
}

/** 500: no serializer takes this user, or `userId` gave nothing to know them by. */
export class UserNotSerializableException extends InternalServerErrorException {
  readonly code: SessionAuthErrorCode = 'user_not_serializable';

  constructor(reason: string) {
    super(body(HttpStatus.INTERNAL_SERVER_ERROR, 'user_not_serializable', 'The user cannot be kept in a session.'), {
      cause: new Error(reason),
    });
    this.message = reason;
  }
}

/** 500: the session holds a value JSON cannot carry (a BigInt, a circular value). What was stored before is unharmed. */
export class SessionNotSerializableException extends InternalServerErrorException {
  readonly code: SessionAuthErrorCode = 'session_not_serializable';

  constructor(
    /** The top-level key of the session that cannot be written. */
    readonly key: string,
    cause: unknown,
  ) {
    super(body(HttpStatus.INTERNAL_SERVER_ERROR, 'session_not_serializable', 'The session could not be saved.'), {
      cause,
    });
    this.message = `The session's key "${key}" cannot be written as JSON.`;
  }
}

/** 500: a login was refused because its cookie could not have reached the browser. Nothing was stored. */
export class CookieNotSendableException extends InternalServerErrorException {
  readonly code: SessionAuthErrorCode = 'cookie_not_sendable';

  constructor(reason: string) {
    super(body(HttpStatus.INTERNAL_SERVER_ERROR, 'cookie_not_sendable', 'The login cookie could not be sent.'), {
      cause: new Error(reason),
    });
    this.message = reason;
  }
}

/** 500: the route has no session: it is excluded, lies outside `cookie.path`, or the request is not one of this application. */
export class SessionUnavailableException extends InternalServerErrorException {
  readonly code: SessionAuthErrorCode = 'session_unavailable';

  constructor() {
    super(
      body(
        HttpStatus.INTERNAL_SERVER_ERROR,
        'session_unavailable',
        'This route has no session. Check the options "exclude" and "cookie.path", and that SessionAuthModule is imported.',
      ),
    );
  }
}
