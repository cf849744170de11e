import session, { type SessionData } from 'express-session';
import type { SessionRequest } from './session-request.js';

/** The callback of a method of `req.session`. Its argument is the error, if there was one. */
type Callback = (error?: unknown) => void;

/** The request that an {@link ExpressSession} belongs to. It carries out the methods that reach the store. */
export interface SessionOwner {
  save(session: ExpressSession): Promise<void>;
  reload(session: ExpressSession): Promise<void>;
  destroy(session: ExpressSession): Promise<void>;
  regenerate(session: ExpressSession): Promise<void>;
}

/** `req.session.cookie`. express-session's types hide what is here besides its own `Cookie`. */
export type Cookie = Omit<session.Cookie, 'expires'> & {
  expires: Date | null;
  serialize(name: string, value: string): string;
};
/** The class of {@link Cookie}, which express-session's types keep private. */
export const CookieClass = session.Cookie as unknown as new (attributes: object) => Cookie;

/** express-session's class. Its types hide the constructor that every one of its stores calls. */
const SessionClass = session.Session as unknown as new (
  request: SessionRequest,
  data?: object,
) => session.Session & Partial<SessionData>;

/**
 * `req.session`: express-session's `Session` with all its methods. Those that reach the store go through the request.
 */
export class ExpressSession extends SessionClass {
  readonly #owner: SessionOwner;

  constructor(request: SessionRequest, owner: SessionOwner, data?: object) {
    super(request, data);
    this.#owner = owner;
  }

  /** `save()` as a promise. Static, since the name of a method would be taken from the application's data. */
  static save(session: ExpressSession): Promise<void> {
    return session.#owner.save(session);
  }

  /** Restarts the cookie's age. express-session's own method would shorten it by the time since it was set. */
  override resetMaxAge(): this {
    const { originalMaxAge } = this.cookie;
    super.resetMaxAge();
    this.cookie.originalMaxAge = originalMaxAge;
    return this;
  }

  override save(callback?: Callback): this {
    return this.#settle(this.#owner.save(this), callback);
  }

  override reload(callback: Callback): this {
    return this.#settle(this.#owner.reload(this), callback);
  }

  override destroy(callback?: Callback): this {
    return this.#settle(this.#owner.destroy(this), callback);
  }

  override regenerate(callback: Callback): this {
    return this.#settle(this.#owner.regenerate(this), callback);
  }

  /** Without a callback nobody waits. A failure of the store is an event by then. */
  #settle(work: Promise<void>, callback: Callback = () => undefined): this {
    void work.then(
      () => {
        callback();
      },
      (error: unknown) => {
        callback(error);
      },
    );
    return this;
  }
}

/** What the application keeps in a session: everything but the cookie, which is never stored. */
export function dataOf(session: ExpressSession): Record<string, unknown> {
  const { cookie: _cookie, ...data } = session;
  return data;
}
