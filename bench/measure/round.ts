import { type Load, run } from '../load/load.js';
import type { Actor } from '../stage/stage.js';
import { quantile } from './statistics.js';

/** The figures of one round of one contestant. */
export interface Round {
  requests: number;
  seconds: number;
  /** CPU time of the server's process per request, in microseconds: the headline. */
  cpu: number;
  /** CPU time of redis-server per request, in microseconds. */
  redisCpu: number;
  /** Requests per second. */
  throughput: number;
  /** Milliseconds. */
  p50: number;
  p99: number;
  /** Calls of each Redis command per request, those inside scripts included. */
  calls: Record<string, number>;
}

/** Runs a load, and computes its cost from the counters of the application's process and of Redis. */
export async function measure({ app, redis }: Actor, load: Load): Promise<Round> {
  const before = await Promise.all([app.cpu(), redis.figures()]);
  const { seconds, latencies } = await run(app.url, load);
  const after = await Promise.all([app.cpu(), redis.figures()]);
  const requests = load.amount;
  const calls = Object.entries(after[1].calls)
    .map(([command, count]) => [command, (count - (before[1].calls[command] ?? 0)) / requests] as const)
    .filter(([, count]) => count > 0);
  return {
    requests,
    seconds,
    cpu: (after[0] - before[0]) / requests,
    redisCpu: (after[1].cpu - before[1].cpu) / requests,
    throughput: requests / seconds,
    p50: quantile(latencies, 0.5),
    p99: quantile(latencies, 0.99),
    calls: Object.fromEntries(calls),
  };
}
