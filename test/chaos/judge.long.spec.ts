import { CLOSES_WITHIN, strayConnections } from './checks.js';
import { type History, type LossWindow, type Op, type SocketLife } from './history.js';
import { judge } from './judge.js';

const A = 'AAAAAAAAAAAAAAAAaaaaaaaaaaaa';
const B = 'BBBBBBBBBBBBBBBBbbbbbbbbbbbb';

type Fields = Partial<Record<string, unknown>>;

/** One request after another, each a millisecond long and ten after the one before, unless they say otherwise. */
function history(...ops: Fields[]): Op[] {
  return ops.map((op, i) => {
    const start = 10 * (i + 1);
    const status = op['kind'] === 'logout' ? 204 : 200;
    return { visitor: 1, app: 0, start, end: start + 1, status, shown: A, named: 'ada', ...op } as unknown as Op;
  });
}

const login: Fields = { kind: 'login', user: 'ada', shown: undefined, given: A };
const read = (data = {}): Fields => ({ kind: 'read', data });
const write = (value: string): Fields => ({ kind: 'write', key: 'k', value });

function faultsOf(ops: Op[], rest: Partial<History> = {}): string[] {
  return judge({ ops, reuses: [], sockets: [], losses: [], ...rest }).violations.map(({ fault }) => fault);
}

describe('What visitors were told can be true when', () => {
  it.each<[string, Fields[]]>([
    ['a read sees the last write', [login, write('1'), write('2'), read({ k: '2' })]],
    [
      'a write that was answered by 503 has happened',
      [login, write('1'), { ...write('2'), status: 503 }, read({ k: '2' })],
    ],
    [
      'a write that was answered by 503 has not happened',
      [login, write('1'), { ...write('2'), status: 503 }, read({ k: '1' })],
    ],
    ['it happens only later', [login, write('1'), { ...write('2'), status: 503 }, read({ k: '1' }), read({ k: '2' })]],
    [
      'a read beside a write sees what was before',
      [login, write('1'), { ...write('2'), end: 50 }, { ...read({ k: '1' }), end: 60 }],
    ],
    ['a session ends by its logout', [login, { kind: 'logout' }, { ...read(), status: 401 }]],
    ['a session lives on after a logout that was answered by 503', [login, { kind: 'logout', status: 503 }, read()]],
    [
      'a request beside its revocation is let in',
      [login, { kind: 'revoke', target: A, revoked: true, end: 40 }, { ...read(), end: 50 }],
    ],
    [
      'it is revoked before its browser knows of it',
      [
        { ...login, end: 100 },
        { ...login, given: B },
        { kind: 'revoke', shown: B, target: A, revoked: true },
        { ...read(), status: 401, start: 110, end: 111 },
      ],
    ],
  ])('%s', (_, ops) => {
    expect(faultsOf(history(...ops))).toEqual([]);
  });
});

describe('What visitors were told cannot be true when', () => {
  it.each<[string, string, Fields[]]>([
    ['a write is not there', 'a write was lost', [login, write('1'), read()]],
    ['an older write is there', 'a write was lost', [login, write('1'), write('2'), read({ k: '1' })]],
    [
      'a write that was seen is gone again',
      'a write was lost',
      [login, write('1'), { ...write('2'), status: 503 }, read({ k: '2' }), read({ k: '1' })],
    ],
    ['something is there that nobody wrote', 'a write was lost', [login, read({ k: '1' })]],
    ['a logged-out session is alive', 'an ended session is alive', [login, { kind: 'logout' }, read()]],
    [
      'a revoked session is alive',
      'an ended session is alive',
      [login, { ...login, given: B }, { kind: 'revoke', shown: B, target: A, revoked: true }, read()],
    ],
    [
      'a session is alive after a login over it',
      'an ended session is alive',
      [login, { ...login, shown: A, given: B }, read()],
    ],
    [
      'a session that was refused is alive',
      'an ended session is alive',
      [login, { kind: 'logout', status: 503 }, { ...read(), status: 401 }, read()],
    ],
    ['nobody ended it', 'a session was lost', [login, { ...read(), status: 401 }]],
    [
      'a revocation does not find it',
      'a session was lost',
      [login, { ...login, given: B }, { kind: 'revoke', shown: B, target: A, revoked: false }],
    ],
    ['it names somebody else', "another user's session", [login, { ...read(), named: 'grace' }]],
    [
      'somebody else ends it',
      "another user's session",
      [
        login,
        { ...login, user: 'grace', named: 'grace', given: B },
        { kind: 'revoke', shown: B, named: 'grace', target: A, revoked: true },
      ],
    ],
    ['a list leaves it out', 'the list of sessions is wrong', [login, { kind: 'list', listed: [] }]],
    [
      'a list shows it after its end',
      'the list of sessions is wrong',
      [login, { ...login, given: B }, { kind: 'logout' }, { kind: 'list', shown: B, listed: [A, B] }],
    ],
    ['two logins are given the same session', 'a wrong response', [login, login]],
    ['a response is an error', 'a wrong response', [login, { ...read(), status: 500 }]],
    ['no response comes', 'a wrong response', [login, { ...read(), status: 0 }]],
  ])('%s', (_, fault, ops) => {
    expect(faultsOf(history(...ops))).toContain(fault);
  });

  it('the application takes a cookie for a copy', () => {
    expect(faultsOf(history(login), { reuses: [{ handle: A, at: 50 }] })).toEqual(['signed out by rotation']);
  });
});

