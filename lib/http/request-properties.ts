import type { Session, Store } from 'express-session';
import { ExpressSession } from './express-session.js';
import type { SessionRequest } from './session-request.js';

/** What is attached to a request. It provides `req.sessionID`, `req.sessionStore` and, on first use, `req.session`. */
export interface AttachedSession {
  /** The session's handle; `undefined` where there is no session. */
  readonly handle: string | undefined;
  readonly store: Store;
  /** Makes `req.session`, unless it is there already. */
  expressSession(): ExpressSession | undefined;
}

/** Where a request keeps its session. A property costs the garbage collector less than an entry of a WeakMap. */
const SESSION = Symbol.for('nestjs-session-auth:session');
type SessionHolder = Partial<Record<typeof SESSION, AttachedSession>>;

/** `req.sessionID` and `req.sessionStore`, for one request or for the prototype of an application's requests. */
export const SESSION_PROPERTIES: PropertyDescriptorMap = {
  sessionID: {
    configurable: true,
    get(this: SessionRequest) {
      return attachedTo(this)?.handle;
    },
    set(this: SessionRequest, value: unknown) {
      defineOwn(this, 'sessionID', value);
    },
  },
  sessionStore: {
    configurable: true,
    get(this: SessionRequest) {
      return attachedTo(this)?.store;
    },
    set(this: SessionRequest, value: unknown) {
      defineOwn(this, 'sessionStore', value);
    },
  },
};

/** `req.session`, made when it is first read. It is the request's own property, so that a handler can delete it. */
const LAZY_SESSION: PropertyDescriptor = {
  configurable: true,
  enumerable: true,
  get(this: SessionRequest) {
    addSessionProperties(this);
    const session = attachedTo(this)?.expressSession();
    if (session !== undefined) {
      defineOwn(this, 'session', session);
    }
    return session;
  },
  set(this: SessionRequest, value: unknown) {
    defineOwn(this, 'session', value);
  },
};

/** Gives a request the properties that it will need. As for its response, this is best done before Express sees it. */
export function prepareRequest(request: SessionRequest): void {
  (request as SessionHolder)[SESSION] = undefined;
  request.user = undefined;
  Object.defineProperty(request, 'session', LAZY_SESSION);
}

/** Attaches a session to a request. `req.session` is there after {@link exposeSession}. */
export function attach(request: SessionRequest, session: AttachedSession): void {
  (request as SessionHolder)[SESSION] = session;
}

/** What is attached to a request, if anything: Node's or Express's own, or a request that has Node's at `raw`. */
export function attachedTo(request: unknown): AttachedSession | undefined {
  if (typeof request !== 'object' || request === null) {
    return undefined;
  }
  return (request as SessionHolder)[SESSION] ?? (request as { raw?: SessionHolder }).raw?.[SESSION];
}

/** Puts the attached session at `req.session`, in place of whatever is there. */
export function exposeSession(request: SessionRequest): void {
  const own = Object.getOwnPropertyDescriptor(request, 'session');
  if (own === undefined || !isLazy(own)) {
    Object.defineProperty(request, 'session', LAZY_SESSION);
  }
  addSessionProperties(request);
}

/** Unless they are there. Another Express application, called by hand, replaces the prototype that has them. */
function addSessionProperties(request: SessionRequest): void {
  if (!('sessionID' in request)) {
    Object.defineProperties(request, SESSION_PROPERTIES);
  }
}

/** Whether `req.session` is a session of this module. Does not make one. */
export function isSessionExposed(request: SessionRequest): boolean {
  const own = Object.getOwnPropertyDescriptor(request, 'session');
  return own !== undefined && (isLazy(own) || own.value instanceof ExpressSession);
}

/** Whether a handler has put an object at `req.session` that is nobody's session, such as `{}` or a spread copy. */
export function isSessionReplaced(request: SessionRequest): boolean {
  const value = Object.getOwnPropertyDescriptor(request, 'session')?.value as Partial<Session> | null | undefined;
  return typeof value === 'object' && value !== null && typeof value.save !== 'function';
}

/** Whether this is `req.session` as it was put there, and not something that a handler has put in its place. */
function isLazy(own: PropertyDescriptor): boolean {
  return own.set === LAZY_SESSION.set;
}

/** Replaces a property on one request: an express-session at another path sets its own `req.session`, for example. */
export function defineOwn(request: SessionRequest, name: string, value: unknown): void {
  Object.defineProperty(request, name, { value, configurable: true, enumerable: true, writable: true });
}
