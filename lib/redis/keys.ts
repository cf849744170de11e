import { tagOfHandle } from '../session/session-id.js';

/** The key of a session: the handle's slot tag in braces, so that all of one user's lie in one Redis Cluster slot. */
export function sessionKey(prefix: string, handle: string): string {
  const tag = tagOfHandle(handle);
  return `${prefix}{${tag}}${handle.slice(tag.length)}`;
}

/** The key of the note that a login has replaced a session: in the session's slot. */
export function replacedKey(prefix: string, handle: string): string {
  return `${sessionKey(prefix, handle)}:replaced`;
}

/** The handle that a session's key names, or `undefined` for a key of another kind. */
export function handleOfKey(prefix: string, key: string): string | undefined {
  const match = /^\{([\w-]{8})\}([\w-]{12})$/.exec(key.slice(prefix.length));
  return match && key.startsWith(prefix) ? `${match[1]}${match[2]}` : undefined;
}

/** The pattern that SCAN finds all keys of this prefix by, with the prefix taken literally. */
export function scanPattern(prefix: string): string {
  return `${prefix.replace(/[*?[\]\\^-]/g, '\\$&')}{*`;
}
