import { unsign } from 'cookie-signature';
import { type OldCookieAttributes, type OldId, oldId } from '../model/old-session.js';
import { parseSessionId } from '../model/session-id.js';
import type { ResolvedSessionAuthOptions } from '../session-auth.options.js';
import { CookieValues } from './cookie-values.js';
import { CookieClass } from './express-session.js';
import type { SessionRequest } from './session-request.js';

/** Reads the cookie of the stack that is being moved from, signed as express-session signs it, and takes it back. */
export class OldCookies {
  readonly #values: CookieValues;
  readonly #secrets: readonly string[];

  constructor({ cookie, secrets }: NonNullable<ResolvedSessionAuthOptions['adopt']>) {
    this.#values = new CookieValues(cookie);
    this.#secrets = secrets;
  }

  /** The first id in the request's cookies whose signature holds. */
  read(request: SessionRequest): OldId | undefined {
    return this.readAll(request).next().value;
  }

  /** All of them: a browser may hold several cookies of one name. */
  *readAll(request: SessionRequest): Generator<OldId, undefined> {
    for (const value of this.#values.in(request.headers.cookie)) {
      const id = value.startsWith('s:') ? value.slice(2, Math.max(2, value.lastIndexOf('.'))) : '';
      // One of our own ids may be signed by the same secret.
      const isOld = id !== '' && parseSessionId(id) === undefined;
      const signedBy = isOld ? this.#secrets.find((secret) => unsign(value.slice(2), secret) === id) : undefined;
      if (signedBy !== undefined) {
        yield oldId(id, signedBy);
      }
    }
    return undefined;
  }

  /** The `Set-Cookie` value that makes the browser forget the cookie. */
  takeBack(attributes: OldCookieAttributes): string {
    const cookie = new CookieClass(attributes);
    cookie.expires = new Date(0);
    return cookie.serialize(this.#values.name, '');
  }
}
