import { jest } from '@jest/globals';
import fc from 'fast-check';
import type { FoundSession } from '../../lib/store/session-store.js';
import { TestClock } from '../support/test-clock.js';
import type { Difference } from './differences.js';
import { type Client, LIFETIME, type Observation, Pair, type SessionCookie, type Step } from './pair.js';
import type { Glimpse, Operation, Program, Reply, Run } from './program.js';

/** Of each of the two stores. DIFFERENTIAL_RUNS and DIFFERENTIAL_SEED run more, or the same again. */
const RUNS = Number(process.env['DIFFERENTIAL_RUNS'] ?? 300);
const SEED = Number(process.env['DIFFERENTIAL_SEED'] ?? Math.floor(Math.random() * 2 ** 31));

// What is tried. ----------------------------------------------------------------------------------------------------

const key = fc.oneof(
  { arbitrary: fc.constantFrom('a', 'b', 'c'), weight: 9 },
  // Names that a careless implementation takes for its own, or that JSON or objects treat in their own way.
  {
    arbitrary: fc.constantFrom('commit', 'owner', 'user', 'data', 'version', 'handle', '7', '', 'toString', 'a.b'),
    weight: 1,
  },
);
const value = fc.constantFrom<unknown>(0, 1, 'text', '', null, true, [], [1, { two: 2 }], {}, { inner: 0 }, 'ä\u2028€');

const addition: fc.Arbitrary<Operation> = fc.oneof(
  fc.record({ do: fc.constant('set' as const), key, value }),
  fc.record({ do: fc.constant('nest' as const), key, value }),
);
const change = fc.oneof(
  { arbitrary: addition, weight: 2 },
  { arbitrary: fc.record({ do: fc.constant('delete' as const), key }), weight: 1 },
);

/** They keep empty sessions and we do not: something is put in that nothing takes out again. */
const saved: fc.Arbitrary<Operation[]> = value.map((one) => [{ do: 'set', key: 's', value: one }, { do: 'save' }]);
const renewed: fc.Arbitrary<Operation[]> = value.map((one) => [
  { do: 'regenerate' },
  { do: 'set', key: 'r', value: one },
]);

const operations: fc.Arbitrary<Operation[]> = fc.oneof(
  { arbitrary: change.map((one) => [one]), weight: 8 },
  { arbitrary: saved, weight: 1 },
  { arbitrary: renewed, weight: 1 },
  {
    arbitrary: fc.constantFrom<Operation[]>(
      [{ do: 'read' }],
      [{ do: 'reload' }],
      [{ do: 'touch' }],
      [{ do: 'resetMaxAge' }],
      [{ do: 'maxAge', to: LIFETIME.idle }],
      [{ do: 'maxAge', to: 10_000 }],
      [{ do: 'maxAge', to: 120_000 }],
      [{ do: 'maxAge', to: null }],
    ),
    weight: 5,
  },
  {
    arbitrary: fc.constantFrom<Operation[]>(
      [{ do: 'destroy' }],
      [{ do: 'unset', by: 'null' }],
      [{ do: 'unset', by: 'delete' }],
      [{ do: 'throw' }],
    ),
    weight: 1,
  },
);

function several(one: fc.Arbitrary<Operation[]>, maxLength: number): fc.Arbitrary<Operation[]> {
  return fc.array(one, { maxLength }).map((lists) => lists.flat());
}

/** They have saved at once and we soon, so this takes nothing back. */
const lateAdditions = several(
  value.map((one) => [{ do: 'set', key: 'l', value: one }]),
  2,
);

/** What a handler may do after the first byte without meeting that we have saved by then, and they have not. */
const late = several(
  fc.oneof(
    addition.map((one) => [one]),
    saved,
    renewed,
    fc.constantFrom<Operation[]>([{ do: 'touch' }], [{ do: 'destroy' }]),
  ),
  2,
);

