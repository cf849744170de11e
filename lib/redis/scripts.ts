import { LuaScript } from './lua-script.js';

/**
 * Writes only over the version before this one, and only where a session is. Returns 1 (saved), 0 (there is none), 2 (a
 * login has replaced it) or the newer value that stands there. A `seen` that was moved on meanwhile is not moved back.
 *
 * KEYS: session, its replacement note. ARGV: the version it was made from, the new value, its time to live in ms.
 */
export const UPDATE = new LuaScript(`
local current = redis.call('GET', KEYS[1])
if not current then return redis.call('EXISTS', KEYS[2]) * 2 end
local seen, version = string.match(current, '^{"seen":(%d+),"v":(%d+),')
if version ~= ARGV[1] then return current end
local value, ttl = ARGV[2], tonumber(ARGV[3])
if seen > string.sub(value, 9, 8 + #seen) then
  value = '{"seen":' .. seen .. string.sub(value, 9 + #seen)
  ttl = math.max(ttl, redis.call('PTTL', KEYS[1]))
end
redis.call('SET', KEYS[1], value, 'PX', ttl)
return 1
`);

/**
 * Notes activity, in place, whatever the version. Returns 1, or 0 where no session is.
 *
 * KEYS: session. ARGV: when it was seen (13 digits), its time to live in ms.
 */
export const EXTEND = new LuaScript(`
local head = redis.call('GETRANGE', KEYS[1], 0, 20)
local seen = string.match(head, '^{"seen":(%d+)$')
if not seen then return 0 end
if seen < ARGV[1] then
  redis.call('SETRANGE', KEYS[1], 8, ARGV[1])
  redis.call('PEXPIRE', KEYS[1], ARGV[2])
end
return 1
`);

/**
 * Ends a session and notes that a login replaced it. Returns 1, or 0 where no session was.
 *
 * KEYS: session, its replacement note. ARGV: how long the note stands, in ms.
 */
export const REPLACE = new LuaScript(`
redis.call('SET', KEYS[2], '', 'PX', ARGV[1])
return redis.call('DEL', KEYS[1])
`);
