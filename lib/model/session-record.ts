import { isStillKept, type StoredRequest } from './kept-request.js';
import { type LoginRecord, type PendingLogin, type Spared, withProof } from './login-record.js';
import { stringify } from './session-data.js';
import { hashSecret, type SessionId } from './session-id.js';
import type { SessionInfo } from './session-info.js';

/**
 * The secrets of a session beside its current one. From `rotateEvery` on, each response to the holder of the current
 * secret offers the next one. That is derived from the current one, so that all responses offer the same, and only its
 * hash is stored. It is promoted when a request first shows it. The secret before it then stays good for
 * `rotationGrace`.
 */
export interface Rotation {
  /** When the current secret was promoted, in milliseconds since 1970. */
  readonly since: number;
  /** Hash of the secret that is offered and was not shown yet. */
  readonly pending?: string;
  /** Former secrets, as long as requests that are under way may still show them. */
  readonly grace: readonly { readonly hash: string; readonly until: number }[];
}

/** A session as a store keeps it. Times are milliseconds since 1970. */
export interface SessionRecord {
  readonly handle: string;
  /** Hash of the current secret. */
  readonly secretHash: string;
  /** The other secrets, from the first rotation on. */
  readonly rotation?: Rotation;
  /** Counts the writes, except those of activity. A write names the version that it was made from. */
  readonly version: number;
  readonly createdAt: number;
  readonly seenAt: number;
  /** "Remember me": the session's own idle and absolute limit, in milliseconds. */
  readonly remember?: number;
  /**
   * The cookie's age as the application has set it by `req.session.cookie.maxAge`, which is the session's idle limit
   * too. `null`: the cookie ends with the browser.
   */
  readonly maxAge?: number | null;
  readonly login?: LoginRecord;
  /** A login that has begun on this session, which is nobody's until it is complete. */
  readonly pending?: PendingLogin;
  /**
   * The user whose login is pending, or who logged out of the session before this one and kept its data. Another user's
   * login may not take it.
   */
  readonly owner?: string;
  /** What the user had requested when they were sent to prove again who they are. */
  readonly kept?: StoredRequest | undefined;
  /** What the application keeps in `req.session`: a JSON object, as text. */
  readonly data: string;
}

/** The first version of a new session. */
export function newRecord({ handle, secret }: SessionId, data: string, now: number): SessionRecord {
  return { handle, secretHash: hashSecret(secret), version: 1, createdAt: now, seenAt: now, data };
}

/** What a new login is made of. */
export interface NewLogin {
  readonly login: Omit<LoginRecord, 'at' | 'remembered' | 'spent'>;
  /** The new session's data. */
  readonly data: Record<string, unknown>;
  /** This session's own idle and absolute limit, in milliseconds. */
  readonly remember: number | undefined;
  /** The methods that need not be proved, since the browser is trusted. */
  readonly spared?: Spared | undefined;
}

/** The record of the session that a login opens. */
export function recordOfLogin(id: SessionId, { login, data, remember }: NewLogin, now: number): SessionRecord {
  return {
    ...newRecord(id, stringify(data), now),
    ...(remember !== undefined && { remember }),
    login: { ...login, at: now, ...(remember !== undefined && { remembered: true }) },
  };
}

/** What a step-up adds: how the user proved who they are, and the hash of the credential stamp then. */
export type NewProof = Partial<Pick<LoginRecord, 'method' | 'stamp'>>;

/**
 * The record of a session after a step-up. It keeps its own limits, which count anew. If the user's credentials have
 * changed meanwhile and the session was to stay, that holds for it too.
 */
export function recordOfStepUp(
  id: SessionId,
  data: string,
  { remember, maxAge, login, kept: request }: SessionRecord,
  { method, stamp }: NewProof,
  now: number,
): SessionRecord {
  const { stamp: former, ...known } = login ?? { userId: '', at: now };
  const kept = former === null ? null : stamp;
  return {
    ...newRecord(id, data, now),
    ...(remember !== undefined && { remember }),
    ...(maxAge !== undefined && { maxAge }),
    ...(request !== undefined && isStillKept(request, now) && { kept: { ...request, isProved: true as const } }),
    login: { ...withProof(known, method, now), ...(kept !== undefined && { stamp: kept }) },
  };
}

/** What the session's own user may see of it. */
export function sessionInfo(record: SessionRecord, login: LoginRecord, expiresAt: number): SessionInfo {
  return {
    handle: record.handle,
    userId: login.userId,
    createdAt: new Date(record.createdAt),
    authenticatedAt: new Date(login.at),
    seenAt: new Date(record.seenAt),
    expiresAt: new Date(expiresAt),
    device: login.device ?? {},
  };
}
