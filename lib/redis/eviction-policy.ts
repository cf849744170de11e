/** Policies under which no live session goes while there is another way: reads go on, or what ends soonest goes first. */
const SOUND = ['noeviction', 'volatile-ttl'];

/**
 * What is wrong with how a server makes room when its memory is full, by its `INFO memory`; `undefined` when nothing is, or
 * when it has no limit.
 */
export function evictionWarning(info: string): string | undefined {
  const limit = /^maxmemory:(\d+)/m.exec(info)?.[1] ?? '0';
  const policy = /^maxmemory_policy:(\S+)/m.exec(info)?.[1] ?? 'noeviction';
  return limit === '0' || SOUND.includes(policy)
    ? undefined
    : `Redis has maxmemory-policy "${policy}": when its memory is full, it drops sessions that are in use. ` +
        'Set it to noeviction or volatile-ttl (docs/operations.md).';
}
