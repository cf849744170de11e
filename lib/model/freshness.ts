import { type LoginRecord, type Proof, proofsOf } from './login-record.js';

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
export function isFresh(login: LoginRecord, requirement: FreshnessRequirement, now: number): boolean {
  return freshProof(login, requirement, now) !== undefined;
}

/** The login after its latest proof that meets the requirement was used up; `undefined` where none does. */
export function spent(login: LoginRecord, requirement: FreshnessRequirement, now: number): LoginRecord | undefined {
  const used = freshProof(login, requirement, now);
  if (used === undefined || (used.at === login.at && used.method === login.method)) {
    return used && { ...login, spent: true };
  }
  return {
    ...login,
    earlier: login.earlier?.map((proof) => (proof === used ? { ...proof, spent: true } : proof)) ?? [],
  };
}

function freshProof(login: LoginRecord, requirement: FreshnessRequirement, now: number): Proof | undefined {
  const { maxAge, methods, once } = requirement;
  return login.remembered === true
    ? undefined
    : proofsOf(login)
        .filter(
          ({ at, method, spent }) =>
            now - at < maxAge &&
            (methods === undefined || (method !== undefined && methods.includes(method))) &&
            !(once === true && spent === true),
        )
        .at(-1);
}
