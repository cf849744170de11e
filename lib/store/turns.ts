import { setTimeout as pause } from 'node:timers/promises';

/** How long anybody waits in a line that does not move, in milliseconds: the store may hang for who is first. */
const LONGEST_STANDSTILL = 500;

/** Those who compete for one session. */
interface Line {
  length: number;
  last: Promise<unknown> | undefined;
  /** When somebody was done, or the line began. */
  movedAt: number;
}

/**
 * Has the requests of this process that compete for a session change it one after the other. Otherwise, of sixty at the
 * same time, each would meet a newer version again and again.
 */
export class Turns {
  /** By the session's handle. */
  readonly #lines = new Map<string, Line>();

  /** Whether others compete for the session now. */
  areTaken(handle: string): boolean {
    return this.#lines.has(handle);
  }

  /** Does the work when those before it are done with the same session, or take too long. */
  async take<T>(handle: string, work: () => Promise<T>): Promise<T> {
    const line = this.#lines.get(handle) ?? { length: 0, last: undefined, movedAt: performance.now() };
    this.#lines.set(handle, line);
    line.length++;
    try {
      const turn = standIn(line).then(work);
      line.last = turn;
      const result = await turn;
      line.movedAt = performance.now();
      return result;
    } finally {
      line.length--;
      if (line.length === 0) {
        this.#lines.delete(handle);
      }
    }
  }
}

/** Waits for who is last in the line, as long as it moves. */
async function standIn(line: Line): Promise<void> {
  const before = Promise.allSettled([line.last]);
  for (let left = LONGEST_STANDSTILL; left > 0; left = line.movedAt + LONGEST_STANDSTILL - performance.now()) {
    const waiting = new AbortController();
    const isOver = await Promise.race([before, pause(left, undefined, waiting)]);
    waiting.abort();
    if (isOver !== undefined) {
      return;
    }
  }
}
