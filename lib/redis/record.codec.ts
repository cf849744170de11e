import type { SessionRecord } from '../session/session-record.js';
import type { FoundSession } from '../session/session-store.js';

/**
 * A session in Redis is one JSON text:
 *
 *     {"seen":1767225600000,"v":3,"created":...,"secret":"<hash>",...,"data":{...}}
 *
 * `seen` and `v` come first and `data` last, so that the Lua scripts find the first two, and change them, without
 * decoding what the application stored: cjson would turn its empty arrays into objects and round its large numbers.
 */
interface StoredRecord {
  seen: number;
  v: number;
  created: number;
  secret: string;
  idle?: number | null;
  absolute?: number;
  login?: SessionRecord['login'];
  data: Record<string, unknown>;
}

const DATA = ',"data":';

export function encodeRecord(record: SessionRecord): string {
  const { seenAt: seen, version: v, createdAt: created, secretHash: secret, idle, absolute, login } = record;
  const head = JSON.stringify({ seen, v, created, secret, idle, absolute, login });
  return `${head.slice(0, -1)}${DATA}${record.data}}`;
}

/** What a value holds, or `undefined` when it is no session of ours: broken JSON, or JSON of another shape. */
export function decodeRecord(handle: string, text: string): FoundSession | undefined {
  const stored = parse(text);
  if (!isStoredRecord(stored)) {
    return undefined;
  }
  const { seen, v, created, secret, idle, absolute, login, data } = stored;
  // Inside a JSON string the quotes of DATA would be escaped, so its first occurrence is the key.
  const dataText = text.slice(text.indexOf(DATA) + DATA.length, -1);
  return {
    record: {
      handle,
      secretHash: secret,
      version: v,
      createdAt: created,
      seenAt: seen,
      ...(idle !== undefined && { idle }),
      ...(absolute !== undefined && { absolute }),
      ...(login !== undefined && { login }),
      data: dataText,
    },
    values: data,
  };
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function isStoredRecord(value: unknown): value is StoredRecord {
  if (typeof value !== 'object' || value === null) {
    return false;
  }
  const { seen, v, created, secret, data, login } = value as Record<string, unknown>;
  return (
    Number.isSafeInteger(seen) &&
    Number.isSafeInteger(v) &&
    Number.isSafeInteger(created) &&
    typeof secret === 'string' &&
    isLogin(login) &&
    typeof data === 'object' &&
    data !== null &&
    !Array.isArray(data)
  );
}

function isLogin(value: unknown): boolean {
  return (
    value === undefined ||
    (typeof value === 'object' && value !== null && 'userId' in value && typeof value.userId === 'string')
  );
}
