import { type History, type LossWindow, type Op } from './history.js';
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
  return judge({ ops, reuses: [], losses: [], ...rest }).violations.map(({ fault }) => fault);
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
