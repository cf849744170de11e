import fc from 'fast-check';
import {
  cookieExpiresAt,
  expiresAt,
  idleLimit,
  isRotationDue,
  isTouchDue,
  type Lived,
} from '../../lib/model/lifetime.js';
import type { Rotation } from '../../lib/model/session-record.js';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
/** When the session of the table was created; all times in it are minutes from then. */
const BEGAN = Date.parse('2026-01-01T00:00:00Z');

const limits = {
  idle: HOUR,
  absolute: 24 * HOUR,
  touchEvery: 6 * MINUTE,
  rotateEvery: 15 * MINUTE,
  rotationGrace: 30_000,
};

type Own = Pick<Lived, 'remember' | 'maxAge' | 'login'>;

const lived = (seen: number, own: Own = {}): Lived => ({ createdAt: BEGAN, seenAt: BEGAN + seen * MINUTE, ...own });
const at = (minutes: number) => BEGAN + minutes * MINUTE;

describe('a session expires', () => {
  it.each<[string, Lived, number]>([
    ['idle after its last use', lived(0), 60],
    ['later when it was used later', lived(90), 150],
    ['no later than its absolute limit', lived(1390), 1440],
    ['at its absolute limit where both fall together', lived(1380), 1440],
    ['at its absolute limit though it was seen after that', lived(1500), 1440],
    ['by the age of its cookie, if shorter', lived(0, { maxAge: 10 * MINUTE }), 10],
    ['by the age of its cookie, if longer', lived(0, { maxAge: 3 * HOUR }), 180],
    ['by the common absolute limit under a cookie that lives longer', lived(0, { maxAge: 48 * HOUR }), 1440],
    ['by the common idle limit where its cookie ends with the browser', lived(0, { maxAge: null }), 60],
    ['by the limit that it is remembered for, if shorter', lived(0, { remember: 30 * MINUTE }), 30],
    ['by the limit that it is remembered for, if longer', lived(0, { remember: 48 * HOUR }), 2880],
    ['by that limit also when it was used', lived(2000, { remember: 48 * HOUR }), 2880],
    ['by the age of its cookie while it is remembered', lived(2000, { remember: 48 * HOUR, maxAge: HOUR }), 2060],
    [
      'by the limit that it is remembered for under a longer cookie',
      lived(0, { remember: HOUR, maxAge: 9 * HOUR }),
      60,
    ],
    [
      'by the limit that it is remembered for where its cookie ends with the browser',
      lived(0, { remember: HOUR / 2, maxAge: null }),
      30,
    ],
  ])('%s', (_, session, minutes) => {
    expect(expiresAt(session, limits)).toBe(at(minutes));
  });

  it.each<[string, Lived]>([
    ['idle', lived(0, { maxAge: 0.5 })],
    ['absolute', lived(0, { remember: 0.5 })],
  ])('at a whole millisecond, though its own %s limit is a fraction', (_, session) => {
    expect(expiresAt(session, limits)).toBe(BEGAN + 1);
  });

  it.each(['idle', 'absolute'])('at a whole millisecond, though the common %s limit is a fraction', (limit) => {
    expect(expiresAt(lived(0), { ...limits, [limit]: 10.5 })).toBe(BEGAN + 11);
  });

  it('at the earlier of its two limits, whatever they are', () => {
    const time = fc.integer({ min: 1, max: 10 * 24 * HOUR });
    const maybe = fc.option(time, { nil: undefined });
    fc.assert(
      fc.property(time, maybe, maybe, (seen, maxAge, remember) => {
        const session = {
          createdAt: BEGAN,
          seenAt: BEGAN + seen,
          ...(maxAge !== undefined && { maxAge }),
          ...(remember !== undefined && { remember }),
        };
        const end = expiresAt(session, limits);
        const byUse = session.seenAt + (maxAge ?? remember ?? limits.idle);
        const byAge = BEGAN + (remember ?? limits.absolute);

        expect(idleLimit(session, limits)).toBe(byUse - session.seenAt);
        expect(end).toBe(Math.min(byUse, byAge));
      }),
    );
  });
});

