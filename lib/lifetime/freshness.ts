import type { LoginRecord } from '../session/session-record.js';

/** What a route asks of a login, by `@RequireFreshLogin()`. */
export interface FreshnessRequirement {
  /** The user proved who they are within this time, in milliseconds. */
  readonly maxAge: number;
  /** They did so by one of these methods. */
  readonly methods?: readonly string[] | undefined;
  /** One proof is good for one request. */
  readonly once?: boolean | undefined;
}

/**
 * Whether a login is as fresh as required. It counts from the proof itself: activity and rotation do not refresh it, and a
 * remembered login never was fresh.
 */
export function isFresh(login: LoginRecord, { maxAge, methods, once }: FreshnessRequirement, now: number): boolean {
  return (
    now - login.at < maxAge &&
    login.remembered !== true &&
    (methods === undefined || (login.method !== undefined && methods.includes(login.method))) &&
    !(once === true && login.spent === true)
  );
}
