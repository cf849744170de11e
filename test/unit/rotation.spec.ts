import fc from 'fast-check';
import { lifetimePolicy } from '../../lib/lifetime/lifetime.policy.js';
import { offered, secretsOf, standingOf, takenOver } from '../../lib/session/rotation.js';
import { hashSecret, newSecret } from '../../lib/session/session-id.js';
import type { Rotation } from '../../lib/session/session-record.js';

const NOW = Date.parse('2026-01-01T00:00:00Z');
const GRACE = 30_000;

type Secrets = Parameters<typeof standingOf>[0];

const secret = (n: number) => `secret ${n}`;
const hash = (n: number) => hashSecret(secret(n));

/** A session whose current secret is number 0. */
const session = (rotation?: Partial<Rotation>): Secrets => ({
  createdAt: NOW,
  secretHash: hash(0),
  ...(rotation && { rotation: { since: NOW, offers: [], offeredAt: 0, grace: [], ...rotation } }),
});

describe('what a secret is to its session', () => {
  const rotated = session({
    offers: [hash(1), hash(2)],
    grace: [
      { hash: hash(3), until: NOW + 10 },
      { hash: hash(4), until: NOW + 20 },
    ],
  });

  it.each<[string, Secrets, string, number, string | undefined]>([
    ['the current one', session(), secret(0), 0, 'current'],
    ['the current one, beside others', rotated, secret(0), 0, 'current'],
    ['the current one, however late', rotated, secret(0), 1e12, 'current'],
    ['one on offer', session({ offers: [hash(1)] }), secret(1), 0, 'offered'],
    ['one on offer, while an old one is still good', rotated, secret(1), 19, 'grace'],
    ['one on offer, when the old ones are not any more', rotated, secret(1), 20, 'offered'],
    ['another on offer, however late', rotated, secret(2), 1e12, 'offered'],
    ['an old one in its grace', rotated, secret(3), 9, 'grace'],
    ['an old one at the end of its grace', rotated, secret(3), 10, undefined],
    ['an older one in a longer grace', rotated, secret(4), 19, 'grace'],
    ['one that never was', rotated, secret(5), 0, undefined],
    ['none', rotated, '', 0, undefined],
    ['the hash of the current one', rotated, hash(0), 0, undefined],
    ['the hash of one on offer', rotated, hash(1), 0, undefined],
    ['any but the current one, where none was ever offered', session(), secret(1), 0, undefined],
  ])('%s', (_, secrets, shown, later, standing) => {
    expect(standingOf(secrets, shown, NOW + later)).toBe(standing);
  });

  it('is the best of what it is, were it several', () => {
    const grace = [{ hash: hash(0), until: NOW + 1 }];

    expect(standingOf(session({ offers: [hash(0)], grace }), secret(0), NOW)).toBe('current');
  });
});

describe('offering a secret', () => {
  it('puts the first beside the current one, and notes when', () => {
    expect(offered(session(), hash(1), NOW + 5)).toEqual({
      rotation: { since: NOW, offers: [hash(1)], offeredAt: NOW + 5, grace: [] },
    });
  });

  it('keeps the ones that were lost on their way, the grace of old ones, and the age of the current one', () => {
    const grace = [{ hash: hash(9), until: NOW + 10 }];

    expect(offered(session({ since: NOW - 7, offers: [hash(1)], offeredAt: NOW, grace }), hash(2), NOW + 5)).toEqual({
      rotation: { since: NOW - 7, offers: [hash(1), hash(2)], offeredAt: NOW + 5, grace },
    });
  });

  it('has no more than four on offer: the oldest goes', () => {
    const offers = [1, 2, 3, 4].map(hash);

    expect(offered(session({ offers }), hash(5), NOW).rotation.offers).toEqual([2, 3, 4, 5].map(hash));
  });
});

describe('taking over', () => {
  it('makes the secret the current one, and gives the old one a grace', () => {
    expect(takenOver(session({ offers: [hash(1)], offeredAt: NOW }), hash(1), NOW + 5, NOW + 35)).toEqual({
      secretHash: hash(1),
      rotation: { since: NOW + 5, offers: [], offeredAt: 0, grace: [{ hash: hash(0), until: NOW + 35 }] },
    });
  });

  it('leaves others on offer, for they may be on their way', () => {
    const { rotation } = takenOver(session({ offers: [1, 2, 3].map(hash) }), hash(2), NOW, NOW + 30);

    expect(rotation!.offers).toEqual([1, 3].map(hash));
  });

  it('forgets the old ones whose grace is over, and moves no other end', () => {
    const grace = [
      { hash: hash(8), until: NOW },
      { hash: hash(9), until: NOW + 1 },
    ];

    expect(takenOver(session({ offers: [hash(1)], grace }), hash(1), NOW, NOW + 30).rotation!.grace).toEqual([
      { hash: hash(9), until: NOW + 1 },
      { hash: hash(0), until: NOW + 30 },
    ]);
  });
});

describe('the secrets of a session', () => {
  it.each<[Secrets, number[]]>([
    [session(), [0]],
    [session({ offers: [hash(1), hash(2)], grace: [{ hash: hash(3), until: NOW }] }), [0, 1, 2, 3]],
  ])('are all that open it, or did lately (%#)', (secrets, numbers) => {
    expect(secretsOf(secrets)).toEqual(numbers.map(hash));
  });
});

