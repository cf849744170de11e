import { hash, randomFillSync, timingSafeEqual } from 'node:crypto';

/**
 * A session id is `handle.secret`. The handle names the session and is public. The secret opens it: the browser must
 * show it, and the store keeps only a hash of it.
 */
export interface SessionId {
  readonly handle: string;
  readonly secret: string;
}

/** Characters of the tag at the start of a user's handle: 96 bits of the hash of the user id. */
export const USER_TAG_LENGTH = 16;
/** Characters of the random rest at the end of every handle: 72 bits. */
const REST_LENGTH = 12;
/**
 * Random bytes of an anonymous session's tag. It is shorter than a user's, which tells the two kinds of handle apart.
 */
const ANONYMOUS_TAG_BYTES = 9;
const REST_BYTES = 9;
/** 256 bits. NIST SP 800-63B-4, section 5.1, asks for 64. */
const SECRET_BYTES = 32;

const USER_HANDLE = /^[\w-]{28}$/;
const HANDLE = /^(?:[\w-]{24}|[\w-]{28})$/;
const SECRET = /^[\w-]{43}$/;

/** What is kept of a SHA-256 hash: 22 characters are 132 bits. */
const HASH_LENGTH = 22;

/** The id of a new session of this user. */
export function newUserSessionId(userId: string): SessionId {
  return { handle: tagOfUser(userId) + randomText(REST_BYTES), secret: newSecret() };
}

/** The id of a new session that is nobody's. */
export function newAnonymousSessionId(): SessionId {
  return { handle: randomText(ANONYMOUS_TAG_BYTES) + randomText(REST_BYTES), secret: newSecret() };
}

/** A new secret. */
export function newSecret(): string {
  return randomText(SECRET_BYTES);
}

/** What all handles of this user's sessions start with. */
export function tagOfUser(userId: string): string {
  return hash('sha256', userId, 'base64url').slice(0, USER_TAG_LENGTH);
}

/** The two parts of a handle. In Redis, all that has the same tag lies in one Cluster slot. */
export function splitHandle(handle: string): { tag: string; rest: string } {
  return { tag: handle.slice(0, -REST_LENGTH), rest: handle.slice(-REST_LENGTH) };
}

/** Whether a text has the form of a handle. */
export function isHandle(text: string): boolean {
  return HANDLE.test(text);
}

/** Whether a handle is that of a user's session, as opposed to an anonymous one. */
export function isUserHandle(handle: string): boolean {
  return USER_HANDLE.test(handle);
}

/** `handle.secret`: the text that is signed in the cookie. */
export function formatSessionId(id: SessionId): string {
  return `${id.handle}.${id.secret}`;
}

/** The two parts of `handle.secret`, or `undefined` where the text has another form. */
export function parseSessionId(text: string): SessionId | undefined {
  const dot = text.indexOf('.');
  const id = { handle: text.slice(0, dot), secret: text.slice(dot + 1) };
  return HANDLE.test(id.handle) && SECRET.test(id.secret) ? id : undefined;
}

/** The hash by which a store knows a secret. A plain hash is enough: a secret has 256 random bits of its own. */
export function hashSecret(secret: string): string {
  return hash('sha256', secret, 'base64url').slice(0, HASH_LENGTH);
}

/** Whether two hashes are the same, in a time that does not depend on where they differ. */
export function sameHash(one: string, other: string): boolean {
  const a = Buffer.from(one);
  const b = Buffer.from(other);
  return a.length === b.length && timingSafeEqual(a, b);
}

/** Random bytes for many ids, fetched at once: each call of the generator costs more than the bytes do. */
const pool = Buffer.alloc(50 * 128);
let used = pool.length;

function randomText(bytes: number): string {
  if (used + bytes > pool.length) {
    randomFillSync(pool);
    used = 0;
  }
  used += bytes;
  return pool.toString('base64url', used - bytes, used);
}
