import fc from 'fast-check';
import { isRotationDue } from '../../lib/model/lifetime.js';
import {
  nextSecret,
  promoted,
  rotationKeys,
  type RotationKeys,
  secretHashesOf,
  secretStatus,
} from '../../lib/model/rotation.js';
import { hashSecret, newSecret } from '../../lib/model/session-id.js';
import type { Rotation } from '../../lib/model/session-record.js';

const NOW = Date.parse('2026-01-01T00:00:00Z');
const GRACE = 30_000;

type Secrets = Parameters<typeof secretStatus>[0];

const secret = (n: number) => `secret ${n}`;
const hash = (n: number) => hashSecret(secret(n));

/** A session whose current secret is number 0. */
const session = (rotation?: Partial<Rotation>): Secrets => ({
  createdAt: NOW,
  secretHash: hash(0),
  ...(rotation && { rotation: { since: NOW, grace: [], ...rotation } }),
});

describe('the status of a secret is', () => {
  const rotated = session({
    pending: hash(1),
    grace: [
      { hash: hash(3), until: NOW + 10 },
      { hash: hash(4), until: NOW + 20 },
    ],
  });

  it.each<[string, Secrets, string, number, string | undefined]>([
    ['current', session(), secret(0), 0, 'current'],
    ['current, beside others', rotated, secret(0), 0, 'current'],
    ['current, however late', rotated, secret(0), 1e12, 'current'],
    ['pending, once it is offered', session({ pending: hash(1) }), secret(1), 0, 'pending'],
    ['pending, while a former one is still good', rotated, secret(1), 19, 'pending'],
    ['pending, however late', rotated, secret(1), 1e12, 'pending'],
    ['grace, for a former one', rotated, secret(3), 9, 'grace'],
    ['none at the end of its grace', rotated, secret(3), 10, undefined],
    ['grace, for an older one with a longer grace', rotated, secret(4), 19, 'grace'],
    ['none for one that never was', rotated, secret(5), 0, undefined],
    ['none for an empty one', rotated, '', 0, undefined],
    ['none for the hash of the current one', rotated, hash(0), 0, undefined],
    ['none for the hash of the pending one', rotated, hash(1), 0, undefined],
    ['none for any but the current one, where none was ever offered', session(), secret(1), 0, undefined],
  ])('%s', (_, secrets, shown, later, status) => {
    expect(secretStatus(secrets, shown, NOW + later)).toBe(status);
  });

  it('the best of what it is, were it several', () => {
    const grace = [{ hash: hash(0), until: NOW + 1 }];

    expect(secretStatus(session({ pending: hash(0), grace }), secret(0), NOW)).toBe('current');
    expect(
      secretStatus(session({ pending: hash(1), grace: [{ hash: hash(1), until: NOW + 1 }] }), secret(1), NOW),
    ).toBe('pending');
  });
});

describe('the next secret', () => {
  const [key, other] = [rotationKeys(['a secret']), rotationKeys(['another'])] as const;
  const next = (secrets: Secrets, keys: RotationKeys = key) => nextSecret(secrets, secret(0), keys);
  const offered = (secrets: Secrets, keys: RotationKeys = key): Secrets => ({
    ...secrets,
    ...next(secrets, keys).change,
  });

  it('is the same for all who ask, before it is stored and after', () => {
    const first = next(session());
    const stored = offered(session());

    expect(next(session()).secret).toBe(first.secret);
    expect(next(stored)).toEqual({ secret: first.secret, change: undefined });
    expect(next({ ...stored, createdAt: NOW + 99 }).secret).toBe(first.secret);
  });

  it('has the form of any secret, and is none that there was', () => {
    const { secret: offer } = next(session());

    expect(offer).toMatch(/^[\w-]{43}$/);
    expect(offer).toHaveLength(newSecret().length);
    expect([secret(0), hash(0)]).not.toContain(offer);
  });

  it('is another for another key, and for another current secret', () => {
    const offers = [
      next(session()),
      next(session(), other),
      nextSecret(session(), secret(1), key),
      nextSecret(session(), secret(1), other),
    ].map((offer) => offer.secret);

    expect(new Set(offers).size).toBe(4);
  });

  it('comes from no key that is a value of the option "secret" itself', () => {
    const [derived] = rotationKeys(['a secret']);

    expect(next(session(), [Buffer.from('a secret')]).secret).not.toBe(next(session(), [derived]).secret);
  });

  it('is pending from then on, and nothing of it but its hash is stored', () => {
    const { secret: offer, change } = next(session());

    expect(change).toEqual({ rotation: { since: NOW, pending: hashSecret(offer), grace: [] } });
    expect(secretStatus(offered(session()), offer, NOW)).toBe('pending');
  });

  it('leaves the age of the current one and the grace of former ones as they are', () => {
    const rotation = { since: NOW - 7, grace: [{ hash: hash(9), until: NOW + 10 }] };

    expect(next(session(rotation)).change).toEqual({
      rotation: { ...rotation, pending: hashSecret(next(session()).secret) },
    });
  });

  it.each([0, 1, 2])('is found again by number %d of several keys', (place) => {
    const keys = rotationKeys(['one', 'two', 'three']);
    const stored = offered(session(), [keys[place]!]);

    expect(next(stored, keys)).toEqual({ secret: next(session(), [keys[place]!]).secret, change: undefined });
  });

  it('is derived by the first of several keys, where none is pending', () => {
    const keys = rotationKeys(['one', 'two']);

    expect(next(session(), keys)).toEqual(next(session(), [keys[0]]));
  });

  it('is replaced where no key gives the pending one any more', () => {
    const grace = [{ hash: hash(9), until: NOW + 10 }];
    const stored = offered(session({ since: NOW - 7, grace }), other);
    const replaced = offered(stored);

    expect(next(stored).secret).toBe(next(session()).secret);
    expect(replaced.rotation).toEqual({ since: NOW - 7, grace, pending: hashSecret(next(session()).secret) });
    expect(secretStatus(replaced, next(session(), other).secret, NOW)).toBeUndefined();
  });
});

