import type { Device } from './session-info.js';

/** One way in which the user of a login has proved who they are. */
export interface Proof {
  /** When. */
  readonly at: number;
  /** How, in the application's own word. */
  readonly method?: string;
  /** A route that asks for a proof `once` has used up this one. */
  readonly spent?: true;
}

/** Who is logged in on a session, and how they have proved it: the latest proof, and the earlier ones. */
export interface LoginRecord extends Proof {
  readonly userId: string;
  /**
   * The kind of user, which `userId` begins with. It is kept apart, since an id without a kind may begin like one with.
   */
  readonly kind?: string;
  /** Earlier proofs by other methods, the oldest first. */
  readonly earlier?: readonly Proof[];
  readonly device?: Device;
  /** A login by "remember me" is never fresh. */
  readonly remembered?: true;
  /** Hash of the credential stamp at the login. `null`: the next stamp seen is to be taken over. */
  readonly stamp?: string | null;
}

/** A login of which steps are missing. The session that keeps it is nobody's until then. */
export interface PendingLogin {
  /** What the login will be, with the proofs there are. */
  readonly login: LoginRecord;
  /** What `session.passport` becomes. Nothing looks for it there before. */
  readonly passport: object;
  /** The methods that are to be proved. */
  readonly missing: readonly string[];
  /** "Remember me", once it is complete: the session's own idle and absolute limit, in milliseconds. */
  readonly remember?: number;
  /** The methods that need not be proved. */
  readonly spared?: Spared;
  /** The methods that the browser is to be spared from then on. */
  readonly trustFor?: readonly TrustFor[];
}

/** Methods that a login need not prove, since its browser is trusted. */
export interface Spared {
  readonly methods: readonly string[];
  /** The user's trust epoch. When that has ended, the methods are to be proved after all. */
  readonly epoch: string;
}

/** A method, and for how many milliseconds the browser is to be spared it. */
export type TrustFor = readonly [method: string, duration: number];

/** All proofs of a login, the oldest first. */
export function proofsOf({ at, method, spent, earlier = [] }: LoginRecord): readonly Proof[] {
  return [...earlier, { at, ...(method !== undefined && { method }), ...(spent && { spent }) }];
}

/**
 * The login with one more proof. Of each method the last proof counts. One without a method says no more than its time,
 * which the new one's replaces.
 */
export function withProof(login: LoginRecord, method: string | undefined, at: number): LoginRecord {
  const { spent: _spent, method: _method, earlier: _earlier, remembered, ...rest } = login;
  // What was never fresh does not become so.
  const former = remembered === true ? [] : proofsOf(login);
  const earlier = former.filter((proof) => proof.method !== undefined && proof.method !== method);
  return { ...rest, at, ...(method !== undefined && { method }), ...(earlier.length > 0 && { earlier }) };
}