describe('What Redis may have forgotten', () => {
  const lossAt = (at: number, rest: Partial<LossWindow> = {}): LossWindow => ({
    by: 'a crash',
    from: at - 5,
    until: at + 5,
    ...rest,
  });

  it('excuses what was acknowledged then, and is counted', () => {
    const { violations, excused } = judge({
      ops: history(login, write('1'), write('2'), read({ k: '1' }), { kind: 'logout' }, read({ k: '2' })),
      reuses: [],
      sockets: [],
      losses: [lossAt(30), lossAt(50)],
    });
    expect(violations).toEqual([]);
    expect(excused).toEqual({ 'a write was lost (a crash)': 1, 'an ended session is alive (a crash)': 1 });
  });

  it.each<[string, LossWindow]>([
    ['before', lossAt(20)],
    ['after', lossAt(40)],
    ['to others', lossAt(30, { users: new Set(['grace']) })],
  ])('does not excuse what was acknowledged %s', (_, loss) => {
    expect(faultsOf(history(login, write('1'), write('2'), read({ k: '1' })), { losses: [loss] })).toEqual([
      'a write was lost',
    ]);
  });

  it('excuses a stale read of an old master, and only while there is one', () => {
    const ops = history(login, write('1'), write('2'), read({ k: '1' }), read({ k: '1' }));
    const losses = [lossAt(40, { staleSince: 25 })];
    expect(faultsOf(ops, { losses })).toEqual(['a write was lost']);
  });

  it('excuses the end of a session whose new secret it was', () => {
    const ops = history(login, { ...read(), rotated: true });
    const reuses = [{ handle: A, at: 90 }];
    expect(faultsOf(ops, { reuses, losses: [lossAt(20)] })).toEqual([]);
    expect(faultsOf(ops, { reuses, losses: [lossAt(60)] })).toEqual(['signed out by rotation']);
  });
});

describe('A connection', () => {
  const socket = (rest: Partial<SocketLife>): SocketLife => ({
    visitor: 1,
    app: 0,
    handle: A,
    start: 15,
    named: ['ada'],
    ...rest,
  });
  const closedAt = (at: number, code = 4401) => socket({ closed: { at, code, reason: 'logged_out' } });
  const ops = history(login, read(), { kind: 'logout', end: 41 }, { ...read(), status: 401 });

  it.each<[string, SocketLife, string[]]>([
    ['may be closed when its session has ended', closedAt(45), []],
    ['may be closed while its session is being ended', closedAt(35), []],
    ['may be left by its visitor', { ...closedAt(25), left: 24 }, []],
    ['may not be closed before', closedAt(25), ['a connection was closed for nothing', 'a session was lost']],
    ['may not be closed for another reason', closedAt(45, 1006), ['a wrong response']],
  ])('%s', (_, one, faults) => {
    const seen = faultsOf(ops, { sockets: [one] });
    expect(seen).toEqual(expect.arrayContaining(faults.slice(0, 1)));
    expect(seen.length === 0).toBe(faults.length === 0);
  });

  const LATE = CLOSES_WITHIN + 50;
  const timeOf = ({ start, end }: { start: number; end: number }) => end - start;
  it.each<[string, SocketLife, [number, number][], LossWindow[], number]>([
    ['soon after its session has ended', closedAt(41 + CLOSES_WITHIN), [], [], 0],
    ['too late', closedAt(LATE), [], [], 1],
    ['never', socket({ left: LATE }), [], [], 1],
    ['soon after Redis was back', closedAt(LATE), [[30, 500]], [], 0],
    [
      'soon after Redis was back for the second time',
      closedAt(2 * LATE),
      [
        [30, 500],
        [2_000, 3_000],
      ],
      [],
      0,
    ],
    ['too late after Redis was back', closedAt(500 + LATE), [[30, 500]], [], 1],
    ['late, where Redis may have forgotten the end', closedAt(LATE), [], [{ by: 'a crash', from: 40, until: LATE }], 0],
    ['soon, but with replies for somebody else', { ...closedAt(45), named: ['grace'] }, [], [], 1],
  ])('that ends %s', (_, one, episodes, losses, failures) => {
    const { sessions } = judge({ ops, reuses: [], sockets: [], losses });
    const troubles = episodes.map(([start, end]) => ({ name: 'trouble', start, end, recovered: [] }));

    expect(strayConnections([one], sessions, troubles, timeOf)).toHaveLength(failures);
  });
});
