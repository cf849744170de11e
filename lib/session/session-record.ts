import { hashSecret, type SessionId } from './session-id.js';
import { stringify } from './session-json.js';
import type { Device, SessionInfo } from './session.types.js';

/** Who logged in on a session. */
export interface LoginRecord {
  readonly userId: string;
  /** When they proved who they are. */
  readonly at: number;
  /** How they did, in the application's own word. */
  readonly method?: string;
  readonly device?: Device;
  /** "Remember me": such a login is never fresh. */
  readonly remembered?: true;
  /** Its freshness has been used up by a route that asks for it `once`. */
  readonly spent?: true;
  /** A hash of the credentials' stamp at the time; `null` where the next one seen is to be taken. */
  readonly stamp?: string | null;
}

/**
 * The secrets of a session beside its current one. A new secret is offered by an answer; it takes over when the browser
 * first shows it, and from then the old one is good for a grace. So an answer that never arrives signs nobody out, and
 * a copy of an old cookie gives itself away.
 */
export interface Rotation {
  /** When the current secret took over, in milliseconds since 1970. */
  readonly since: number;
  /** Hashes of the secrets that were offered and not shown yet, oldest first. */
  readonly offers: readonly string[];
  /** When the last one was offered beside the current secret; 0 for not yet. */
  readonly offeredAt: number;
  /** The secrets that were current, as long as requests may still show them. */
  readonly grace: readonly { readonly hash: string; readonly until: number }[];
}

/** A session as a store keeps it. Times are milliseconds since 1970. */
export interface SessionRecord {
  readonly handle: string;
  /** Of the secret that is current. */
  readonly secretHash: string;
  /** What else opens the session, from its first rotation on. */
  readonly rotation?: Rotation;
  /** Counts the writes of `data`: a save names the version it was made from. */
  readonly version: number;
  readonly createdAt: number;
  readonly seenAt: number;
  /** This session's own idle limit; `null` where the cookie ends with the browser. */
  readonly idle?: number | null;
  /** This session's own absolute limit. */
  readonly absolute?: number;
  readonly login?: LoginRecord;
  /** The user whose data this is, where that user has logged out and kept it: nobody else's login may take it over. */
  readonly owner?: string;
  /** What the application keeps in `req.session`, as JSON text: an object. */
  readonly data: string;
}

/** The record of a new session, in its first version. */
export function newRecord({ handle, secret }: SessionId, data: string, now: number): SessionRecord {
  return { handle, secretHash: hashSecret(secret), version: 1, createdAt: now, seenAt: now, data };
}

/** What a new login writes down. */
export interface NewLogin {
  readonly login: Omit<LoginRecord, 'at' | 'remembered' | 'spent'>;
  /** What the new session holds from the start. */
  readonly data: Record<string, unknown>;
  /** This session's own idle and absolute limit, in milliseconds. */
  readonly remember: number | undefined;
}

/** The record of the session that a login begins. */
export function recordOfLogin(id: SessionId, { login, data, remember }: NewLogin, now: number): SessionRecord {
  return {
    ...newRecord(id, stringify(data), now),
    ...(remember !== undefined && { idle: remember, absolute: remember }),
    login: { ...login, at: now, ...(remember !== undefined && { remembered: true }) },
  };
}

/** The record of a session that goes on after a new proof of who its user is: its own limits hold, and count anew. */
export function recordOfStepUp(
  id: SessionId,
  data: string,
  { idle, absolute }: SessionRecord,
  login: Omit<LoginRecord, 'at'>,
  now: number,
): SessionRecord {
  return {
    ...newRecord(id, data, now),
    ...(idle !== undefined && { idle }),
    ...(absolute !== undefined && { absolute }),
    login: { ...login, at: now },
  };
}

/** What the owner of a session may see of it. */
export function sessionInfo(record: SessionRecord, login: LoginRecord, expiresAt: number): SessionInfo {
  return {
    handle: record.handle,
    createdAt: new Date(record.createdAt),
    authenticatedAt: new Date(login.at),
    seenAt: new Date(record.seenAt),
    expiresAt: new Date(expiresAt),
    device: login.device ?? {},
  };
}

/** The keys of `req.session` that a request added, changed or (`undefined`) deleted, with their new JSON. */
type SessionChanges = ReadonlyMap<string, unknown>;

/** The top-level keys by which `after` differs from `before`; a nested change counts for its top-level key. */
export function changesBetween(before: string, after: string): SessionChanges {
  const old = JSON.parse(before) as Record<string, unknown>;
  const now = JSON.parse(after) as Record<string, unknown>;
  const changes = new Map<string, unknown>();
  for (const key of Object.keys(old)) {
    if (!Object.hasOwn(now, key)) {
      changes.set(key, undefined);
    }
  }
  for (const [key, value] of Object.entries(now)) {
    if (!Object.hasOwn(old, key) || JSON.stringify(old[key]) !== JSON.stringify(value)) {
      changes.set(key, value);
    }
  }
  return changes;
}

/** `data` with the changes of another request laid over it. */
export function applyChanges(data: string, changes: SessionChanges): string {
  const merged = JSON.parse(data) as Record<string, unknown>;
  for (const [key, value] of changes) {
    if (value === undefined) {
      delete merged[key];
    } else {
      // Defined, not assigned: "__proto__" is a key like any other.
      Object.defineProperty(merged, key, { value, enumerable: true, configurable: true, writable: true });
    }
  }
  return JSON.stringify(merged);
}
