import { prepareRequest } from './request-properties.js';
import type { SessionRequest } from './session-request.js';

/** What a stand-in has of its request. */
const KEPT: readonly PropertyKey[] = ['url', 'headers', 'socket'];

/**
 * A request that stands for the one of a handshake, for as long as its connection lasts. It has what a guard may ask for.
 * It has neither what it takes to read a body, which is most of Node's request, nor the cookies, which open the session.
 */
export function standInFor({ url, headers, socket }: SessionRequest): SessionRequest {
  const standIn = { url, headers, socket } as SessionRequest;
  prepareRequest(standIn);
  return standIn;
}

/** Lets a stand-in forget the cookies, once its session has been read. */
export function forgetCookies(standIn: SessionRequest): void {
  const { cookie: _cookie, ...others } = standIn.headers;
  standIn.headers = others;
}

/** Shows on a request what its stand-in has besides: the session, the user, and Passport's methods. */
export function showOn(request: SessionRequest, standIn: SessionRequest): void {
  const source = standIn as unknown as Record<PropertyKey, unknown>;
  for (const key of Reflect.ownKeys(standIn).filter((own) => !KEPT.includes(own))) {
    Object.defineProperty(request, key, {
      configurable: true,
      enumerable: true,
      get: () => source[key],
      set: (value: unknown) => {
        source[key] = value;
      },
    });
  }
}
