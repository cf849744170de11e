import { hash, randomFillSync, timingSafeEqual } from 'node:crypto';

/**
 * A session id is `handle.secret`. The handle names the session and is public; the secret is what the browser must
 * show, and only its SHA-256 is ever stored.
 */
export interface SessionId {
  readonly handle: string;
  readonly secret: string;
}

/** Characters of the handle that choose the Redis Cluster slot. */
const TAG_LENGTH = 8;
const HANDLE = /^[\w-]{20}$/;
const SECRET = /^[\w-]{43}$/;

/** A new secret for a session that exists: what the browser must show, and what is stored of it. */
export function newSecret(): { secret: string; hash: string } {
  const secret = randomText(32);
  return { secret, hash: hashSecret(secret) };
}

/** A new id: 256 random bits of secret (NIST SP 800-63B-4, 5.1 asks for 64), 72 of handle. */
export function newSessionId(tag: string = randomText(6)): SessionId {
  return { handle: tag + randomText(9), secret: randomText(32) };
}

/** The slot tag of all that belongs to this user. It depends on the user id alone: no secret's rotation moves it. */
export function tagOfUser(userId: string): string {
  return hash('sha256', userId, 'base64url').slice(0, TAG_LENGTH);
}

/** Whether this may be a session's handle: anything else is no part of a key. */
export function isHandle(text: string): boolean {
  return HANDLE.test(text);
}

/** The part of the handle that is the Redis Cluster hash tag. */
export function tagOfHandle(handle: string): string {
  return handle.slice(0, TAG_LENGTH);
}

/** `handle.secret`, as it stands signed in the cookie. */
export function formatSessionId(id: SessionId): string {
  return `${id.handle}.${id.secret}`;
}

/** The two parts of an id, or `undefined` where the text is none of ours. */
export function parseSessionId(text: string): SessionId | undefined {
  const dot = text.indexOf('.');
  const id = { handle: text.slice(0, dot), secret: text.slice(dot + 1) };
  return HANDLE.test(id.handle) && SECRET.test(id.secret) ? id : undefined;
}

/** What is stored of a secret. It has 256 bits of its own, so a plain hash is as good as a slow one. */
export function hashSecret(secret: string): string {
  return hash('sha256', secret, 'base64url');
}

/** Whether two hashes are the same; takes as long for a near miss as for a far one. */
export function sameHash(one: string, other: string): boolean {
  const a = Buffer.from(one);
  const b = Buffer.from(other);
  return a.length === b.length && timingSafeEqual(a, b);
}

/** Random bytes for many ids, fetched at once: the generator's price is per call, and most ids are never shown. */
const pool = Buffer.alloc(47 * 128);
let used = pool.length;

function randomText(bytes: number): string {
  if (used + bytes > pool.length) {
    randomFillSync(pool);
    used = 0;
  }
  used += bytes;
  return pool.toString('base64url', used - bytes, used);
}
