import session, { type SessionData } from 'express-session';
import type { SessionRequest } from './session.types.js';

/** What a method of `req.session` calls when it is done, with why it failed if it has. */
type Callback = (error?: unknown) => void;

/** What a {@link LiveSession} does by way of its request. */
export interface SessionOwner {
  save(session: LiveSession): Promise<void>;
  reload(session: LiveSession): Promise<void>;
  destroy(session: LiveSession): Promise<void>;
  regenerate(session: LiveSession): Promise<void>;
}

/** express-session's class; its types hide the constructor that every store of its own calls. */
const SessionClass = session.Session as unknown as new (
  request: SessionRequest,
  data?: object,
) => session.Session & Partial<SessionData>;

/**
 * `req.session`: express-session's `Session` with all its methods. Those that reach the store do so by way of the
 * request that owns it, which knows what was loaded and what has ended since.
 */
export class LiveSession extends SessionClass {
  readonly #owner: SessionOwner;

  constructor(request: SessionRequest, owner: SessionOwner, data?: object) {
    super(request, data);
    this.#owner = owner;
  }

  /** `save()` as a promise. Static, for a method's name is one less for the application's data. @internal */
  static commit(session: LiveSession): Promise<void> {
    return session.#owner.save(session);
  }

  /** Starts the cookie's age anew, and leaves that age as it is: express-session's loses the ticks between. */
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

  /** Without a callback nobody waits: a failed store has been reported as an event by then. */
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

/** What the application keeps in a session, without the cookie, which is never stored. */
export function dataOf(live: LiveSession): Record<string, unknown> {
  const { cookie: _cookie, ...data } = live;
  return data;
}
