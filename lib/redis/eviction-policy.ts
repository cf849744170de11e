import type { Logger } from '@nestjs/common';
import { type OwnedClient, serversOf } from './redis-client.js';

/** Policies that spare live sessions: writes fail instead, or what expires soonest is evicted first. */
const SOUND = ['noeviction', 'volatile-ttl'];

/**
 * A warning when a server evicts live sessions once its memory is full; `undefined` when it does not, or has no limit.
 *
 * @param info the reply to `INFO memory`
 */
export function evictionWarning(info: string): string | undefined {
  const limit = /^maxmemory:(\d+)/m.exec(info)?.[1] ?? '0';
  const policy = /^maxmemory_policy:(\S+)/m.exec(info)?.[1] ?? 'noeviction';
  return limit === '0' || SOUND.includes(policy)
    ? undefined
    : `Redis has maxmemory-policy "${policy}": when its memory is full, it drops sessions that are in use. ` +
        'Set it to noeviction or volatile-ttl (docs/redis.md).';
}

/** Warns of an unsuitable eviction policy. A user of few rights may not ask for it. */
export async function warnOfEviction(client: OwnedClient, logger: Logger): Promise<void> {
  const infos = await Promise.allSettled(
    serversOf<{ info(section: string): Promise<string> }>(client).map(async (server) => (await server).info('memory')),
  );
  const warnings = infos.flatMap((info) => (info.status === 'fulfilled' ? (evictionWarning(info.value) ?? []) : []));
  for (const warning of new Set(warnings)) {
    logger.warn(warning);
  }
}