describe('the cookie expires', () => {
  const login = { userId: '1', at: BEGAN };

  it.each<[string, Lived, number | null]>([
    ['of a login a day after the absolute limit, so that the browser can be told', lived(0, { login }), 2880],
    ['of a login then, too, however late it was used', lived(1000, { login }), 2880],
    ['of a remembered login a day after its own limit', lived(0, { login, remember: 48 * HOUR }), 48 * 60 + 1440],
    ['of nobody at the absolute limit', lived(30), 1440],
    ['at the age that the application has set, counted from now', lived(0, { maxAge: 10 * MINUTE }), 510],
    ['at that age also for a login', lived(0, { login, maxAge: 10 * MINUTE }), 510],
    ['at that age also where it is beyond the absolute limit', lived(0, { login, maxAge: 99 * HOUR }), 500 + 99 * 60],
    ['with the browser, where the application has said so', lived(0, { login, maxAge: null }), null],
  ])('%s', (_, session, minutes) => {
    expect(cookieExpiresAt(session, limits, at(500))).toBe(minutes === null ? null : at(minutes));
  });

  it('at the same time whenever it is asked and used, unless it has an age of its own', () => {
    const minutes = fc.nat(1440);
    fc.assert(
      fc.property(minutes, minutes, minutes, (seen, one, other) => {
        for (const own of [{}, { login }, { login, remember: 48 * HOUR }]) {
          const first = cookieExpiresAt(lived(0, own), limits, at(one));
          expect(cookieExpiresAt(lived(seen, own), limits, at(other))).toBe(first);
        }
      }),
    );
  });

  it('no earlier than the session', () => {
    const time = fc.nat(3 * 24 * HOUR);
    fc.assert(
      fc.property(time, fc.option(time, { nil: undefined }), (seen, remember) => {
        const session = { createdAt: BEGAN, seenAt: BEGAN + seen, ...(remember !== undefined && { remember }) };

        expect(cookieExpiresAt(session, limits, BEGAN + seen)).toBeGreaterThanOrEqual(expiresAt(session, limits));
      }),
    );
  });
});

describe('activity is written down', () => {
  it.each<[string, Lived, number, boolean]>([
    ['not at once', lived(0), 0, false],
    ['not before its time', lived(0), 5.99, false],
    ['in time', lived(0), 6, true],
    ['later, too', lived(0), 50, true],
    ['counted from when it was last', lived(30), 35, false],
    ['counted from when it was last, in time', lived(30), 36, true],
    ['not of a session that was seen later, by another clock', lived(30), 20, false],
    ['oftener where the cookie is short-lived: not before a tenth', lived(0, { maxAge: 10 * MINUTE }), 0.99, false],
    ['oftener where the cookie is short-lived: after a tenth', lived(0, { maxAge: 10 * MINUTE }), 1, true],
    [
      'oftener where it is remembered for a short time: not before a tenth',
      lived(0, { remember: HOUR / 6 }),
      0.99,
      false,
    ],
    ['oftener where it is remembered for a short time: after a tenth', lived(0, { remember: HOUR / 6 }), 1, true],
    ['no seldomer where the cookie is long-lived', lived(0, { maxAge: 24 * HOUR }), 6, true],
    ['no seldomer where it is remembered for a long time', lived(0, { remember: 24 * HOUR }), 6, true],
    ['as of others where the cookie ends with the browser: not before', lived(0, { maxAge: null }), 5.99, false],
    ['as of others where the cookie ends with the browser: in time', lived(0, { maxAge: null }), 6, true],
  ])('%s', (_, session, minutes, due) => {
    expect(isTouchDue(session, limits, at(minutes))).toBe(due);
  });

  it('so often that no session ends that is used within its idle limit less that time', () => {
    const lasting = { ...limits, absolute: Infinity };
    fc.assert(
      fc.property(
        fc.option(fc.integer({ min: 1000, max: 2 * HOUR }), { nil: undefined }),
        fc.array(fc.double({ min: 0, max: 0.899, noNaN: true }), { maxLength: 20 }),
        (maxAge, pauses) => {
          let session = lived(0, maxAge === undefined ? {} : { maxAge });
          let now = session.createdAt;
          for (const pause of pauses) {
            now += Math.floor(pause * (maxAge ?? limits.idle));
            expect(now).toBeLessThan(expiresAt(session, lasting));
            if (isTouchDue(session, lasting, now)) session = { ...session, seenAt: now };
          }
        },
      ),
    );
  });
});

describe('a new secret is due', () => {
  const rotation = (since: number, pending?: string): Rotation => ({
    since: at(since),
    grace: [],
    ...(pending !== undefined && { pending }),
  });

  it.each<[string, Rotation | undefined, number, boolean]>([
    ['not of a new session', undefined, 0, false],
    ['not before its time', undefined, 14.99, false],
    ['in time', undefined, 15, true],
    ['not again before its time since the last one was promoted', rotation(15), 29.99, false],
    ['again in time since the last one was promoted', rotation(15), 30, true],
    ['also while one is pending: each response offers it', rotation(0, 'hash'), 15.01, true],
    ['not when the current one is new, whatever is pending', rotation(15, 'hash'), 16, false],
  ])('%s', (_, rotation, minutes, due) => {
    expect(isRotationDue({ createdAt: BEGAN, ...(rotation && { rotation }) }, limits, at(minutes))).toBe(due);
  });

  it('never where secrets never change', () => {
    const never = { ...limits, rotateEvery: Infinity };

    expect(isRotationDue({ createdAt: BEGAN }, never, at(1e9))).toBe(false);
    expect(isRotationDue({ createdAt: BEGAN, rotation: rotation(0) }, never, at(1e9))).toBe(false);
  });
});
