import type { Clock } from '../model/clock.js';
import { oldCookieAttributes, type Successor } from '../model/old-session.js';
import { isHandle } from '../model/session-id.js';
import type { SessionRecord } from '../model/session-record.js';
import type { ResolvedSessionAuthOptions } from '../session-auth.options.js';
import type { OldSessions } from '../store/old-sessions.js';
import type { TimeBudget } from '../store/time-budget.js';
import { keysOf } from './keys.js';
import { LuaScript } from './lua-script.js';
import { RedisAccess, type RedisLink } from './redis-access.js';
import { SHARED } from './script-functions.js';
import { encodeSession, remainsPrefix } from './session-codec.js';

/** The value at a key and its time to live in ms. Returns nothing where there is none, or one of another type. */
const FIND = new LuaScript({
  keys: ['old'],
  args: [],
  shared: SHARED,
  source: `
local value = read(old)
return value and {value, redis.call('PTTL', old)} or {}
`,
});

/** Creates a session, and enters a user's in the index. Returns 1, or 0 where there is anything at its key. */
const OPEN = new LuaScript({
  keys: ['session', 'index'],
  args: ['value', 'ttl', 'rest', 'expiresAt', 'now'],
  shared: SHARED,
  source: `
if not redis.call('SET', session, value, 'PX', ttl, 'NX') then return 0 end
if index then enter(index, rest, expiresAt, now) end
return 1
`,
});

/**
 * The sessions that connect-redis has stored, in the same Redis as ours. What one of them has become is written down as
 * what remains of an anonymous session that a login has replaced.
 */
export class RedisOldSessions implements OldSessions {
  constructor(
    private readonly redis: RedisAccess,
    private readonly oldPrefix: string,
    private readonly prefix: string,
    private readonly clock: Clock,
  ) {}

  async find(id: string, budget?: TimeBudget): Promise<{ text: string; ttl: number } | undefined> {
    const reply = await this.redis.script(FIND, { old: this.oldPrefix + id }, {}, { budget });
    const [text, ttl] = reply as [text?: string, ttl?: number];
    return text === undefined ? undefined : { text, ttl: Number(ttl) };
  }

  async remove(id: string, budget?: TimeBudget): Promise<void> {
    await this.redis.command((client) => client.del(this.oldPrefix + id), budget);
  }

  async findSuccessor(place: string, budget?: TimeBudget): Promise<Successor | undefined> {
    const value: unknown = await this.redis.command((client) => client.get(this.#key(place)), budget);
    return typeof value === 'string' ? decode(value) : undefined;
  }

  async noteSuccessor(
    place: string,
    successor: Successor,
    secretHash: string,
    lifetime: number,
    budget?: TimeBudget,
  ): Promise<boolean> {
    const value = remainsPrefix('replaced') + JSON.stringify({ secret: secretHash, adopted: successor }).slice(1);
    const options = { NX: true, PX: Math.ceil(lifetime) } as const;
    const reply: unknown = await this.redis.command((client) => client.set(this.#key(place), value, options), budget);
    return reply !== null;
  }

  async open(record: SessionRecord, expiresAt: number, budget?: TimeBudget): Promise<boolean> {
    const { session, index, rest } = keysOf(this.prefix, record.handle);
    const now = this.clock.now();
    const keys = { session, index: record.login && index };
    const args = { value: encodeSession(record), ttl: Math.max(1, Math.round(expiresAt - now)), rest, expiresAt, now };
    return (await this.redis.script(OPEN, keys, args, { budget })) === 1;
  }

  #key(place: string): string {
    return keysOf(this.prefix, place).session;
  }
}

/** The sessions to carry over; `null` for none. */
export function oldSessions(
  { adopt, redisTimeout, prefix }: Pick<ResolvedSessionAuthOptions, 'adopt' | 'redisTimeout' | 'prefix'>,
  clock: Clock,
  link: RedisLink | null,
): OldSessions | null {
  const redis = link && new RedisAccess(link, redisTimeout);
  return redis && adopt ? new RedisOldSessions(redis, adopt.prefix, prefix, clock) : null;
}

/** Only what this module has written is at such a key. */
function decode(value: string): Successor | undefined {
  const { adopted } = JSON.parse(value) as { adopted?: Successor };
  return adopted && isHandle(adopted.handle)
    ? { handle: adopted.handle, cookie: oldCookieAttributes(adopted.cookie) }
    : undefined;
}
