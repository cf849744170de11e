import {
  HttpException,
  HttpStatus,
  InternalServerErrorException,
  ServiceUnavailableException,
  UnauthorizedException,
} from '@nestjs/common';

/** Every way this module can fail, by a code that stays the same from version to version. */
export type SessionAuthErrorCode =
  | 'invalid_option'
  | 'no_serializer'
  | 'unknown_strategy'
  | 'unauthenticated'
  | 'login_failed'
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

/** The answer's body: what Nest sends for any exception, and the code. */
function body(statusCode: number, code: SessionAuthErrorCode, message: string): Record<string, unknown> {
  return { statusCode, code, message };
}

/** 401: the request carries no live login. Code `unauthenticated`. */
export class UnauthenticatedException extends UnauthorizedException {
  readonly code: SessionAuthErrorCode = 'unauthenticated';

  constructor(message = 'You are not logged in.') {
    super(body(HttpStatus.UNAUTHORIZED, 'unauthenticated', message));
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
