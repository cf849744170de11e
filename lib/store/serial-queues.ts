import { setTimeout as pause } from 'node:timers/promises';

/**
 * A queue stands still when it has not moved for so many of these steps, in milliseconds: the store may not reply to the
 * first one. Steps are counted, and not the time alone: a process that stood still itself gives its queues another step.
 */
const STEP = 250;
const MOST_STEPS = 2;

/** The operations that compete for one session. */
interface Queue {
  length: number;
  last: Promise<unknown> | undefined;
  /** How many operations have succeeded. */
  done: number;
}

/**
 * Has the requests of this process that compete for a session change it one after the other. Otherwise many at the same
 * time would each meet a newer version again and again.
 */
export class SerialQueues {
  /** By the session's handle. */
  readonly #queues = new Map<string, Queue>();

  /** Whether operations on the session run or wait now. */
  isBusy(handle: string): boolean {
    return this.#queues.has(handle);
  }

  /** Runs an operation when all before it on the same session are over, or when its queue does not move any more. */
  async run<T>(handle: string, operation: () => Promise<T>): Promise<T> {
    const queue = this.#queues.get(handle) ?? { length: 0, last: undefined, done: 0 };
    this.#queues.set(handle, queue);
    queue.length++;
    try {
      const running = waitIn(queue).then(operation);
      queue.last = running;
      const result = await running;
      queue.done++;
      return result;
    } finally {
      queue.length--;
      if (queue.length === 0) {
        this.#queues.delete(handle);
      }
    }
  }
}

/** Waits for the last operation in the queue, as long as the queue moves. */
async function waitIn(queue: Queue): Promise<void> {
  const before = Promise.allSettled([queue.last]);
  let seen = queue.done;
  for (let steps = 0; steps < MOST_STEPS; steps++) {
    const waiting = new AbortController();
    const isOver = await Promise.race([before, pause(STEP, undefined, waiting)]);
    waiting.abort();
    if (isOver !== undefined) {
      return;
    }
    if (queue.done !== seen) {
      seen = queue.done;
      steps = -1;
    }
  }
}
