import { createHmac } from 'node:crypto';
import { sameHash } from './session-id.js';

/** What a browser keeps of a user who has logged in on it. It does not show who that is, and it opens nothing. */
export interface DeviceMarker {
  /** When the user last logged in on this browser. */
  readonly at: number;
  /** Left out where the user has to prove every method. */
  readonly trust?: DeviceTrust | undefined;
}

/** The methods that a user need not prove on a browser. */
export interface DeviceTrust {
  /** Each method, with the time until which it is spared. */
  readonly methods: readonly SparedUntil[];
  /** The user's trust epoch when the trust was granted. It ends when the store has another one, or none. */
  readonly epoch: string;
}

type SparedUntil = readonly [method: string, until: number];

/** A user as a marker knows them. */
export interface MarkedUser {
  readonly userId: string;
  /** The kind of user: an id without one may read like an id with one. */
  readonly kind?: string | undefined;
  /** Hash of the user's credential stamp, where the serializer has one. Trust ends with it. */
  readonly stamp?: string | null | undefined;
}

/** Keys of the application's own: the first one makes markers, all verify them. */
export type MarkerKeys = readonly [Buffer, ...Buffer[]];

/** How long a browser keeps a marker: as long as browsers keep any cookie (RFC 6265bis, section 5.5). In milliseconds. */
export const MARKER_LIVES_FOR = 400 * 24 * 3_600_000;

/** Most users of one browser that are kept. */
export const MOST_MARKERS = 8;
/** Most characters of all markers together. With the cookie's name they stay well below the 4096 bytes of a cookie. */
export const LONGEST_LIST = 3_600;

const SEPARATOR = '~';
/** A payload, and its HMAC. */
const MARKER = /^[\w-]{1,2000}\.[\w-]{43}$/;

/** What is signed, as JSON with short names: several markers share one cookie. */
interface Payload {
  at: number;
  spared?: readonly SparedUntil[];
  epoch?: string;
  stamp?: string;
}

/** One key for each of the option `secret`'s values, in their order. */
export function markerKeys([first, ...others]: readonly [string, ...string[]]): MarkerKeys {
  return [markerKey(first), ...others.map(markerKey)];
}

function markerKey(secret: string): Buffer {
  return createHmac('sha256', secret).update('nestjs-session-auth device').digest();
}

/** The marker as text. */
export function sealMarker({ at, trust }: DeviceMarker, user: MarkedUser, [key]: MarkerKeys): string {
  const payload: Payload = {
    at,
    ...(trust && { spared: trust.methods, epoch: trust.epoch, ...stampIn(user, key) }),
  };
  const text = Buffer.from(JSON.stringify(payload)).toString('base64url');
  return `${text}.${macOf(text, user, key)}`;
}

/** The marker in a text, without trust that has ended; `undefined` where it is not this user's, or too old. */
export function openMarker(text: string, user: MarkedUser, keys: MarkerKeys, now: number): DeviceMarker | undefined {
  const [payload = '', mac = ''] = text.split('.');
  const key = keys.find((one) => sameHash(mac, macOf(payload, user, one)));
  if (key === undefined) {
    return undefined;
  }
  // Only what this module has written is ever read.
  const { at, spared = [], epoch, stamp } = JSON.parse(Buffer.from(payload, 'base64url').toString()) as Payload;
  const methods = spared.filter(([, until]) => now < until);
  const isStampKept = stamp === stampIn(user, key).stamp;
  const trust = epoch !== undefined && methods.length > 0 && isStampKept ? { methods, epoch } : undefined;
  return now < at + MARKER_LIVES_FOR ? { at, trust } : undefined;
}

/** The user's id has any characters; a payload and a kind have no zero byte. */
function macOf(payload: string, { userId, kind = '' }: MarkedUser, key: Buffer): string {
  return createHmac('sha256', key).update(`marker\0${payload}\0${kind}\0${userId}`).digest('base64url');
}

/** By a key of the application's: nobody can guess the stamp from what the browser keeps. */
function stampIn({ userId, stamp }: MarkedUser, key: Buffer): { stamp?: string } {
  return typeof stamp === 'string'
    ? { stamp: createHmac('sha256', key).update(`stamp\0${stamp}\0${userId}`).digest('base64url').slice(0, 22) }
    : {};
}

/** The methods among these that are spared. */
export function sparedMethods(marker: DeviceMarker | undefined, methods: readonly string[]): string[] {
  const spared = new Set(marker?.trust?.methods.map(([method]) => method));
  return methods.filter((method) => spared.has(method));
}

/**
 * The marker after one more login.
 *
 * @param granted the methods that this login has the browser spared from now on, with the user's trust epoch
 */
export function renewedMarker(
  former: DeviceMarker | undefined,
  granted: DeviceTrust | undefined,
  now: number,
): DeviceMarker {
  if (granted === undefined) {
    return { at: now, trust: former?.trust };
  }
  const kept = former?.trust?.epoch === granted.epoch ? former.trust.methods : [];
  const isGranted = (method: string): boolean => granted.methods.some(([one]) => one === method);
  return {
    at: now,
    trust: { ...granted, methods: [...kept.filter(([method]) => !isGranted(method)), ...granted.methods] },
  };
}

/** What may be markers in a cookie's value. Limits come before any work: everybody can send such a cookie. */
export function splitMarkers(value: string): string[] {
  return value.length > LONGEST_LIST ? [] : value.split(SEPARATOR, MOST_MARKERS).filter((text) => MARKER.test(text));
}

/** A cookie's value of these markers, or of as many of the first ones as have room. */
export function joinMarkers(markers: readonly string[]): string {
  let list = '';
  for (const marker of markers.slice(0, MOST_MARKERS)) {
    const longer = list === '' ? marker : `${list}${SEPARATOR}${marker}`;
    if (longer.length > LONGEST_LIST) {
      break;
    }
    list = longer;
  }
  return list;
}
