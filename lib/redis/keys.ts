import { splitHandle } from '../model/session-id.js';

/*
 * The keys in Redis. The tag in braces is the Redis Cluster hash tag: everything that belongs to a user is in one slot.
 *
 *     sess:{TAG}REST   a session, or what remains of one that was ended
 *     sess:{TAG}       a user's index: a sorted set of the RESTs of their sessions, scored by expiry in milliseconds
 *     sess:{TAG}{trust}
 *                      a user's trust epoch, while browsers are trusted. It is no REST, since that has no braces, and the
 *                      SCAN for indexes finds it as well: it may be all that there is of a user
 *     sess:ended       a channel, which the scripts publish the end of each user's session to
 */

/** The keys of a session: its own, that of its user's index, which it starts with, and its member of that index. */
export function keysOf(prefix: string, handle: string): { session: string; index: string; rest: string } {
  const { tag, rest } = splitHandle(handle);
  const index = `${prefix}{${tag}}`;
  return { session: index + rest, index, rest };
}

/** The channel that tells of sessions that end. The scripts know its name too. */
export function endChannel(prefix: string): string {
  return `${prefix}ended`;
}

/** The key of the index of the user with this tag. */
export function indexKey(prefix: string, tag: string): string {
  return `${prefix}{${tag}}`;
}

/** The handle in a session's key, or `undefined` for a key of another kind. */
export function handleOfKey(prefix: string, key: string): string | undefined {
  const match = /^\{([\w-]{12}|[\w-]{16})\}([\w-]{12})$/.exec(key.slice(prefix.length));
  return match && key.startsWith(prefix) ? `${match[1]}${match[2]}` : undefined;
}

/** The key of the trust epoch of the user with this tag. */
export function trustKey(prefix: string, tag: string): string {
  return `${indexKey(prefix, tag)}{trust}`;
}

/** The tag in the key of a user's index or trust epoch, or `undefined` for a key of another kind. */
export function tagOfUserKey(prefix: string, key: string): string | undefined {
  const match = /^\{([\w-]{16})\}(?:\{trust\})?$/.exec(key.slice(prefix.length));
  return key.startsWith(prefix) ? match?.[1] : undefined;
}

/** The SCAN pattern of all keys with this prefix, which is taken literally. */
export function scanPattern(prefix: string): string {
  return `${prefix.replace(/[*?[\]\\^-]/g, '\\$&')}{*`;
}

/** The SCAN pattern of all users' indexes and trust epochs. */
export function userPattern(prefix: string): string {
  return `${scanPattern(prefix)}}`;
}
