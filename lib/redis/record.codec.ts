import type { SessionRecord } from '../session/session-record.js';
import type { FoundSession } from '../session/session-store.js';

/**
 * A session in Redis is one JSON text:
 *
 *     {"seen":1767225600000,"v":3,"created":...,"secret":"<hash>",...,"data":{...}}
 *
 * The first four come in this order and `data` last, so that the Lua scripts find their way without decoding what the
 * application stored: cjson would turn its empty arrays into objects and round its large numbers.
 */
interface StoredHead {
  seen: number;
  v: number;
  created: number;
  secret: string;
  rotation?: SessionRecord['rotation'];
  idle?: number | null;
  absolute?: number;
  login?: SessionRecord['login'];
  owner?: string;
}

const DATA = ',"data":';
/** How a value begins, for the Lua scripts to find their way. */
const HEAD = /^\{"seen":\d{13},"v":\d+,/;

export function encodeRecord(record: SessionRecord): string {
  const { seenAt: seen, version: v, createdAt: created, secretHash: secret } = record;
  const { rotation, idle, absolute, login, owner } = record;
  const head = JSON.stringify({ seen, v, created, secret, rotation, idle, absolute, login, owner });
  return `${head.slice(0, -1)}${DATA}${record.data}}`;
}

/** What a value holds, or `undefined` when it is no session of ours: broken JSON, or JSON of another shape. */
export function decodeRecord(handle: string, text: string): FoundSession | undefined {
  // Inside a JSON string the quotes of DATA would be escaped, so its first occurrence is the key.
  const end = text.indexOf(DATA);
  if (end === -1 || !HEAD.test(text) || !text.endsWith('}')) {
    return undefined;
  }
  const head = parse(`${text.slice(0, end)}}`);
  const dataText = text.slice(end + DATA.length, -1);
  const values = parse(dataText);
  if (!isHead(head) || !isObject(values)) {
    return undefined;
  }
  const { seen, v, created, secret, rotation, idle, absolute, login, owner } = head;
  const record: Mutable<SessionRecord> = {
    handle,
    secretHash: secret,
    version: v,
    createdAt: created,
    seenAt: seen,
    data: dataText,
  };
  // One by one: each read of a session passes here, and a spread for each costs more than all the rest.
  if (rotation !== undefined) record.rotation = rotation;
  if (idle !== undefined) record.idle = idle;
  if (absolute !== undefined) record.absolute = absolute;
  if (login !== undefined) record.login = login;
  if (owner !== undefined) record.owner = owner;
  return { record, values };
}

type Mutable<T> = { -readonly [Key in keyof T]: T[Key] };

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isHead(value: unknown): value is StoredHead {
  if (!isObject(value)) {
    return false;
  }
  const { seen, v, created, secret, rotation, idle = null, absolute = 0, login } = value;
  return (
    Number.isSafeInteger(seen) &&
    Number.isSafeInteger(v) &&
    Number.isSafeInteger(created) &&
    typeof secret === 'string' &&
    (rotation === undefined || isRotation(rotation)) &&
    (idle === null || Number.isFinite(idle)) &&
    Number.isFinite(absolute) &&
    (login === undefined || isLogin(login))
  );
}

function isRotation(value: unknown): boolean {
  const { offers, grace }: Record<string, unknown> = isObject(value) ? value : {};
  return (
    Array.isArray(offers) &&
    offers.every((offer) => typeof offer === 'string') &&
    Array.isArray(grace) &&
    grace.every((old) => isObject(old) && typeof old['hash'] === 'string')
  );
}

function isLogin(value: unknown): boolean {
  const { userId, at, stamp = null }: Record<string, unknown> = isObject(value) ? value : {};
  return typeof userId === 'string' && Number.isSafeInteger(at) && (stamp === null || typeof stamp === 'string');
}
