import { parseData } from '../model/session-data.js';
import { newUserSessionId, type SessionId } from '../model/session-id.js';
import type { MarkedUser } from '../model/device-marker.js';
import type { PendingLogin, Spared } from '../model/login-record.js';
import { proved, recordOfCompletedLogin, recordOfPendingLogin, withoutTrust } from '../model/pending-login.js';
import {
  type NewLogin,
  type NewProof,
  recordOfLogin,
  recordOfStepUp,
  type SessionRecord,
} from '../model/session-record.js';
import {
  CookieNotSendableException,
  SessionStoreUnavailableException,
  UnauthenticatedException,
} from '../session-auth.errors.js';
import type { SaveResult } from '../store/merged-save.js';
import { LoadedSession } from './loaded-session.js';
import { LoginDevice } from './login-device.js';
import type { LoginBrowser } from './session-reporter.js';
import { SessionState } from './session-state.js';

/** How a request logs a user in, step by step, and has them prove again who they are. */
export class LoginSession extends SessionState {
  /** The Passport strategy that names the user, while their login is under way. */
  strategy: string | undefined;
  /** The session that a login on this request has opened. */
  protected opened: SessionRecord | undefined;
  /** The request ends its session by itself: it logs out, or in again. */
  protected leaves = false;
  #isOpenToOtherSites: boolean | undefined;

  /**
   * The request comes from another site, and asks for what is open to those, or not: then a login is refused. GraphQL may
   * ask for several things at once. All must be open.
   */
  openToOtherSites(isOpen: boolean): void {
    this.#isOpenToOtherSites = isOpen && this.#isOpenToOtherSites !== false;
  }

  /** @throws CrossSiteRequestException where the request comes from another site, and that may log nobody in here */
  refuseLoginFromElsewhere(): void {
    const { crossSite } = this.runtime;
    if (this.#isOpenToOtherSites !== true && crossSite.concerns(this.request)) {
      throw crossSite.refuse(this.request, 'A login', this.handle);
    }
  }

  /** Those of these methods that this login need not prove, since the request's browser is trusted. */
  spared(login: NewLogin['login'], methods: readonly string[]): Promise<Spared | undefined> {
    return this.#deviceOf(login).spared(methods);
  }

  /**
   * Opens a session for this user under a new id. When it resolves, that is stored and the former one has ended. If the
   * trust has ended meanwhile by which methods are spared, these are missing: see {@link logInPending}.
   */
  logIn(newLogin: NewLogin, user: unknown): Promise<void> {
    return this.exposed.run(async () => {
      this.#checkLogInPossible();
      this.leaves = true;
      const { login, spared } = newLogin;
      const id = newUserSessionId(login.userId);
      const record = recordOfLogin(id, newLogin, this.runtime.clock.now());
      const device = this.#deviceOf(login);
      const marker = await device.mark();
      const replaced = [this.record ?? [], await this.others.take()].flat();
      if (await this.repository.logIn(record, login.userId, replaced, this.#browser(device, spared))) {
        await this.#open(id, record, user, marker);
      } else {
        await this.#openPending({ ...newLogin, spared: undefined }, spared?.methods ?? [], user, replaced);
      }
    });
  }

  /**
   * Opens a session for a login of which these methods are missing. It is nobody's until they are proved. Its handle is of
   * the user's form, so that the last step can replace it by the user's session at once: both are in one slot.
   */
  logInPending(newLogin: NewLogin, missing: readonly string[], user: unknown): Promise<void> {
    return this.exposed.run(async () => {
      this.#checkLogInPossible();
      this.leaves = true;
      await this.#openPending(newLogin, missing, user, [this.record ?? [], await this.others.take()].flat());
    });
  }

  async #openPending(
    newLogin: NewLogin,
    missing: readonly string[],
    user: unknown,
    replaced: readonly SessionRecord[],
  ): Promise<void> {
    const id = newUserSessionId(newLogin.login.userId);
    const record = recordOfPendingLogin(id, newLogin, missing, this.runtime.clock.now());
    await this.repository.logInPending(record, replaced, this);
    await this.#open(id, record, undefined);
    this.setPendingUser(user);
  }

