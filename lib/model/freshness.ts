import { type LoginRecord, type Proof, proofsOf } from './login-record.js';

/** What a route asks of a login, by `@RequireFreshLogin()`. */
export interface FreshnessRequirement {
  /** Longest time since the user proved who they are, in milliseconds. */
  readonly maxAge: number;
  /** The methods that count; all when absent. */
  readonly methods?: readonly string[] | undefined;
  /** A proof is good for one execution. */
  readonly once?: boolean | undefined;
}

/**
 * Whether a login is as fresh as required. Only a new proof makes it fresh: activity and rotation do not, and a
 * remembered login never is.
 */
export function isFresh(login: LoginRecord, requirement: FreshnessRequirement, now: number): boolean {
  const { maxAge, once } = requirement;
  return (
    login.remembered !== true &&
    proofsOf(login).some(
      (proof) => counts(proof, requirement) && now - proof.at < maxAge && !(once === true && proof.spent === true),
    )
  );
}

/**
 * The login after it has met the requirement; `undefined` where it does not. All proofs that count there are used up, the
 * earlier ones too: the next execution needs one that was made after this one.
 */
export function spent(login: LoginRecord, requirement: FreshnessRequirement, now: number): LoginRecord | undefined {
  if (!isFresh(login, requirement, now)) {
    return undefined;
  }
  const use = <Used extends Proof>(proof: Used): Used =>
    counts(proof, requirement) ? { ...proof, spent: true } : proof;
  return { ...use(login), ...(login.earlier && { earlier: login.earlier.map(use) }) };
}

/** Whether a proof is by one of the methods that are required. */
function counts({ method }: Proof, { methods }: FreshnessRequirement): boolean {
  return methods === undefined || (method !== undefined && methods.includes(method));
}
