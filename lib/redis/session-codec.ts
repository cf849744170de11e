import { type EndDetails, type EndedSession, type Ending, endedSession, type EndReason } from '../model/session-end.js';
import type { LoginRecord, PendingLogin, Proof } from '../model/login-record.js';
import { isStoredRequest, type StoredRequest } from '../model/kept-request.js';
import { splitHandle } from '../model/session-id.js';
import type { Rotation, SessionRecord } from '../model/session-record.js';
import type { Device } from '../model/session-info.js';
import { type FoundSession, isLive, type UpdateResult } from '../store/session-store.js';

/**
 * A session in Redis is one JSON text:
 *
 *     {"seen":1767225600000,"v":3,"secret":"<hash>",...,"created":...,"user":"42",...,"data":{...}}
 *
 * What remains of one that was ended is another:
 *
 *     {"ended":"revoked","secret":"<hash>",...}
 *
 * `seen` and `v` come first, then the secrets, then `created`, and `data` comes last. So the Lua scripts find each part
 * without decoding the whole: cjson would turn the application's empty arrays into objects and round its large numbers.
 * Names are short and a login's parts stand beside the rest, since Redis keeps this text for every user.
 */
interface StoredSession extends StoredSecrets {
  seen: number;
  v: number;
  created: number;
  remember?: number | undefined;
  maxAge?: number | null | undefined;
  owner?: string | undefined;
  /** The id of the user who is logged in. The following are of that login. */
  user?: string | undefined;
  kind?: string | undefined;
  /** Left out where it is `created`. */
  loginAt?: number | undefined;
  method?: string | undefined;
  ip?: string | undefined;
  agent?: string | undefined;
  label?: string | undefined;
  remembered?: true | undefined;
  spent?: true | undefined;
  /** The earlier proofs: method, time, and 1 for one that is used up. */
  proofs?: StoredProof[] | undefined;
  stamp?: string | null | undefined;
  /** A login that is not complete, as JSON text: what an application keeps of a user may look like a part of this. */
  pending?: string | undefined;
  /** A request that is kept for after a step-up, as JSON text likewise. */
  kept?: string | undefined;
}

type StoredProof = [method: string, at: number, spent?: 1];

interface StoredSecrets {
  secret: string;
  rotation?: Rotation | undefined;
}

interface StoredRemains extends StoredSecrets {
  ended: EndReason;
  replaced?: true;
  /** Hash of a secret that was not of the session and whose holder may learn the reason. */
  shown?: string;
  pending?: true;
  /** The REST of the session that a step-up, or the last step of a login, made of this one. */
  successor?: string;
}