const reply: fc.Arbitrary<Reply> = fc.oneof(
  {
    arbitrary: fc.constantFrom<Reply>(
      { by: 'json' },
      { by: 'send' },
      { by: 'end' },
      { by: 'sendStatus' },
      { by: 'redirect' },
      { by: 'noContent' },
      { by: 'notFound' },
      { by: 'etag' },
      { by: 'endLength' },
      { by: 'endTwice' },
      { by: 'writeHeadObject' },
      { by: 'writeHeadArray' },
      { by: 'writeHeadPairs' },
      { by: 'writeHeadCookie' },
      { by: 'pipe' },
    ),
    weight: 4,
  },
  { arbitrary: fc.record({ by: fc.constantFrom('write' as const, 'flush' as const), late }), weight: 1 },
  { arbitrary: fc.record({ by: fc.constant('writeHeadFirst' as const), late: lateAdditions }), weight: 1 },
);

const program: fc.Arbitrary<Program> = fc.record(
  {
    operations: several(operations, 5),
    ownCookie: fc.constantFrom('cookie', 'header', 'headers', 'append'),
    reply,
  },
  { requiredKeys: ['operations', 'reply'] },
);

interface Move extends Step {
  browser: 0 | 1;
  /** Milliseconds that pass before. */
  after: number;
}

const move: fc.Arbitrary<Move> = fc.record(
  {
    browser: fc.constantFrom<0 | 1>(0, 0, 1),
    after: fc.constantFrom(0, 0, 0, 1, 1_000, 7_000, 30_000, 70_000),
    method: fc.constantFrom('GET', 'GET', 'HEAD', 'POST'),
    program,
    ifNoneMatch: fc.boolean(),
  },
  { requiredKeys: ['browser', 'after', 'program'] },
);

// What is expected. -------------------------------------------------------------------------------------------------

/** What our store says of the presented session before a request: by it alone the intended differences are foreseen. */
interface Before {
  id: string | undefined;
  live: boolean;
  /** Milliseconds until it ends, and its own idle limit, if it has one. */
  left: number;
  maxAge: number | null | undefined;
}

/** Makes what our loop must respond of what express-session did, and counts the differences that it met. */
class Foresight {
  readonly met = { renewal: 0, lag: 0, wish: 0, cache: 0, end: 0 } satisfies Partial<Record<Difference, number>>;

  constructor(private readonly clock: TestClock) {}

  expect(theirs: Observation, before: Before, ours: Run, previous: Run | undefined): Observation {
    const sessionCookie = this.#cookie(theirs.sessionCookie, before, ours);
    if (sessionCookie !== undefined) {
      this.met.cache++;
    }
    return {
      ...theirs,
      sessionCookie,
      headers: { ...theirs.headers, ...(sessionCookie && { 'cache-control': 'no-store' }) },
      seen: theirs.seen.map((glimpse, index) => (index === 0 ? this.#first(glimpse, before, previous) : glimpse)),
    };
  }

  #first(glimpse: Glimpse, { live, left, maxAge }: Before, previous: Run | undefined): Glimpse {
    if (!live || glimpse.left === undefined || glimpse.left === null || glimpse.left === left) {
      return glimpse;
    }
    const lag = glimpse.left - left;
    // Where the handler took the session away, they have not noted the use; our `save()` may have.
    const savedOnly = previous?.present === false && lag < 0;
    if (!savedOnly && (lag < 0 || lag >= touchEvery(maxAge))) {
      return glimpse;
    }
    this.met.lag++;
    return { ...glimpse, left };
  }

  /**
   * A new session's cookie goes out with theirs, and lives until the absolute limit. That of the session that came with the
   * request goes out where `cookie.maxAge` is a new one, and so is the age of either.
   */
  #cookie(theirs: SessionCookie | undefined, before: Before, ours: Run): SessionCookie | undefined {
    const continued = before.live && ours.present && ours.id === before.id;
    if (!continued && theirs !== undefined && !ours.wished) {
      this.met.renewal++;
      return { ...theirs, expires: inWholeSeconds(this.clock.now() + LIFETIME.absolute) };
    }
    if (!continued || (ours.wished && theirs !== undefined)) {
      return theirs;
    }
    if (!ours.wished) {
      this.met.renewal += theirs === undefined ? 0 : 1;
      return undefined;
    }
    this.met.wish++;
    return {
      id: 'of the session',
      attributes: ['HttpOnly', 'Path=/', 'SameSite=Lax'],
      expires: typeof ours.maxAge === 'number' ? inWholeSeconds(this.clock.now() + ours.maxAge) : undefined,
    };
  }
}

