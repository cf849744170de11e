/* `User` below is Express.User, which @types/passport declares. */
/// <reference types="passport" preserve="true" />
import { dataOf, type ExpressSession } from '../http/express-session.js';
import type { SessionRequest } from '../http/session-request.js';
import { requestSessionOf } from '../session/request-session.js';
import type { LogInOptions } from './log-in-options.js';
import type { SessionAuthService } from './session-auth.service.js';

type Done = (error?: unknown) => void;

/** Options of `request.logIn()`: Passport's, and those of this module's login. */
export interface PassportLogInOptions extends LogInOptions {
  /** `false` sets `request.user` for this request alone. Default `true`. */
  session?: boolean;
  /** Passport 0.6: carries everything over, as if `keep` named every key. */
  keepSessionInfo?: boolean;
}

/** Options of Passport's `request.logOut()`. */
interface PassportLogOutOptions {
  /** Passport 0.6: keeps what the session contains besides the user. */
  keepSessionInfo?: boolean;
}

/** Passport 0.7's methods of a request. Each takes a callback or returns a promise. */
export interface PassportRequestMethods {
  logIn(user: unknown, options?: PassportLogInOptions | Done, done?: Done): Promise<void> | undefined;
  login: PassportRequestMethods['logIn'];
  logOut(options?: PassportLogOutOptions | Done, done?: Done): Promise<void> | undefined;
  logout: PassportRequestMethods['logOut'];
  isAuthenticated(): boolean;
  isUnauthenticated(): boolean;
}

/* Passport's own types have its methods with a callback only. */
declare global {
  // eslint-disable-next-line @typescript-eslint/no-namespace -- Express's own way to add to its requests.
  namespace Express {
    interface Request {
      /** Logs the user in on a new session, which is stored when the promise resolves. */
      logIn(user: User, options?: PassportLogInOptions): Promise<void>;
      /** The same as `logIn`. */
      login(user: User, options?: PassportLogInOptions): Promise<void>;
      /** Ends the session. The store has ended it when the promise resolves. */
      logOut(options?: PassportLogOutOptions): Promise<void>;
      /** The same as `logOut`. */
      logout(options?: PassportLogOutOptions): Promise<void>;
    }
  }
}

/**
 * Passport's request methods on top of the service: code written for Passport works unchanged. The functions are made
 * once for an application and shared by all its requests.
 */
export function passportMethods(service: SessionAuthService): PassportRequestMethods {
  function logIn(this: SessionRequest, user: unknown, options?: PassportLogInOptions | Done, done?: Done) {
    return settle(options, done, (given) => passportLogIn(service, this, user, given));
  }

  function logOut(this: SessionRequest, options?: PassportLogOutOptions | Done, done?: Done) {
    return settle(options, done, (given) => passportLogOut(this, given));
  }

  return { logIn, login: logIn, logOut, logout: logOut, isAuthenticated, isUnauthenticated };
}

/** Gives a request the methods, unless its prototype has them. */
export function addPassportMethods(request: SessionRequest, methods: PassportRequestMethods): void {
  if ((request as Partial<PassportRequestMethods>).logIn !== methods.logIn) {
    Object.assign(request, methods);
  }
}

async function passportLogIn(
  service: SessionAuthService,
  request: SessionRequest,
  user: unknown,
  { session = true, keepSessionInfo = false, ...options }: PassportLogInOptions,
): Promise<void> {
  if (!session) {
    request.user = user;
    return;
  }
  const everything = keepSessionInfo && request.session ? Object.keys(dataOf(request.session as ExpressSession)) : [];
  await service.logIn(request, user, { ...options, keep: [...(options.keep ?? []), ...everything] });
}

async function passportLogOut(
  request: SessionRequest,
  { keepSessionInfo = false }: PassportLogOutOptions,
): Promise<void> {
  const { passport: _passport, ...rest } = request.session ? dataOf(request.session as ExpressSession) : {};
  request.user = null;
  await requestSessionOf(request)?.logOut(keepSessionInfo ? rest : {});
}

function isAuthenticated(this: SessionRequest): boolean {
  return Boolean(this.user);
}

function isUnauthenticated(this: SessionRequest): boolean {
  return !this.user;
}

/** Runs the work for a caller that has given options, a callback, both or neither. */
function settle<Options extends object>(
  options: Options | Done | undefined,
  done: Done | undefined,
  work: (options: Partial<Options>) => Promise<void>,
): Promise<void> | undefined {
  const callback = typeof options === 'function' ? options : done;
  const running = work(typeof options === 'object' ? options : {});
  if (callback === undefined) {
    // Nobody waits for Passport 0.5's `req.logout();`. A failure is an event, and must not end the process.
    running.catch(() => undefined);
    return running;
  }
  void running.then(() => {
    callback();
  }, callback);
  return undefined;
}
