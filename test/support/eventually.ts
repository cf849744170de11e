import { setTimeout as sleep } from 'node:timers/promises';

export interface EventuallyOptions {
  /** Milliseconds until it gives up. Default 5000. */
  timeout?: number;
  /** Milliseconds between two probes. Default 10. */
  interval?: number;
}

type Falsy = false | 0 | 0n | '' | null | undefined;

/**
 * Probes until the result is truthy and resolves with it. A probe that throws or rejects counts as "not yet"; the
 * error at the deadline names `what` was awaited and carries what the last probe said. A probe that never settles
 * does not outlive the deadline.
 */
export async function eventually<T>(
  what: string,
  probe: () => T | Promise<T>,
  { timeout = 5_000, interval = 10 }: EventuallyOptions = {},
): Promise<Exclude<T, Falsy>> {
  const settled = new AbortController();
  const deadline = sleep(timeout, 'deadline' as const, { signal: settled.signal });
  deadline.catch(() => undefined);
  let last: unknown = 'the probe has not settled';
  try {
    for (;;) {
      const result = await Promise.race([tryOnce(probe), deadline]);
      if (result === 'deadline') break;
      if ('value' in result && result.value) return result.value as Exclude<T, Falsy>;
      last = 'error' in result ? result.error : result.value;
      if ((await Promise.race([sleep(interval), deadline])) === 'deadline') break;
    }
  } finally {
    settled.abort();
  }
  const detail = last instanceof Error ? last.message : String(last);
  throw new Error(`Waited ${timeout} ms in vain for ${what} (last: ${detail})`, { cause: last });
}

async function tryOnce<T>(probe: () => T | Promise<T>): Promise<{ value: T } | { error: unknown }> {
  try {
    return { value: await probe() };
  } catch (error) {
    return { error };
  }
}
