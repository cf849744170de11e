import {
  type DeviceMarker,
  joinMarkers,
  MARKER_LIVES_FOR,
  type MarkedUser,
  markerKeys,
  type MarkerKeys,
  openMarker,
  sealMarker,
  splitMarkers,
} from '../model/device-marker.js';
import type { ResolvedSessionAuthOptions } from '../session-auth.options.js';
import { CookieClass } from './express-session.js';
import { isSecure, type SessionRequest } from './session-request.js';

/** A sibling host may have set cookies of our name. Those after so many are ignored. */
const MOST_COOKIES = 4;

/**
 * Reads and writes the cookie of a browser's markers: one for each user who has logged in on it. It is HttpOnly, and of
 * this host alone.
 */
export class DeviceCookies {
  readonly #name: string;
  readonly #pair: RegExp;
  readonly #keys: MarkerKeys;

  constructor(
    secrets: ResolvedSessionAuthOptions['secrets'],
    private readonly attributes: ResolvedSessionAuthOptions['cookie'],
  ) {
    this.#name = attributes.secure === true ? '__Host-Http-device' : 'device';
    this.#pair = new RegExp(`(?:^|;)[ \\t]*${this.#name}[ \\t]*=([^;]*)`, 'g');
    this.#keys = markerKeys(secrets);
  }

  /** This user's marker; `undefined` where the request shows none. */
  find(request: SessionRequest, user: MarkedUser, now: number): DeviceMarker | undefined {
    const found = this.#shown(request).flatMap((text) => openMarker(text, user, this.#keys, now) ?? []);
    return found.sort((one, other) => other.at - one.at)[0];
  }

  /** The `Set-Cookie` value that has the browser keep this marker of the user, beside those of others. */
  issue(request: SessionRequest, user: MarkedUser, marker: DeviceMarker): string {
    const others = this.#shown(request).filter((text) => openMarker(text, user, this.#keys, 0) === undefined);
    const { sameSite, secure, partitioned } = this.attributes;
    const cookie = new CookieClass({
      path: '/',
      sameSite,
      secure: secure === 'auto' ? isSecure(request) : secure,
      ...(partitioned && { partitioned }),
    });
    const value = joinMarkers([sealMarker(marker, user, this.#keys), ...others]);
    return `${cookie.serialize(this.#name, value)}; Max-Age=${MARKER_LIVES_FOR / 1_000}`;
  }

  /** What may be markers in the request's cookies, each once. */
  #shown({ headers: { cookie = '' } }: SessionRequest): string[] {
    const texts: string[] = [];
    let found = 0;
    for (const [, value = ''] of cookie.matchAll(this.#pair)) {
      texts.push(...splitMarkers(value.trim()));
      if (++found === MOST_COOKIES) {
        break;
      }
    }
    return [...new Set(texts)];
  }
}
