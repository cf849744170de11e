import type { LossWindow, Op } from './history.js';
import { Register } from './register.js';

/** What may be true of one session, by what was answered so far. */
export class SessionModel {
  readonly life = new Register<'live' | 'dead'>('dead');
  readonly #data = new Map<string, Register<unknown>>();
  /** When responses gave it another secret. */
  readonly #rotatedAt: number[] = [];

  constructor(
    readonly user: string,
    private readonly losses: readonly LossWindow[],
  ) {}

  key(name: string): Register<unknown> {
    const register = this.#data.get(name) ?? new Register<unknown>(undefined);
    this.#data.set(name, register);
    return register;
  }

  get keys(): Iterable<[string, Register<unknown>]> {
    return this.#data;
  }

  rotated(at: number): void {
    this.#rotatedAt.push(at);
  }

  /** The losses that may touch it. */
  get windows(): readonly LossWindow[] {
    return this.losses.filter(({ users }) => users?.has(this.user) ?? true);
  }

  /** What was acknowledged when may be forgotten, or not be seen by this request. */
  lossyFor({ start, end }: Pick<Op, 'start' | 'end'>, windows = this.windows): (at: number) => boolean {
    return (at) =>
      windows.some(
        ({ from, until, staleSince = Infinity }) =>
          (from <= at && at <= until) || (start <= until && end >= from && at >= staleSince),
      );
  }

  /** Redis may have forgotten a secret that the browser was given, so that the session ends as if by a thief. */
  mayHaveLostItsSecret(lossy: (at: number) => boolean): boolean {
    return this.#rotatedAt.some(lossy) || this.life.hasLost(lossy);
  }
}
