import { SessionNotSerializableException } from '../session-auth.errors.js';

/** The JSON of a session with nothing in it: not worth storing. */
export const EMPTY = '{}';

/**
 * A session's data as JSON text.
 *
 * @throws SessionNotSerializableException that names the key JSON cannot carry (a BigInt, a circular value)
 */
export function stringify(data: Record<string, unknown>): string {
  try {
    return JSON.stringify(data);
  } catch (error) {
    const culprit = Object.keys(data).find((key) => !serializes(data[key]));
    throw new SessionNotSerializableException(culprit ?? '?', error);
  }
}

function serializes(value: unknown): boolean {
  try {
    JSON.stringify(value);
    return true;
  } catch {
    return false;
  }
}
