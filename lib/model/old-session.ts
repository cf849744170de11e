import { createHmac } from 'node:crypto';
import type { LoginRecord } from './login-record.js';
import { nextSecret, type RotationKeys } from './rotation.js';
import { stringify } from './session-data.js';
import { tagOfUser } from './session-id.js';
import { newRecord, type SessionRecord } from './session-record.js';

/**
 * The time of an adopted login, in milliseconds since 1970: nobody knows when it was. So it is never fresh, and a route
 * that asks for a fresh one has the user prove again who they are.
 */
const UNKNOWN_TIME = 0;

/** How long connect-redis keeps a session whose cookie has no age, in milliseconds, where the application says nothing. */
const DEFAULT_TTL = 86_400_000;

const HANDLE_LENGTH = 24;
const REST_LENGTH = 12;

/**
 * The id of a session of the stack that is being moved from, and what is derived from it. All requests with the same
 * cookie derive the same, in every process, so that they open one session between them.
 */
export interface OldId {
  readonly id: string;
  /** The handle under which it is written down which session this one has become. */
  readonly place: string;
  /** The secret that opens the new session for who shows the old cookie, until they have shown the new one. */
  readonly secret: string;
  /** The new session's handle. */
  handleFor(userId: string | undefined): string;
}

/**
 * @param signedBy the secret by which the cookie is signed. It gives the key, and not the option `secret`, whose first
 * value may change while requests are under way
 */
export function oldId(id: string, signedBy: string): OldId {
  const derive = (what: string) =>
    createHmac('sha256', signedBy).update(`nestjs-session-auth adopt ${what}\0${id}`).digest('base64url');
  const handle = derive('handle').slice(0, HANDLE_LENGTH);
  return {
    id,
    place: derive('place').slice(0, HANDLE_LENGTH),
    secret: derive('secret'),
    handleFor: (userId) => (userId === undefined ? handle : tagOfUser(userId) + handle.slice(-REST_LENGTH)),
  };
}

/** The attributes of the old cookie that a browser needs to be told again to forget it. */
export interface OldCookieAttributes {
  readonly path?: string;
  readonly domain?: string;
  readonly secure?: boolean;
  readonly sameSite?: boolean | string;
  readonly partitioned?: boolean;
}

/** What an old session has become. */
export interface Successor {
  readonly handle: string;
  readonly cookie: OldCookieAttributes;
}

/** A session as express-session stores it. */
export interface OldSession {
  /** What Passport has kept of the user. */
  readonly payload?: unknown;
  /** Everything but the cookie and the user. */
  readonly data: Record<string, unknown>;
  readonly cookie: OldCookieAttributes;
  /** How long its cookie lived, in milliseconds, where it did not end with the browser. */
  readonly maxAge?: number;
}

/** The session in a text; `undefined` for what is none, and for one that has expired. */
export function parseOldSession(text: string, now: number): OldSession | undefined {
  const { cookie, passport, ...data } = objectIn(parse(text));
  const { expires, originalMaxAge, ...attributes } = objectIn(cookie);
  if (typeof cookie !== 'object' || cookie === null || (typeof expires === 'string' && Date.parse(expires) <= now)) {
    return undefined;
  }
  const payload: unknown = objectIn(passport)['user'];
  return {
    data,
    cookie: oldCookieAttributes(attributes),
    ...(payload !== undefined && payload !== null && { payload }),
    ...(typeof originalMaxAge === 'number' && Number.isSafeInteger(originalMaxAge) && { maxAge: originalMaxAge }),
  };
}

/**
 * How long it has to be known what an old session has become, in milliseconds. An instance of the old stack that has it
 * in its hands may write it again, for as long as it lives there.
 *
 * @param ttl what it had to live, in milliseconds
 * @param absolute the longest that a session of ours lives
 */
export function successorKnownFor(old: OldSession | undefined, ttl: number, absolute: number): number {
  return Math.max(absolute, ttl, old?.maxAge ?? 0, DEFAULT_TTL);
}

/** What of an object are such attributes: the application's own code may have put anything there. */
export function oldCookieAttributes(value: unknown): OldCookieAttributes {
  const { path, domain, secure, sameSite, partitioned } = objectIn(value);
  return {
    ...(typeof path === 'string' && /^\/[\x20-:=-~]*$/.test(path) && { path }),
    ...(typeof domain === 'string' && /^[\w.-]+$/.test(domain) && { domain }),
    ...(secure === true && { secure }),
    ...((sameSite === true || /^(lax|strict|none)$/.test(String(sameSite))) && { sameSite: sameSite as string }),
    ...(partitioned === true && { partitioned }),
  };
}

/** What an old session becomes: the first version of a session whose secret the holder of the old cookie derives. */
export function recordOfAdopted(
  old: OldId,
  login: Omit<LoginRecord, 'at'> | undefined,
  data: Record<string, unknown>,
  keys: RotationKeys,
  now: number,
): SessionRecord {
  const id = { handle: old.handleFor(login?.userId), secret: old.secret };
  const record = newRecord(id, stringify(data), now);
  return {
    ...record,
    ...nextSecret(record, id.secret, keys).change,
    ...(login && { login: { ...login, at: UNKNOWN_TIME } }),
  };
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function objectIn(value: unknown): Record<string, unknown> {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
}
