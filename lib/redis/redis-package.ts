import type * as redis from 'redis';
import { InvalidOptionError } from '../session-auth.errors.js';

/** What is used of the package `redis`, an optional peer: an application may have `ioredis` alone. */
export type RedisPackage = Pick<typeof redis, 'createClient' | 'createCluster' | 'createSentinel'>;

/**
 * Loads the package.
 *
 * @throws InvalidOptionError when it is not installed
 */
export async function loadRedis(load: () => Promise<RedisPackage> = () => import('redis')): Promise<RedisPackage> {
  return load().catch((error: unknown) => {
    const { code, message } = error as NodeJS.ErrnoException;
    if (/^(ERR_)?MODULE_NOT_FOUND$/.test(code ?? '') && /'redis'/.test(message)) {
      throw new InvalidOptionError(
        'redis',
        'the package "redis" is not installed, which the module opens connections by',
        'Install it (npm install redis), or give a client of ioredis: { client }.',
      );
    }
    throw error;
  });
}
