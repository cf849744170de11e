import type { LoginRecord } from './session-record.js';

/** What a route asks of a login, by `@RequireFreshLogin()`. */
export interface FreshnessRequirement {
  /** Longest time since the user proved who they are, in milliseconds. */
  readonly maxAge: number;
  /** The methods that count; all when absent. */
  readonly methods?: readonly string[] | undefined;
  /** One proof is good for one request. */
  readonly once?: boolean | undefined;
}

/**
 * Whether a login is as fresh as required. Only a new proof makes it fresh: activity and rotation do not, and a
 * remembered login never is.
 */
export function isFresh(login: LoginRecord, { maxAge, methods, once }: FreshnessRequirement, now: number): boolean {
  return (
    now - login.at < maxAge &&
    login.remembered !== true &&
    (methods === undefined || (login.method !== undefined && methods.includes(login.method))) &&
    !(once === true && login.spent === true)
  );
}
