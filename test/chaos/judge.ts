import type { History, Op, Reuse, SocketLife } from './history.js';
import type { Register, Reading, Write } from './register.js';
import { SessionModel } from './session-model.js';

/** A promise that was broken. */
export type Fault =
  | 'a write was lost'
  | 'an ended session is alive'
  | 'a session was lost'
  | "another user's session"
  | 'signed out by rotation'
  | 'a connection was closed for nothing'
  | 'the list of sessions is wrong'
  | 'a wrong response';

export interface Violation {
  readonly fault: Fault;
  readonly detail: string;
}

export interface Verdict {
  readonly violations: Violation[];
  /** What would have been one, had not Redis itself been allowed to forget, by kind and cause. */
  readonly excused: Record<string, number>;
  readonly sessions: ReadonlyMap<string, SessionModel>;
}

/** Whether what visitors were told can be true: a pure function of what was asked and answered, when, and what Redis may have lost. */
export function judge(history: History): Verdict {
  const model = new Model(history);
  const steps = [
    ...history.ops.flatMap((op) => [
      { at: op.start, take: () => model.begin(op) },
      { at: op.end, take: () => model.end(op) },
    ]),
    ...history.reuses.map((reuse) => ({ at: reuse.at, take: () => model.reused(reuse) })),
    ...history.sockets.flatMap(({ closed, left, ...socket }) =>
      closed === undefined || left !== undefined ? [] : { at: closed.at, take: () => model.closed(socket, closed) },
    ),
  ];
  for (const { take } of steps.sort((a, b) => a.at - b.at)) take();
  return model;
}

class Model implements Verdict {
  readonly violations: Violation[] = [];
  readonly excused: Record<string, number> = {};
  readonly sessions = new Map<string, SessionModel>();
  /** What a request under way is about to change. */
  readonly #births = new Map<Op, Write<unknown>>();
  readonly #pending = new Map<Op, { register: Register<unknown>; write: Write<unknown> }>();

  constructor(private readonly history: History) {}

  begin(op: Op): void {
    const session = this.#shownBy(op);
    if (op.kind === 'login' && op.given !== undefined) this.#born(op, op.given);
    if (op.kind === 'write') this.#pend(op, session?.key(op.key), op.value);
    if (op.kind === 'login' || op.kind === 'logout') this.#pend(op, session?.life, 'dead');
    if (op.kind === 'revoke') {
      const target = this.sessions.get(op.target);
      if (target?.user === session?.user) this.#pend(op, target?.life, 'dead');
    }
  }

  end(op: Op): void {
    const { status, kind } = op;
    const session = this.#shownBy(op);
    if (op.rotated) session?.rotated(op.end);
    if (status === 401 && kind !== 'login') this.#refused(op, session);
    else if (status === (kind === 'logout' ? 204 : 200)) this.#granted(op, session);
    // By a 503 it may have happened, or may yet: the write stays, unacknowledged.
    else if (status !== 503) this.#broken('a wrong response', op, `${status} ${op.why ?? ''}`);
    this.#pending.delete(op);
  }

  reused({ handle, at }: Reuse): void {
    const session = this.sessions.get(handle);
    const cause = session?.windows.find((window) => {
      const lossy = session.lossyFor({ start: at, end: at }, [window]);
      return lossy(at) || session.mayHaveLostItsSecret(lossy);
    });
    if (cause) this.#excuse('signed out by rotation', cause.by);
    else this.violations.push({ fault: 'signed out by rotation', detail: `${handle} at ${at.toFixed()}` });
    session?.life.write('dead', at);
  }

  /** By the server. What was asked of Redis before that may be a second old. */
  closed({ visitor, app, handle, start }: SocketLife, { at, code, reason }: NonNullable<SocketLife['closed']>): void {
    const times = { start: Math.max(start, at - 1_000), end: at };
    const op: Op = { kind: 'connect', visitor, app, shown: handle, ...times, status: code, why: reason };
    const session = this.sessions.get(handle);
    if (code !== 4401) this.#broken('a wrong response', op, `the connection was closed: ${reason}`);
    else if (session) this.#mustBeDead(op, session, 'a connection was closed for nothing');
  }

