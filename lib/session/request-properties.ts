import type { Store } from 'express-session';
import { LiveSession } from './live-session.js';
import type { SessionRequest } from './session.types.js';

/** What is attached to a request: `req.sessionID`, `req.sessionStore` and, made when asked for, `req.session`. */
export interface AttachedSession {
  readonly id: string | undefined;
  readonly store: Store;
  show(): LiveSession | undefined;
}

/** Where a request keeps its session: a property costs the garbage collector less than a WeakMap's entry. */
const SESSION = Symbol('nestjs-session-auth:session');
type Bearer = Partial<Record<typeof SESSION, AttachedSession>>;

/** `req.sessionID` and `req.sessionStore`, for a request or for the prototype of an application's requests. */
export const SESSION_PROPERTIES: PropertyDescriptorMap = {
  sessionID: {
    configurable: true,
    get(this: SessionRequest) {
      return attachedTo(this)?.id;
    },
    set(this: SessionRequest, value: unknown) {
      makeOwn(this, 'sessionID', value);
    },
  },
  sessionStore: {
    configurable: true,
    get(this: SessionRequest) {
      return attachedTo(this)?.store;
    },
    set(this: SessionRequest, value: unknown) {
      makeOwn(this, 'sessionStore', value);
    },
  },
};

/** `req.session`, made when it is first asked for. The request's own, so that a handler can take it away. */
const LIVE_SESSION: PropertyDescriptor = {
  configurable: true,
  enumerable: true,
  get(this: SessionRequest) {
    return attachedTo(this)?.show();
  },
  set(this: SessionRequest, value: unknown) {
    makeOwn(this, 'session', value);
  },
};

/** Makes room on a request for what it will be given: best done before Express has seen it, as for its response. */
export function prepareRequest(request: SessionRequest): void {
  Object.assign(request, { [SESSION]: undefined, user: undefined });
  Object.defineProperty(request, 'session', LIVE_SESSION);
}

/** Gives a request its session, which it shows from the next {@link present} on. */
export function attach(request: SessionRequest, session: AttachedSession): void {
  (request as Bearer)[SESSION] = session;
}

/** What was attached to a request (Node's or Express's own, or Fastify's with it at `raw`), if anything was. */
export function attachedTo(request: unknown): AttachedSession | undefined {
  if (typeof request !== 'object' || request === null) {
    return undefined;
  }
  return (request as Bearer)[SESSION] ?? (request as { raw?: Bearer }).raw?.[SESSION];
}

/** Puts the request's session at `req.session`, over whatever stands there. */
export function present(request: SessionRequest): void {
  const own = Object.getOwnPropertyDescriptor(request, 'session');
  if (own === undefined || !isLazy(own)) {
    Object.defineProperty(request, 'session', LIVE_SESSION);
  }
  if (!('sessionID' in request)) {
    Object.defineProperties(request, SESSION_PROPERTIES);
  }
}

/** `req.session` is a session of this module. Asking must not make one. */
export function isPresent(request: SessionRequest): boolean {
  const own = Object.getOwnPropertyDescriptor(request, 'session');
  return own !== undefined && (isLazy(own) || own.value instanceof LiveSession);
}

/** Whether this is `req.session` as it was put there, not what a handler has put in its place. */
function isLazy(own: PropertyDescriptor): boolean {
  return own.set === LIVE_SESSION.set;
}

/** Gives a request a property of its own: what somebody else has put there, an express-session at another path, say. */
function makeOwn(request: SessionRequest, name: string, value: unknown): void {
  Object.defineProperty(request, name, { value, configurable: true, enumerable: true, writable: true });
}
