import fc from 'fast-check';
import { lifetimePolicy } from '../../lib/lifetime/lifetime.policy.js';
import type { Lived } from '../../lib/session/lifetime-policy.js';
import type { Rotation } from '../../lib/session/session-record.js';

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
const policy = lifetimePolicy(limits);

const lived = (seen: number, own: Pick<Lived, 'idle' | 'absolute'> = {}): Lived => ({
  createdAt: BEGAN,
  seenAt: BEGAN + seen * MINUTE,
  ...own,
});
const at = (minutes: number) => BEGAN + minutes * MINUTE;

describe('a session ends', () => {
  it.each<[string, Lived, number, 'idle_timeout' | 'absolute_timeout']>([
    ['idle after its last use', lived(0), 60, 'idle_timeout'],
    ['later when it was used later', lived(90), 150, 'idle_timeout'],
    ['no later than its absolute limit', lived(1390), 1440, 'absolute_timeout'],
    ['at its absolute limit where both fall together', lived(1380), 1440, 'absolute_timeout'],
    ['at its absolute limit though it was seen after that', lived(1500), 1440, 'absolute_timeout'],
    ['by its own idle limit, if shorter', lived(0, { idle: 10 * MINUTE }), 10, 'idle_timeout'],
    ['by its own idle limit, if longer', lived(0, { idle: 3 * HOUR }), 180, 'idle_timeout'],
    [
      'by the common absolute limit under a longer idle one of its own',
      lived(0, { idle: 48 * HOUR }),
      1440,
      'absolute_timeout',
    ],
    ['by its own absolute limit, if shorter', lived(0, { absolute: 30 * MINUTE }), 30, 'absolute_timeout'],
    ['by its own absolute limit, if longer', lived(2000, { absolute: 48 * HOUR }), 2060, 'idle_timeout'],
    ['by both limits of its own', lived(0, { idle: 48 * HOUR, absolute: 48 * HOUR }), 2880, 'absolute_timeout'],
    ['by the common idle limit where its cookie ends with the browser', lived(0, { idle: null }), 60, 'idle_timeout'],
  ])('%s', (_, session, minutes, reason) => {
    expect(policy.expiryOf(session)).toEqual({ at: at(minutes), reason });
    expect(policy.expiresAt(session)).toBe(at(minutes));
  });

  it.each([
    ['idle', lived(0, { idle: 0.5 }), 'idle_timeout'],
    ['absolute', lived(0, { absolute: 0.5 }), 'absolute_timeout'],
  ])('at a whole millisecond, though its own %s limit is a fraction', (_, session, reason) => {
    expect(policy.expiryOf(session)).toEqual({ at: Math.ceil(session.seenAt + 0.5), reason });
  });

  it('at the earlier of its two limits, whatever they are', () => {
    const time = fc.integer({ min: 1, max: 10 * 24 * HOUR });
    const maybe = fc.option(time, { nil: undefined });
    fc.assert(
      fc.property(time, maybe, maybe, (seen, idle, absolute) => {
        const session = { createdAt: BEGAN, seenAt: BEGAN + seen, idle, absolute };
        const { at: end, reason } = policy.expiryOf(session);
        const byUse = session.seenAt + (idle ?? limits.idle);
        const byAge = BEGAN + (absolute ?? limits.absolute);

        expect(policy.expiresAt(session)).toBe(end);
        expect([byUse, byAge]).toContain(end);
        expect(end).toBeLessThanOrEqual(Math.min(byUse, byAge));
        expect(reason).toBe(byAge <= byUse ? 'absolute_timeout' : 'idle_timeout');
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
    ['oftener where the idle limit is short: not before a tenth of it', lived(0, { idle: 10 * MINUTE }), 0.99, false],
    ['oftener where the idle limit is short: after a tenth of it', lived(0, { idle: 10 * MINUTE }), 1, true],
    ['no seldomer where the idle limit is long', lived(0, { idle: 24 * HOUR }), 6, true],
    ['as of others where the cookie ends with the browser: not before', lived(0, { idle: null }), 5.99, false],
    ['as of others where the cookie ends with the browser: in time', lived(0, { idle: null }), 6, true],
  ])('%s', (_, session, minutes, due) => {
    expect(policy.touchDue(session, at(minutes))).toBe(due);
  });

  it('so often that no session ends that is used within its idle limit less that time', () => {
    fc.assert(
      fc.property(
        fc.option(fc.integer({ min: 1000, max: 2 * HOUR }), { nil: undefined }),
        fc.array(fc.double({ min: 0, max: 0.899, noNaN: true }), { maxLength: 20 }),
        (idle, pauses) => {
          let session = { ...lived(0), absolute: Infinity, ...(idle !== undefined && { idle }) };
          let now = session.createdAt;
          for (const pause of pauses) {
            now += Math.floor(pause * (idle ?? limits.idle));
            expect(now).toBeLessThan(policy.expiresAt(session));
            if (policy.touchDue(session, now)) session = { ...session, seenAt: now };
          }
        },
      ),
    );
  });
});

describe('a new secret is due', () => {
  const rotation = (since: number, offeredAt?: number): Rotation => ({
    since: at(since),
    offers: [],
    offeredAt: offeredAt === undefined ? 0 : at(offeredAt),
    grace: [],
  });

  it.each<[string, Rotation | undefined, number, boolean]>([
    ['not of a new session', undefined, 0, false],
    ['not before its time', undefined, 14.99, false],
    ['in time', undefined, 15, true],
    ['not again before its time since the last one took over', rotation(15), 29.99, false],
    ['again in time since the last one took over', rotation(15), 30, true],
    ['not while one that was just offered is on its way', rotation(0, 15), 15.49, false],
    ['again when that did not come back within the grace', rotation(0, 15), 15.5, true],
    ['not when the current one is new, whenever the last was offered', rotation(15, 0), 16, false],
  ])('%s', (_, rotation, minutes, due) => {
    expect(policy.offerDue({ createdAt: BEGAN, rotation }, at(minutes))).toBe(due);
  });

  it('never where secrets never change', () => {
    const never = lifetimePolicy({ ...limits, rotateEvery: Infinity });

    expect(never.offerDue({ createdAt: BEGAN }, at(1e9))).toBe(false);
    expect(never.offerDue({ createdAt: BEGAN, rotation: rotation(0) }, at(1e9))).toBe(false);
  });
});

it('the policy tells the idle limit of a new session and the grace of an old secret', () => {
  expect(policy).toMatchObject({ idle: HOUR, rotationGrace: 30_000 });
});
