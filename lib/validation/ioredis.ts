import type { IoredisClient } from '../redis/redis-options.js';
import { demand, isObject } from './checks.js';

/**
 * Whether a client is a `Redis` or a `Cluster` of ioredis. By its form: the package may be there twice, in two versions.
 */
export function isIoredis(client: unknown): client is IoredisClient {
  const { status, options, sendCommand, evalsha } = Object(client) as Record<string, unknown>;
  return (
    typeof status === 'string' &&
    isObject(options) &&
    typeof sendCommand === 'function' &&
    typeof evalsha === 'function'
  );
}

interface IoredisOptions {
  keyPrefix?: unknown;
  stringNumbers?: unknown;
  readOnly?: unknown;
  role?: unknown;
  scaleReads?: unknown;
  monitor?: unknown;
  redisOptions?: IoredisOptions;
}

/** Options with which sessions would not be found, or not be as they are. Of each: when, why, and what to do. */
const REFUSED: [keyof IoredisOptions, (value: unknown) => boolean, problem: string, remedy: string][] = [
  [
    'keyPrefix',
    isTruthy,
    "which the module's prefix would come after, but not in channels and patterns",
    'Create a client without it, and give the prefix as the option "prefix".',
  ],
  ['stringNumbers', isTruthy, 'by which replies are no numbers', 'Create a client without it.'],
  ['readOnly', isTruthy, 'and sessions have to be written', 'Create a client without it.'],
  ['role', (role) => role === 'slave', 'a replica: sessions have to be written', 'Create a client of the master.'],
  ['monitor', isTruthy, 'and takes no commands', 'Create a client without it.'],
  [
    'scaleReads',
    (reads) => reads !== undefined && reads !== 'master',
    'by which a replica is asked that may not know of a login, or of a revocation, yet',
    'Leave it out: "master" is the default.',
  ],
];

/** Refuses a client whose options do not suit sessions. Those of a cluster's nodes are among its own. */
export function checkIoredis({ options }: IoredisClient): void {
  const own: IoredisOptions = options;
  for (const [name, isRefused, problem, remedy] of REFUSED) {
    const isFine = [own, own.redisOptions ?? {}].every((given) => !isRefused(given[name]));
    demand(isFine, 'redis.client', `it is a client of ioredis with "${name}", ${problem}`, remedy);
  }
}

function isTruthy(value: unknown): boolean {
  return Boolean(value);
}