describe('promoting', () => {
  it('makes the pending secret the current one, and gives the former one a grace', () => {
    expect(promoted(session({ pending: hash(1) }), hash(1), NOW + 5, NOW + 35)).toEqual({
      secretHash: hash(1),
      rotation: { since: NOW + 5, grace: [{ hash: hash(0), until: NOW + 35 }] },
    });
  });

  it('leaves none pending', () => {
    const { rotation } = promoted(session({ pending: hash(1) }), hash(1), NOW, NOW + 30);

    expect(rotation).not.toHaveProperty('pending');
  });

  it('forgets the former ones whose grace is over, and moves no other end', () => {
    const grace = [
      { hash: hash(8), until: NOW },
      { hash: hash(9), until: NOW + 1 },
    ];

    expect(promoted(session({ pending: hash(1), grace }), hash(1), NOW, NOW + 30).rotation!.grace).toEqual([
      { hash: hash(9), until: NOW + 1 },
      { hash: hash(0), until: NOW + 30 },
    ]);
  });
});

describe('the secrets of a session', () => {
  it.each<[Secrets, number[]]>([
    [session(), [0]],
    [session({ pending: hash(1), grace: [{ hash: hash(3), until: NOW }] }), [0, 1, 3]],
    [session({ grace: [2, 3].map((n) => ({ hash: hash(n), until: NOW })) }), [0, 2, 3]],
  ])('are all that open it, or did lately (%#)', (secrets, numbers) => {
    expect(secretHashesOf(secrets)).toEqual(numbers.map(hash));
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
  readonly #limits;
  readonly #keys = rotationKeys(['a secret']);
  #session: Secrets = { createdAt: NOW, secretHash: hash(0) };
  #current = secret(0);
  #jar = secret(0);
  /** What is to happen, by when. */
  readonly #due: { at: number; happens: (now: number) => void }[] = [];
  /** When each of the former secrets was superseded. */
  readonly superseded = new Map<string, number>();
  readonly refused: number[] = [];
  readonly offers: string[] = [];
  rotations = 0;
  lost = 0;

  constructor(rotateEvery: number) {
    this.#limits = { idle: Infinity, absolute: Infinity, touchEvery: Infinity, rotateEvery, rotationGrace: GRACE };
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
    const status = secretStatus(this.#session, shown, now);
    if (status === undefined) {
      this.refused.push(now - NOW);
    } else if (status === 'pending') {
      this.superseded.set(this.#current, now);
      this.#current = shown;
      this.#session = { ...this.#session, ...promoted(this.#session, hashSecret(shown), now, now + GRACE) };
      this.rotations++;
    }
    if (status === undefined || status === 'grace' || !isRotationDue(this.#session, this.#limits, now)) {
      return undefined;
    }
    const next = nextSecret(this.#session, shown, this.#keys);
    this.#session = { ...this.#session, ...next.change };
    this.offers.push(next.secret);
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
/** Shorter than the grace, as long, and longer. */
const rotateEvery = fc.constantFrom(1, GRACE / 3, GRACE, GRACE + 1, 2 * GRACE, 20 * GRACE);

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

  it('is not refused for a late response with a secret that has been shown meanwhile, nor after it', () => {
    const play = new Play(GRACE).play([
      { wait: GRACE, there: 0, back: GRACE - 1 },
      { wait: 1, there: 0, back: 1 },
      { wait: 2, there: 0, back: 0 },
      { wait: GRACE, there: 0, back: 0 },
      { wait: 1, there: 0, back: 0 },
      { wait: 2 * GRACE, there: 0, back: 0 },
    ]);

    expect([play.refused, play.rotations]).toEqual([[], 2]);
  });

  it('is offered one and the same secret by all responses until it shows that', () => {
    const all = Array.from({ length: 20 }, (_, n) => ({ wait: n === 0 ? GRACE : 1, there: n % 5, back: 100 - 5 * n }));
    const play = new Play(GRACE).play(all);

    expect(play.offers.length).toBeGreaterThan(10);
    expect(new Set(play.offers).size).toBe(1);
  });

  it('is not refused after a hundred responses in a row were lost', () => {
    const lost = Array.from({ length: 100 }, () => ({ wait: GRACE, there: 0, back: undefined }));
    const play = new Play(GRACE).play([...lost, { wait: GRACE, there: 0, back: 5 }, { wait: 10, there: 0, back: 5 }]);

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
            expect(secretStatus(play.secrets, old, now)).toBe(now < since + GRACE ? 'grace' : undefined);
            checked++;
          }
          expect(secretStatus(play.secrets, newSecret(), now)).toBeUndefined();
        });
      }),
      { numRuns: 60 },
    );
    expect(checked).toBeGreaterThan(1000);
  });
});
