import { SessionNotSerializableException } from '../session-auth.errors.js';

/** The JSON of a session with nothing in it. Such a session is not worth storing. */
export const EMPTY = '{}';

/**
 * A session's data as JSON text.
 *
 * @throws SessionNotSerializableException that names the key whose value JSON cannot carry (a BigInt, a circular value)
 */
export function stringify(data: Record<string, unknown>): string {
  try {
    return JSON.stringify(data);
  } catch (error) {
    const culprit = Object.keys(data).find((key) => !isSerializable(data[key]));
    throw new SessionNotSerializableException(culprit ?? '?', error);
  }
}

/** The data that a JSON text holds. */
export function parseData(text: string): Record<string, unknown> {
  return JSON.parse(text) as Record<string, unknown>;
}

function isSerializable(value: unknown): boolean {
  try {
    JSON.stringify(value);
    return true;
  } catch {
    return false;
  }
}

/** Top-level keys of `req.session` with their new values; `undefined` for a key that was deleted. */
export type SessionChanges = ReadonlyMap<string, unknown>;

/** The top-level keys in which `after` differs from `before`. A nested change counts as one of its top-level key. */
export function changesBetween(before: string, after: string): SessionChanges {
  const old = parseData(before);
  const now = parseData(after);
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

/** `data` with these changes applied. */
export function applyChanges(data: string, changes: SessionChanges): string {
  const merged = parseData(data);
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