  #granted(op: Op, session: SessionModel | undefined): void {
    this.#settle(op);
    if (op.kind === 'login') this.#loggedIn(op);
    else if (op.kind !== 'logout') {
      if (session === undefined) this.#broken("another user's session", op, 'let in without a session');
      else this.#served(op, session);
    }
  }

  /** Others may see it in their list, and end it, before its browser has been told of it. */
  #born(op: Op & { kind: 'login' }, handle: string): void {
    if (this.sessions.has(handle)) {
      this.#broken('a wrong response', op, `${handle} was given before`);
      return;
    }
    const session = new SessionModel(op.user, this.history.losses);
    this.sessions.set(handle, session);
    this.#births.set(op, session.life.write('live'));
  }

  #loggedIn(op: Op & { kind: 'login' }): void {
    const { user, named } = op;
    if (named !== user) this.#broken("another user's session", op, `logged in as ${named}`);
    const birth = this.#births.get(op);
    if (birth) birth.at = op.end;
    else this.#broken('a wrong response', op, 'no session of its own');
  }

  /** A guarded route let it in. */
  #served(op: Op, session: SessionModel): void {
    if (op.named !== session.user) this.#broken("another user's session", op, `${op.named}, not ${session.user}`);
    this.#check(op, session, 'an ended session is alive', (reading) => session.life.possible(reading).has('live'));
    const { last } = session.life;
    const lossy = session.lossyFor(op);
    // What was in doubt is certain now.
    if (last?.value === 'live' && last.at !== undefined && lossy(last.at)) session.life.write('live', op.end);
    if (op.kind === 'read') this.#seen(op, session);
    if (op.kind === 'list') this.#listed(op, session);
    if (op.kind === 'revoke') this.#revoked(op, session);
  }

  #seen(op: Op & { kind: 'read' }, session: SessionModel): void {
    const { data = {} } = op;
    for (const name of Object.keys(data)) session.key(name);
    for (const [name, register] of session.keys) {
      const value = data[name];
      const detail = () =>
        `${name} is ${String(value)}, not one of ${[...register.possible({ since: op.start })].join()}`;
      this.#check(op, session, 'a write was lost', (reading) => register.possible(reading).has(value), detail);
      const { last } = register;
      if (last?.value === value && (last?.at === undefined || session.lossyFor(op)(last.at)))
        register.write(value, op.end);
    }
  }

  #listed(op: Op & { kind: 'list' }, own: SessionModel): void {
    const listed = new Set(op.listed);
    for (const handle of listed) {
      const session = this.sessions.get(handle);
      if (session && session.user !== own.user) this.#broken("another user's session", op, `${handle} is listed`);
    }
    for (const [handle, session] of this.sessions) {
      if (session.user !== own.user) continue;
      const wanted = listed.has(handle) ? 'live' : 'dead';
      const detail = () => `${handle}, which is not ${wanted}`;
      const holds = (reading: Reading) => session.life.possible(reading).has(wanted);
      this.#check(op, session, 'the list of sessions is wrong', holds, detail);
    }
  }

  #revoked(op: Op & { kind: 'revoke' }, own: SessionModel): void {
    const target = this.sessions.get(op.target);
    if (target === undefined) return; // Of a login that was answered by 503, and has happened.
    if (target.user !== own.user) {
      if (op.revoked) this.#broken("another user's session", op, `${op.target} was revoked`);
    } else if (!op.revoked) this.#mustBeDead(op, target);
  }

  #refused(op: Op, session: SessionModel | undefined): void {
    const pending = this.#pending.get(op);
    pending?.register.withdraw(pending.write);
    if (session) this.#mustBeDead(op, session);
  }

  #mustBeDead(op: Op, session: SessionModel, fault: Fault = 'a session was lost'): void {
    const holds = (reading: Reading) =>
      session.life.possible(reading).has('dead') || (reading.lossy && session.mayHaveLostItsSecret(reading.lossy));
    this.#check(op, session, fault, holds, () => op.why ?? '');
    session.life.write('dead', op.end);
  }

  #pend(op: Op, register: Register<unknown> | undefined, value: unknown): void {
    if (register) this.#pending.set(op, { register, write: register.write(value) });
  }

  #settle(op: Op): void {
    const pending = this.#pending.get(op);
    // A revocation that found nothing ended nothing, but whatever it was to end is dead.
    if (op.kind === 'revoke' && !op.revoked) pending?.register.withdraw(pending.write);
    else if (pending) pending.write.at = op.end;
  }

  #shownBy(op: Op): SessionModel | undefined {
    return op.shown === undefined ? undefined : this.sessions.get(op.shown);
  }

  #check(op: Op, session: SessionModel, fault: Fault, holds: (reading: Reading) => unknown, detail = () => ''): void {
    const since = op.start;
    if (holds({ since })) return;
    const cause =
      session.windows.find((window) => holds({ since, lossy: session.lossyFor(op, [window]) }))?.by ??
      (holds({ since, lossy: session.lossyFor(op) }) ? 'several at once' : undefined);
    if (cause === undefined) this.#broken(fault, op, detail());
    else this.#excuse(fault, cause);
  }

  #broken(fault: Fault, op: Op, detail: string): void {
    const { kind, visitor, app, shown, start, end, status } = op;
    const when = `${start.toFixed()}..${end.toFixed()}`;
    const who = `visitor ${visitor}, app ${app}, session ${shown}`;
    this.violations.push({ fault, detail: `${kind} ${status} (${who}, ${when}): ${detail}` });
  }

  #excuse(fault: Fault, cause: string): void {
    const what = `${fault} (${cause})`;
    this.excused[what] = (this.excused[what] ?? 0) + 1;
  }
}
