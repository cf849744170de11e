import type { IncomingMessage } from 'node:http';
import expressSession, { type CookieOptions, type SessionOptions } from 'express-session';
import type { CookieOptions as OurCookieOptions } from '../../lib/session-auth.options.js';
import { systemClock } from '../../lib/model/clock.js';
import { ForeignStoreAdapter } from '../../lib/store/foreign-store-adapter.js';
import { requestSessionOf } from '../../lib/session/request-session.js';
import type { SessionRequest, SessionResponse } from '../../lib/http/session-request.js';
import { sessionLoop, type SessionLoop } from '../support/session-loop.js';

/*
 * `session(options)` as express-session's own tests call it, on the request loop of this package. It maps the options
 * that have a counterpart here and leaves out the rest: `resave`, `saveUninitialized`, `rolling`, `unset`, `genid`,
 * `proxy: false`, `cookie.httpOnly`, `cookie.priority`, and `req.secret`.
 */

/** Has the application store a value in every session that is still empty when its response begins. */
const STORING = process.env['COMPAT_STORING'] === '1';

const FOREVER = 1000 * 86_400_000;
const STORE_TIMEOUT = 1_000;

type Next = (error?: unknown) => void;
type WantedCookie = Omit<CookieOptions, 'expires' | 'sameSite'> & {
  expires?: Date | null;
  sameSite?: OurCookieOptions['sameSite'] | 'auto';
};

function session(options: SessionOptions & { key?: string }): unknown {
  const store = options.store ?? new expressSession.MemoryStore();
  const atomic = new ForeignStoreAdapter(store, systemClock, STORE_TIMEOUT);
  const loops = new Map<string, SessionLoop>();

  /** The loop for these cookie options, which may depend on the request. */
  function loopFor(cookie: OurCookieOptions): SessionLoop {
    const key = JSON.stringify(cookie);
    const loop = loops.get(key) ?? sessionLoop(loopOptions(cookie));
    loops.set(key, loop);
    return loop;
  }

  function loopOptions(cookie: OurCookieOptions) {
    return {
      secret: options.secret as string | string[],
      cookie: { ...cookie, name: options.name ?? options.key ?? 'connect.sid' },
      lifetime: { idle: FOREVER, absolute: FOREVER },
      store,
      atomic,
    };
  }

  // What is wrong in the options is found out at once, as at an application's boot.
  if (typeof options.cookie !== 'function') {
    loopFor({});
  }

  return (request: SessionRequest, response: SessionResponse, next: Next): void => {
    if (options.proxy === true) {
      request.secure = forwardedProtocol(request) === 'https';
    }
    const { cookie } = options;
    const wanted = ((typeof cookie === 'function' ? cookie(request as never) : cookie) ?? {}) as WantedCookie;
    const { use } = loopFor(ourCookie(wanted, request));
    use(request, response, (error) => {
      // The loop calls it once more with what fails after the handler has begun.
      if (error === undefined && requestSessionOf(request) !== undefined) {
        giveAge(request, wanted);
        if (STORING && options.saveUninitialized !== false) storeSomething(request, response);
      }
      next(error);
    });
  };
}

/** The attributes that the `cookie` option has here. */
function ourCookie(wanted: WantedCookie, request: SessionRequest): OurCookieOptions {
  const { path, domain, secure, sameSite, partitioned } = wanted;
  const isSecure = (request.socket as { encrypted?: boolean }).encrypted === true || request.secure === true;
  return {
    path: path ?? '/',
    domain,
    secure: secure ?? false,
    sameSite: sameSite === 'auto' ? (isSecure ? 'none' : 'lax') : sameSite,
    partitioned: partitioned ?? false,
  };
}

/** The age of a cookie is no option here, but what an application asks of a session. Without one it ends with the browser. */
function giveAge(request: SessionRequest, { maxAge, expires }: WantedCookie): void {
  if (request.session === undefined || requestSessionOf(request)?.record !== undefined) {
    return;
  }
  if (typeof maxAge === 'number') {
    Object.assign(request.session.cookie, { maxAge, originalMaxAge: maxAge });
  } else {
    Object.assign(request.session.cookie, { expires: expires ?? null });
  }
}

function storeSomething(request: SessionRequest, response: SessionResponse): void {
  for (const method of ['writeHead', 'flushHeaders', 'write', 'end'] as const) {
    const original = response[method].bind(response) as (...args: unknown[]) => never;
    response[method] = (...args: unknown[]) => {
      const { session } = request;
      if (session && requestSessionOf(request)?.record === undefined && Object.keys(session).join() === 'cookie') {
        Object.assign(session, { stored: true });
      }
      return original(...args);
    };
  }
}

function forwardedProtocol({ headers }: IncomingMessage): string | undefined {
  const [first] = String(headers['x-forwarded-proto'] ?? '').split(',');
  return first?.trim().toLowerCase();
}

export default Object.assign(session, {
  Store: expressSession.Store,
  Cookie: expressSession.Cookie,
  Session: expressSession.Session,
  MemoryStore: expressSession.MemoryStore,
});
