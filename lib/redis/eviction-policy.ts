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
        'Set it to noeviction or volatile-ttl (docs/operations.md).';
}