const DATA = ',"data":';
/** How a live session begins, so that the Lua scripts find their way. */
const LIVE = /^\{"seen":\d{13},"v":\d+,"secret":"/;
const ENDED = '{"ended":"';

export function encodeSession(record: SessionRecord): string {
  const { seenAt: seen, version: v, secretHash: secret, rotation, createdAt: created } = record;
  const { remember, maxAge, owner, login, pending, kept } = record;
  const head: StoredSession = {
    seen,
    v,
    secret,
    rotation,
    created,
    remember,
    maxAge,
    owner,
    ...encodeLogin(login, created),
    pending: pending && JSON.stringify(pending),
    kept: kept && JSON.stringify(kept),
  };
  return `${JSON.stringify(head).slice(0, -1)}${DATA}${record.data}}`;
}

function encodeLogin(login: LoginRecord | undefined, created: number): Partial<StoredSession> {
  if (login === undefined) {
    return {};
  }
  const { userId: user, kind, at, method, device, remembered, spent, earlier, stamp } = login;
  const { ip, userAgent: agent, label } = device ?? {};
  const loginAt = at === created ? undefined : at;
  const proofs = earlier?.map(encodeProof);
  return { user, kind, loginAt, method, ip, agent, label, remembered, spent, proofs, stamp };
}

function encodeProof({ method = '', at, spent }: Proof): StoredProof {
  return spent === true ? [method, at, 1] : [method, at];
}

/** How the remains of a session begin that is ended so. The scripts append its secrets. */
export function remainsPrefix(ending: Ending): string {
  return ending === 'replaced' ? '{"ended":"logged_out","replaced":true,' : `{"ended":"${ending}",`;
}

/** What the scripts append to the secrets in a session's remains. */
export function remainsSuffix({ shownHash, wasPending, successor }: EndDetails): string {
  const shown = shownHash === undefined ? '' : `,"shown":"${shownHash}"`;
  const pending = wasPending === true ? ',"pending":true' : '';
  return shown + pending + (successor === undefined ? '' : `,"successor":"${splitHandle(successor).rest}"`);
}

/** What a value holds: a session, or what remains of one. `undefined` for broken JSON, or JSON of another shape. */
export function decodeSession(handle: string, text: string): FoundSession | EndedSession | undefined {
  if (text.startsWith(ENDED)) {
    return decodeRemains(handle, text);
  }
  // Inside a JSON string the quotes of DATA would be escaped. So its first occurrence is the key.
  const end = text.indexOf(DATA);
  if (end === -1 || !LIVE.test(text) || !text.endsWith('}')) {
    return undefined;
  }
  const head = parse(`${text.slice(0, end)}}`);
  const data = text.slice(end + DATA.length, -1);
  const values = parse(data);
  if (!isStoredSession(head) || !isObject(values)) {
    return undefined;
  }
  const { seen, v, created, secret, rotation, remember, maxAge, owner } = head;
  const record: Mutable<SessionRecord> = {
    handle,
    secretHash: secret,
    version: v,
    createdAt: created,
    seenAt: seen,
    data,
  };
  // One by one: each read of a session comes here, and a spread for each costs more than all the rest.
  if (rotation !== undefined) record.rotation = rotation;
  if (remember !== undefined) record.remember = remember;
  if (maxAge !== undefined) record.maxAge = maxAge;
  if (owner !== undefined) record.owner = owner;
  if (head.user !== undefined) record.login = decodeLogin(head.user, head);
  if (head.pending !== undefined) record.pending = parse(head.pending) as PendingLogin;
  if (head.kept !== undefined) record.kept = decodeKept(head.kept);
  return { record, values };
}

/** Why a change met another version than it was made for, by the value that is at the session's key. */
export function decodeConflict(handle: string, value: unknown): Exclude<UpdateResult, { outcome: 'saved' }> {
  const found = typeof value === 'string' ? decodeSession(handle, value) : undefined;
  return isLive(found) ? { outcome: 'stale', current: found.record } : { outcome: 'ended', ended: found };
}

function decodeLogin(userId: string, head: StoredSession): LoginRecord {
  const { kind, method, ip, agent, label, remembered, spent, stamp } = head;
  const login: Mutable<LoginRecord> = { userId, at: head.loginAt ?? head.created };
  if (kind !== undefined) login.kind = kind;
  if (method !== undefined) login.method = method;
  if (ip !== undefined || agent !== undefined || label !== undefined) {
    const device: Device = (login.device = {});
    if (ip !== undefined) device.ip = ip;
    if (agent !== undefined) device.userAgent = agent;
    if (label !== undefined) device.label = label;
  }
  if (remembered !== undefined) login.remembered = remembered;
  if (spent !== undefined) login.spent = spent;
  if (head.proofs !== undefined) login.earlier = head.proofs.map(decodeProof);
  if (stamp !== undefined) login.stamp = stamp;
  return login;
}

function decodeProof([method, at, used]: StoredProof): Proof {
  return { method, at, ...(used === 1 && { spent: true }) };
}

/** A request that is none is not worth a session. */
function decodeKept(text: unknown): StoredRequest | undefined {
  const kept = typeof text === 'string' ? parse(text) : undefined;
  return isStoredRequest(kept) ? kept : undefined;
}

function decodeRemains(handle: string, text: string): EndedSession | undefined {
  const remains = parse(text);
  if (!isStoredRemains(remains)) {
    return undefined;
  }
  const { ended, replaced, secret, rotation, shown: shownHash, pending: wasPending, successor: rest } = remains;
  const ending = replaced === true ? 'replaced' : ended;
  const successor = rest === undefined ? undefined : splitHandle(handle).tag + rest;
  const details = { shownHash, wasPending, successor };
  return endedSession({ secretHash: secret, ...(rotation && { rotation }) }, ending, details);
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

function isStoredSession(value: unknown): value is StoredSession {
  if (!isObject(value)) {
    return false;
  }
  const { seen, v, created, remember = 0, maxAge = null, user = '', kind = '', loginAt = 0, stamp = null } = value;
  const { proofs = [], pending } = value;
  return (
    hasSecrets(value) &&
    Number.isSafeInteger(seen) &&
    Number.isSafeInteger(v) &&
    Number.isSafeInteger(created) &&
    Number.isFinite(remember) &&
    (maxAge === null || Number.isFinite(maxAge)) &&
    typeof user === 'string' &&
    typeof kind === 'string' &&
    Number.isSafeInteger(loginAt) &&
    (stamp === null || typeof stamp === 'string') &&
    Array.isArray(proofs) &&
    proofs.every(isStoredProof) &&
    (pending === undefined || (typeof pending === 'string' && isPendingLogin(parse(pending))))
  );
}

function isStoredProof(value: unknown): value is StoredProof {
  return Array.isArray(value) && typeof value[0] === 'string' && Number.isSafeInteger(value[1]);
}

function isPendingLogin(value: unknown): value is PendingLogin {
  const { login, passport, missing, remember = 0, ...trust }: Record<string, unknown> = isObject(value) ? value : {};
  const { spared, trustFor = [] } = trust;
  return (
    isObject(login) &&
    typeof login['userId'] === 'string' &&
    isProof(login) &&
    isListOf(isProof, login['earlier'] ?? []) &&
    isObject(passport) &&
    Array.isArray(missing) &&
    missing.length > 0 &&
    missing.every(isText) &&
    Number.isFinite(remember) &&
    (spared === undefined || isSpared(spared)) &&
    isListOf(isTrustFor, trustFor)
  );
}

function isSpared(value: unknown): boolean {
  return isObject(value) && isListOf(isText, value['methods']) && isText(value['epoch']);
}

function isTrustFor(value: unknown): boolean {
  return Array.isArray(value) && isText(value[0]) && Number.isFinite(value[1]);
}

function isText(value: unknown): boolean {
  return typeof value === 'string';
}

function isProof(value: unknown): boolean {
  return isObject(value) && Number.isSafeInteger(value['at']) && typeof (value['method'] ?? '') === 'string';
}

function isListOf(isOne: (value: unknown) => boolean, value: unknown): boolean {
  return Array.isArray(value) && value.every(isOne);
}

function isStoredRemains(value: unknown): value is StoredRemains {
  return (
    isObject(value) &&
    hasSecrets(value) &&
    typeof value['ended'] === 'string' &&
    typeof (value['successor'] ?? '') === 'string'
  );
}

function hasSecrets({ secret, rotation }: Record<string, unknown>): boolean {
  return typeof secret === 'string' && (rotation === undefined || isRotation(rotation));
}

function isRotation(value: unknown): boolean {
  const { since, pending = '', grace }: Record<string, unknown> = isObject(value) ? value : {};
  return (
    Number.isSafeInteger(since) &&
    typeof pending === 'string' &&
    Array.isArray(grace) &&
    grace.every((former) => isObject(former) && typeof former['hash'] === 'string')
  );
}