  /**
   * One of the missing methods was proved. With the last one the user is logged in, under a new id: of requests that
   * prove it at the same time, one logs in. If the trust has ended by which others were spared, these are missing now.
   *
   * @param trustFor for how long this browser is to be spared the method from then on, in milliseconds
   */
  proveMethod(method: string, trustFor?: number): Promise<void> {
    return this.exposed.run(async () => {
      if (this.pendingUser === undefined) {
        throw this.denial;
      }
      this.#checkLogInPossible();
      const complete = await this.#noteProved((pending) => proved(pending, method, trustFor, this.runtime.clock.now()));
      if (complete !== undefined && !(await this.#complete(complete))) {
        await this.#noteProved((pending) => proved(withoutTrust(pending), method, trustFor, this.runtime.clock.now()));
      }
    });
  }

  /** Stores that a method was proved, and others are missing. Returns the login where none is. */
  async #noteProved(prove: (pending: PendingLogin) => PendingLogin | undefined): Promise<PendingLogin | undefined> {
    let next: PendingLogin | undefined;
    const isOneOfSeveral = await this.exposed.amend(({ pending }) => {
      next = pending && prove(pending);
      return next !== undefined && next.missing.length > 0 ? { pending: next } : undefined;
    });
    const { record } = this;
    if (isOneOfSeveral && record !== undefined) {
      this.repository.reporter.loginPending(record, this);
      return undefined;
    }
    if (next?.missing.length === 0) {
      return next;
    }
    throw next === undefined ? this.denial : new UnauthenticatedException(); // It has ended meanwhile.
  }

  /**
   * If that fails, the login is pending as before, and the last method can be proved again. Returns false likewise where
   * the trust has ended by which a method was spared.
   */
  async #complete(pending: PendingLogin): Promise<boolean> {
    const { login, spared, trustFor } = pending;
    const device = this.#deviceOf(login);
    const marker = await device.mark(trustFor);
    const id = newUserSessionId(login.userId);
    for (const other of await this.others.take()) {
      await this.repository.logOut(other, 'replaced');
    }
    const renewal = (latest: string) => recordOfCompletedLogin(id, latest, pending, this.runtime.clock.now());
    return this.#goOn(id, this.pendingUser, marker, ({ record, data }) =>
      this.repository.completeLogin(record, data, renewal, this.#browser(device, spared)),
    );
  }

  /**
   * Gives the session a new id after a new proof of who the user is. It keeps its data and its limits.
   *
   * @param trustFor for how long this browser is to be spared the proof's method from now on, in milliseconds
   */
  reauthenticate(proof: NewProof, user: unknown, trustFor?: number): Promise<void> {
    return this.exposed.run(async () => {
      this.#checkLogInPossible();
      const { login } = this.record ?? {};
      if (login === undefined) {
        throw new UnauthenticatedException();
      }
      const { userId, kind } = login;
      const isMarked = proof.method !== undefined && trustFor !== undefined;
      const device = this.#deviceOf({ userId, kind, stamp: proof.stamp });
      const marker = isMarked ? await device.mark([[proof.method, trustFor]]) : undefined;
      const id = newUserSessionId(userId);
      await this.#goOn(id, user, marker, ({ record, data }) =>
        this.repository.reauthenticate(this, record, data, (latest, replaced) =>
          recordOfStepUp(id, latest, replaced, proof, this.runtime.clock.now()),
        ),
      );
    });
  }

  /**
   * The session goes on as this user's under another id, unless it has ended meanwhile. Returns false, and does nothing,
   * where the trust has ended by which it was spared a method.
   *
   * @param marker the cookie that the login sets in the browser beside that of the session
   */
  async #goOn(
    id: SessionId,
    user: unknown,
    marker: string | undefined,
    renew: (former: { record: SessionRecord; data: string }) => Promise<SaveResult | undefined>,
  ): Promise<boolean> {
    const { loaded } = this.exposed;
    if (loaded?.record === undefined) {
      throw new UnauthenticatedException(this.signOutReason);
    }
    const result = await renew({ record: loaded.record, data: loaded.data });
    if (result?.outcome === 'ended') {
      this.exposed.lose(loaded, result);
      this.setUser(undefined);
      throw new UnauthenticatedException(this.signOutReason);
    }
    if (result !== undefined) {
      await this.#open(id, result.record, user, marker);
    }
    return result !== undefined;
  }

  #browser({ isNew }: LoginDevice, spared: Spared | undefined): LoginBrowser {
    return { spared, isNew, strategy: this.strategy };
  }

  #deviceOf(login: MarkedUser): LoginDevice {
    return new LoginDevice(this.request, this.runtime, this.repository, login);
  }

  async #open(id: SessionId, record: SessionRecord, user: unknown, marker?: string): Promise<void> {
    if (this.cookie.isAbandoned || this.cookie.isSent) {
      await this.repository.logOut(record); // Meanwhile: no browser gets its id.
      throw new CookieNotSendableException('The client has hung up, or the response has begun.');
    }
    this.exposed.expose(new LoadedSession(id, record, parseData(record.data)));
    this.cookie.issue(id, record);
    this.cookie.accompany(marker);
    this.opened = record;
    this.setUser(user);
  }

  #checkLogInPossible(): void {
    if (this.failure instanceof SessionStoreUnavailableException) {
      throw this.failure;
    }
    this.refuseLoginFromElsewhere();
    // Otherwise the login would end other sessions of this browser or user, for one whose id no browser gets.
    this.cookie.checkSendable();
  }
}