function inWholeSeconds(milliseconds: number): number {
  return Math.floor(milliseconds / 1000) * 1000;
}

function idleOf({ record: { maxAge } }: FoundSession): number | null {
  return maxAge === undefined ? LIFETIME.idle : maxAge;
}

function touchEvery(maxAge: number | null | undefined): number {
  return Math.min(LIFETIME.touchEvery, (maxAge ?? LIFETIME.idle) / 10);
}

async function look(pair: Pair, { id }: Client, clock: TestClock): Promise<Before> {
  const record = (await pair.ourSession(id))?.record;
  if (record === undefined) {
    return { id, live: false, left: 0, maxAge: undefined };
  }
  const { maxAge, seenAt } = record;
  return { id, live: true, left: seenAt + (maxAge ?? LIFETIME.idle) - clock.now(), maxAge };
}

// The comparison. ---------------------------------------------------------------------------------------------------

describe.each(['own', 'plain'] as const)('express-session and the request loop, with its %s store', (kind) => {
  const clock = new TestClock();
  let pair: Pair;

  beforeAll(async () => {
    jest.spyOn(Date, 'now').mockImplementation(clock.now);
    pair = await Pair.start(clock, kind);
  });

  afterAll(async () => {
    await pair.close();
    jest.restoreAllMocks();
  });

  /** False when the two have parted in a way that is foreseen. */
  async function makeMove(move: Move, theirs: Client, ours: Client, foresight: Foresight): Promise<boolean> {
    clock.advance(move.after);
    const before = await look(pair, ours, clock);
    if (before.live && theirs.id === undefined) {
      // Their cookie ended while the session was in use.
      expect(theirs.cookieEnds).toBeLessThanOrEqual(clock.now());
      foresight.met.renewal++;
      return false;
    }
    const theirSession = await pair.theirSession(theirs.id);
    if (theirSession !== undefined && ours.id === undefined) {
      // Our cookie has ended, by an age of its own. Theirs was renewed by a change of data.
      expect(ours.cookieEnds).toBeLessThanOrEqual(clock.now());
      foresight.met.renewal++;
      return false;
    }
    if (theirSession !== undefined && !before.live) {
      // Ours ended: `touchEvery` before theirs at most, and the cookie by whole seconds; or theirs never ends.
      expect(theirSession.left ?? 0).toBeLessThan(LIFETIME.touchEvery + 1000);
      foresight.met[theirSession.left === null ? 'end' : 'lag']++;
      return false;
    }
    const theirId = theirs.id;
    const control = await theirs.send(move);
    const previous = ours.run;
    const observed = await ours.send(move);
    await pair.settle();
    expect(observed).toEqual(foresight.expect(control, before, ours.run!, previous));
    const stored = await pair.theirSession(theirs.id);
    const ourStored = await pair.ourSession(ours.id);
    expect(ourStored?.values).toEqual(stored?.data);
    if (stored !== undefined && stored.idle !== idleOf(ourStored!)) {
      // They forget what is set after a new session's `save()`, and so end it by another time than the cookie's.
      expect(theirs.run!.id).not.toBe(theirId);
      expect(idleOf(ourStored!)).toBe(theirs.run!.maxAge);
      foresight.met.wish++;
      return false;
    }
    return true;
  }

  it(`answer, show and store the same, intended differences aside (seed ${SEED})`, async () => {
    const foresight = new Foresight(clock);
    let steps = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(move, { minLength: 1, maxLength: 8 }), async (moves) => {
        const browsers = ([0, 1] as const).map(() => ({ theirs: pair.client('theirs'), ours: pair.client('ours') }));
        try {
          for (const move of moves) {
            const { theirs, ours } = browsers[move.browser]!;
            steps++;
            if (!(await makeMove(move, theirs, ours, foresight))) {
              break;
            }
          }
        } finally {
          for (const { theirs, ours } of browsers) {
            theirs.browser.close();
            ours.browser.close();
          }
        }
      }),
      { numRuns: RUNS, seed: SEED },
    );
    expect(pair.loop.events).toEqual([]);
    console.info(`seed ${SEED}: ${RUNS} runs, ${steps} requests, differences met: ${JSON.stringify(foresight.met)}`);
  }, 120_000);
});
