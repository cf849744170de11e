import { jest } from '@jest/globals';
import { ConnectionWatch, type WatchSettings } from '../../lib/connections/connection-watch.js';
import { OpenConnection } from '../../lib/connections/watched-session.js';
import { newUserSessionId } from '../../lib/model/session-id.js';
import { newRecord, type SessionRecord } from '../../lib/model/session-record.js';
import type { SessionRepository } from '../../lib/session/session-repository.js';
import { TestClock } from '../support/test-clock.js';

const SECOND = 1_000;
const RECHECK = 30 * SECOND;
const HOUR = 3_600_000;

let clock: TestClock;
/** The handles that the store was asked about, in order. */
let asked: string[];
let underWay: number;
let mostUnderWay: number;
/** What the store replies; the record as it was by default. */
let reply: (handle: string) => Promise<unknown>;
let isFeedOpen: boolean;
let closed: string[];

beforeEach(() => {
  jest.useFakeTimers();
  clock = new TestClock();
  [asked, closed] = [[], []];
  [underWay, mostUnderWay] = [0, 0];
  isFeedOpen = false;
  reply = (handle) => Promise.resolve({ record: records.get(handle), values: {} });
  records.clear();
});
afterEach(() => {
  jest.useRealTimers();
});

const records = new Map<string, SessionRecord>();

function createWatch(recheck = RECHECK): ConnectionWatch {
  const repository = {
    async find(handle: string) {
      asked.push(handle);
      mostUnderWay = Math.max(mostUnderWay, ++underWay);
      return reply(handle).finally(() => underWay--);
    },
    isExpired: ({ createdAt }: SessionRecord) => clock.now() >= createdAt + HOUR,
  };
  const feed = { open: () => (isFeedOpen = true), close: () => (isFeedOpen = false) };
  return new ConnectionWatch({
    repository: repository as unknown as SessionRepository,
    clock,
    lifetime: { idle: HOUR, absolute: HOUR } as WatchSettings['lifetime'],
    recheck,
    feed,
    onClosed: (_, handle) => closed.push(handle),
  });
}

/** Opens connections of so many sessions, one of each, and waits until the store has been asked about them. */
async function openSessions(watch: ConnectionWatch, count: number): Promise<OpenConnection[]> {
  const connections = Array.from({ length: count }, () =>
    open(watch, newRecord(newUserSessionId('1'), '{}', clock.now())),
  );
  await jest.advanceTimersByTimeAsync(0);
  asked = [];
  mostUnderWay = 0;
  return connections;
}

function open(watch: ConnectionWatch, record: SessionRecord): OpenConnection {
  records.set(record.handle, record);
  const connection = new OpenConnection('1', undefined, () => undefined, watch);
  watch.open(connection, record);
  return connection;
}

/** How many were asked about in each of so many steps of this length. */
async function askedPer(step: number, steps: number): Promise<number[]> {
  const counts: number[] = [];
  for (let i = 0; i < steps; i++) {
    const before = asked.length;
    await jest.advanceTimersByTimeAsync(step);
    counts.push(asked.length - before);
  }
  return counts;
}

describe('a watch over open connections', () => {
  it('asks about each session once in the time of recheck, spread over that time', async () => {
    await openSessions(createWatch(), 10_000);

    const perSecond = await askedPer(SECOND, 60);

    expect([Math.min(...perSecond), Math.max(...perSecond)]).toEqual([333, 334]);
    expect(new Set(asked.slice(0, 10_000)).size).toBe(10_000);
    expect(mostUnderWay).toBeLessThanOrEqual(100);
  });

  it.each([1, 7, 29, 31])('does so with %d sessions', async (count) => {
    await openSessions(createWatch(), count);

    const perSecond = await askedPer(SECOND, 300);

    expect(asked.length).toBeGreaterThanOrEqual(10 * count - 1);
    expect(asked.length).toBeLessThanOrEqual(10 * count);
    expect(Math.max(...perSecond)).toBeLessThanOrEqual(Math.ceil(count / 30));
    for (const handle of records.keys()) {
      expect(asked.filter((one) => one === handle).length).toBeGreaterThanOrEqual(9);
    }
  });

  it('asks once for all connections of a session', async () => {
    const watch = createWatch();
    const record = newRecord(newUserSessionId('1'), '{}', clock.now());
    for (let tab = 0; tab < 5; tab++) open(watch, record);
    await jest.advanceTimersByTimeAsync(0);
    asked = [];

    await askedPer(SECOND, 30);

    expect(asked).toEqual([record.handle]);
  });

  it('asks about all, not many at a time, when ends may not have been heard', async () => {
    const watch = createWatch();
    await openSessions(watch, 1_000);

    watch.onOpen();
    await jest.advanceTimersByTimeAsync(0);

    expect(new Set(asked).size).toBe(1_000);
    expect(mostUnderWay).toBe(100);
  });

  it('closes an expired session in the next step, whatever recheck is', async () => {
    const [connection] = await openSessions(createWatch(HOUR), 1);
    const { handle } = connection!.session!;
    await jest.advanceTimersByTimeAsync(10 * SECOND);
    expect(asked).toEqual([]);

    clock.advance(HOUR);
    await jest.advanceTimersByTimeAsync(SECOND);

    expect(closed).toEqual([handle]);
  });

  it('closes nothing while the store is away, asks of few then, and of all when it is back', async () => {
    const watch = createWatch();
    await openSessions(watch, 1_000);
    const replies = reply;
    reply = () => Promise.reject(new Error('away'));
    watch.onOpen();
    await jest.advanceTimersByTimeAsync(0);

    expect(Math.max(...(await askedPer(SECOND, 60)))).toBeLessThanOrEqual(100);
    expect(closed).toEqual([]);

    reply = replies;
    asked = [];
    await jest.advanceTimersByTimeAsync(SECOND);
    expect(new Set(asked).size).toBe(1_000);
  });

  it('has a timer and its feed open only while a connection is open', async () => {
    const watch = createWatch();
    expect([jest.getTimerCount(), isFeedOpen]).toEqual([0, false]);

    const [one, other] = (await openSessions(watch, 2)) as [OpenConnection, OpenConnection];
    expect([jest.getTimerCount(), isFeedOpen]).toEqual([1, true]);
    watch.release(one);
    expect([jest.getTimerCount(), isFeedOpen]).toEqual([1, true]);
    watch.release(other);
    expect([jest.getTimerCount(), isFeedOpen]).toEqual([0, false]);

    await openSessions(watch, 1);
    expect([jest.getTimerCount(), isFeedOpen]).toEqual([1, true]);
    watch.onEnd([...records.keys()].at(-1)!, { reason: 'revoked' });
    expect([jest.getTimerCount(), isFeedOpen]).toEqual([0, false]);
  });
});
