import { createHash } from 'node:crypto';
import { tagOfHandle, tagOfUser } from '../session/session-id.js';

/** What the keys of all that shares a slot tag begin with: the tag in braces, so that they lie in one Redis Cluster slot. */
export function slotBase(prefix: string, tag: string): string {
  return `${prefix}{${tag}}`;
}

/** The key of a session. */
export function sessionKey(prefix: string, handle: string): string {
  const tag = tagOfHandle(handle);
  return slotBase(prefix, tag) + handle.slice(tag.length);
}

/** The key of what is remembered of a session's end. */
export function endedKey(prefix: string, handle: string): string {
  return `${sessionKey(prefix, handle)}:ended`;
}

/** The key of a user's index: a sorted set of the handles of their sessions, scored by when these run out. */
export function indexKey(prefix: string, userId: string): string {
  return `${slotBase(prefix, tagOfUser(userId))}:user:${createHash('sha256').update(userId).digest('hex')}`;
}

/** The handle that a session's key names, or `undefined` for a key of another kind. */
export function handleOfKey(prefix: string, key: string): string | undefined {
  const match = /^\{([\w-]{8})\}([\w-]{12})$/.exec(key.slice(prefix.length));
  return match && key.startsWith(prefix) ? `${match[1]}${match[2]}` : undefined;
}

/** The slot base of a user's index, or `undefined` for a key of another kind. */
export function baseOfIndexKey(prefix: string, key: string): string | undefined {
  const match = /^(\{[\w-]{8}\}):user:[0-9a-f]{64}$/.exec(key.slice(prefix.length));
  return match && key.startsWith(prefix) ? `${prefix}${match[1]}` : undefined;
}

/** The pattern that SCAN finds all keys of this prefix by, with the prefix taken literally. */
export function scanPattern(prefix: string): string {
  return `${prefix.replace(/[*?[\]\\^-]/g, '\\$&')}{*`;
}

/** The pattern of all users' indexes. */
export function indexPattern(prefix: string): string {
  return `${scanPattern(prefix)}}:user:*`;
}