/** Something that a browser does, and how the net treats it; times are milliseconds. */
interface Move {
  /** After the move before it. */
  readonly wait: number;
  /** Until the request comes to the server. */
  readonly there: number;
  /** Until the response comes to the browser; `undefined` where it is lost. */
  readonly back: number | undefined;
}

/** A session on a server, and a browser that shows what it last received. */
class Play {
  readonly #policy;
  #session: Secrets = { createdAt: NOW, secretHash: hash(0) };
  #current = secret(0);
  #jar = secret(0);
  /** What is to happen, by when. */
  readonly #due: { at: number; happens: (now: number) => void }[] = [];
  /** When each of the former secrets was superseded. */
  readonly superseded = new Map<string, number>();
  readonly refused: number[] = [];
  rotations = 0;
  lost = 0;

  constructor(rotateEvery: number) {
    const limits = { idle: Infinity, absolute: Infinity, touchEvery: Infinity, rotateEvery, rotationGrace: GRACE };
    this.#policy = lifetimePolicy(limits);
  }

  get secrets(): Secrets {
    return this.#session;
  }

  play(moves: readonly Move[], observe: (now: number) => void = () => undefined): this {
    let at = NOW;
    for (const move of moves) {
      at += move.wait;
      this.#due.push({ at, happens: (now) => this.#send(move, now) });
    }
    for (;;) {
      this.#due.sort((a, b) => a.at - b.at);
      const next = this.#due.shift();
      if (next === undefined) return this;
      next.happens(next.at);
      observe(next.at);
    }
  }

  #send({ there, back }: Move, now: number): void {
    const shown = this.#jar;
    this.#due.push({
      at: now + there,
      happens: (arrival) => {
        const received = this.#serve(shown, arrival);
        if (received === undefined) return;
        if (back === undefined) this.lost++;
        else this.#due.push({ at: arrival + back, happens: () => void (this.#jar = received) });
      },
    });
  }

  /** A request, as the server takes it; the secret that its response offers. */
  #serve(shown: string, now: number): string | undefined {
    const standing = standingOf(this.#session, shown, now);
    if (standing === undefined) {
      this.refused.push(now - NOW);
    } else if (standing === 'offered') {
      this.superseded.set(this.#current, now);
      this.#current = shown;
      this.#session = { ...this.#session, ...takenOver(this.#session, hashSecret(shown), now, now + GRACE) };
      this.rotations++;
    }
    if (standing === undefined || standing === 'grace' || !this.#policy.offerDue(this.#session, now)) {
      return undefined;
    }
    const next = newSecret();
    this.#session = { ...this.#session, ...offered(this.#session, next.hash, now) };
    return next.secret;
  }
}

/** Within the grace there and back, however that is divided. */
const inTime: fc.Arbitrary<Move> = fc
  .record({
    wait: fc.oneof(fc.nat(200), fc.nat(GRACE), fc.nat(4 * GRACE)),
    there: fc.oneof(fc.constant(0), fc.nat(GRACE - 1)),
    rest: fc.double({ min: 0, max: 1, noNaN: true }),
    lost: fc.nat(2),
  })
  .map(({ wait, there, rest, lost }) => ({
    wait,
    there,
    back: lost === 0 ? undefined : Math.floor(rest * (GRACE - 1 - there)),
  }));
const moves = fc.array(inTime, { minLength: 1, maxLength: 60, size: 'max' });
/** Shorter than the grace, about as long, and longer. */
const rotateEvery = fc.constantFrom(1, GRACE / 3, GRACE, 2 * GRACE, 20 * GRACE);

describe('a browser that shows what it last received', () => {
  it('is never refused, whatever is lost, as long as what arrives does so within the grace', () => {
    let [rotations, lost] = [0, 0];
    fc.assert(
      fc.property(rotateEvery, moves, (every, all) => {
        const play = new Play(every).play(all);
        rotations += play.rotations;
        lost += play.lost;
        expect(play.refused).toEqual([]);
      }),
      { numRuns: 1000 },
    );
    expect(Math.min(rotations, lost)).toBeGreaterThan(1000);
  });

  it('is not refused for a late request that shows an earlier offer, after a later one has been taken up', () => {
    const play = new Play(1).play([
      { wait: 1, there: 0, back: 10 },
      { wait: 10, there: 29_990, back: 0 },
      { wait: 19_666, there: 10_326, back: undefined },
      { wait: 10_325, there: 0, back: undefined },
      { wait: 1_209, there: 28_792, back: undefined },
    ]);

    expect([play.refused, play.rotations]).toEqual([[], 1]);
  });

  it('is not refused after a hundred responses in a row were lost', () => {
    const lost = Array.from({ length: 100 }, () => ({ wait: GRACE, there: 0, back: undefined }));
    const play = new Play(1).play([...lost, { wait: GRACE, there: 0, back: 5 }, { wait: 10, there: 0, back: 5 }]);

    expect([play.refused, play.lost, play.rotations]).toEqual([[], 100, 1]);
  });
});

describe('a secret that was superseded', () => {
  it('opens the session for its grace and never after, nor does one that never was', () => {
    let checked = 0;
    fc.assert(
      fc.property(rotateEvery, moves, (every, all) => {
        const play = new Play(every);
        play.play(all, (now) => {
          for (const [old, since] of play.superseded) {
            expect(standingOf(play.secrets, old, now)).toBe(now < since + GRACE ? 'grace' : undefined);
            checked++;
          }
          expect(standingOf(play.secrets, newSecret().secret, now)).toBeUndefined();
        });
      }),
      { numRuns: 60 },
    );
    expect(checked).toBeGreaterThan(1000);
  });
});
