import { dataOf, type LiveSession } from '../session/live-session.js';
import { requestSessionOf } from '../session/request-session.js';
import type { SessionRequest } from '../session/session.types.js';
import type { LogInOptions, SessionAuthService } from './session-auth.service.js';

type Done = (error?: unknown) => void;

/** What Passport's `request.logIn()` takes, and what this module's login takes. */
export interface PassportLogInOptions extends LogInOptions {
  /** `false` sets `request.user` for this request alone. Default `true`. */
  session?: boolean;
  /** Passport 0.6: carry everything over. The same as naming every key in `keep`. */
  keepSessionInfo?: boolean;
}

/** What Passport's `request.logOut()` takes. */
interface PassportLogOutOptions {
  /** Passport 0.6: keep what the session holds besides the user. */
  keepSessionInfo?: boolean;
}

/** Passport 0.7's methods of the request, each with a callback or, when none is given, a promise. */
export interface PassportRequestMethods {
  logIn(user: unknown, options?: PassportLogInOptions | Done, done?: Done): Promise<void> | undefined;
  login: PassportRequestMethods['logIn'];
  logOut(options?: PassportLogOutOptions | Done, done?: Done): Promise<void> | undefined;
  logout: PassportRequestMethods['logOut'];
  isAuthenticated(): boolean;
  isUnauthenticated(): boolean;
}

/* Passport's types know its methods with a callback only. */
declare global {
  // eslint-disable-next-line @typescript-eslint/no-namespace -- Express's own way to add to its requests.
  namespace Express {
    interface Request {
      /** Logs the user in on a new session, stored when it resolves. */
      logIn(user: User, options?: PassportLogInOptions): Promise<void>;
      /** The same as `logIn`. */
      login(user: User, options?: PassportLogInOptions): Promise<void>;
      /** Ends the session, in the store as well when it resolves. */
      logOut(options?: PassportLogOutOptions): Promise<void>;
      /** The same as `logOut`. */
      logout(options?: PassportLogOutOptions): Promise<void>;
    }
  }
}

/**
 * Gives requests Passport's methods, by way of the service: code written for Passport works unchanged. The functions
 * are made once per application; a request is only handed them.
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

/** Gives a request the methods, unless it has them from its prototype. */
export function equip(request: SessionRequest, methods: PassportRequestMethods): void {
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
  const everything = keepSessionInfo && request.session ? Object.keys(dataOf(request.session as LiveSession)) : [];
  await service.logIn(request, user, { ...options, keep: [...(options.keep ?? []), ...everything] });
}

async function passportLogOut(
  request: SessionRequest,
  { keepSessionInfo = false }: PassportLogOutOptions,
): Promise<void> {
  const { passport: _passport, ...rest } = request.session ? dataOf(request.session as LiveSession) : {};
  request.user = null;
  await requestSessionOf(request)?.logOut(keepSessionInfo ? rest : {});
}

function isAuthenticated(this: SessionRequest): boolean {
  return Boolean(this.user);
}

function isUnauthenticated(this: SessionRequest): boolean {
  return !this.user;
}

/** Runs the work for a caller that gave options, a callback, both or neither. */
function settle<Options extends object>(
  options: Options | Done | undefined,
  done: Done | undefined,
  work: (options: Partial<Options>) => Promise<void>,
): Promise<void> | undefined {
  const callback = typeof options === 'function' ? options : done;
  const running = work(typeof options === 'object' ? options : {});
  if (callback === undefined) {
    // Passport 0.5's `req.logout();` waits for nothing: its failure is an event, and must not end the process.
    running.catch(() => undefined);
    return running;
  }
  void running.then(() => {
    callback();
  }, callback);
  return undefined;
}
