import { LuaScript } from './lua-script.js';
import { REASON_WIDTH } from './tombstone.js';

/** Sessions that one call of a script ends at the most: a few milliseconds of Redis (docs/operations.md). */
const STEP = 250;
/** Sessions among which one call looks for the least recently seen. Of a user with more, these are the ones that end first. */
const LOOK = 500;

/**
 * What the scripts share. `base` is the slot base: handles of one user differ from it on, so that a script finds the keys
 * of sessions that it learns of from the index. All lie in the slot of the keys that it is given.
 */
const SHARED = `
local STEP = ${STEP}
local LOOK = ${LOOK}
local HEAD = ${13 + 1 + REASON_WIDTH} -- What a tombstone has before its hashes.
local ENDED = '0000000000000'

local function sessionKey(base, handle) return base .. string.sub(handle, 9) end

local function read(key)
  local value = redis.pcall('GET', key)
  return type(value) == 'string' and value or nil
end

-- Whether a tombstone says that a login has replaced the session.
local function wasReplaced(key) return string.find(read(key) or '', '^%d+ replaced') ~= nil end

-- Says in a session's tombstone why it ended or will; the hashes in it stay.
local function bury(key, reason, at, ttl, shown)
  if redis.call('EXISTS', key) == 0 then return end
  redis.call('SETRANGE', key, 0, at .. ' ' .. string.format('%-${REASON_WIDTH}s', reason))
  if shown then redis.call('APPEND', key, shown) end
  redis.call('PEXPIRE', key, ttl)
end

-- Enters when a session runs out. The index lives as long as the session in it that lives longest.
local function enter(index, handle, at, ttl)
  redis.call('ZADD', index, at, handle)
  redis.call('PEXPIRE', index, math.max(ttl, redis.call('PTTL', index)))
end

-- Ends a session that stands in an index, and tells whether it was there.
local function finish(index, base, handle, reason, keep)
  local key = sessionKey(base, handle)
  redis.call('ZREM', index, handle)
  if redis.call('DEL', key) == 0 then return false end
  bury(key .. ':ended', reason, ENDED, keep)
  return true
end

-- Forgets sessions that have run out, a step's worth at the most. Tells whether there may be more.
local function prune(index, base, now)
  local handles = redis.call('ZRANGEBYSCORE', index, '-inf', now, 'LIMIT', 0, STEP)
  for _, handle in ipairs(handles) do
    redis.call('DEL', sessionKey(base, handle))
    redis.call('ZREM', index, handle)
  end
  return #handles == STEP
end
`;

const script = (source: string): LuaScript => new LuaScript(SHARED + source);

/**
 * A user's new session: indexed, the limit kept, the session that it replaces ended. Returns `created` (then 1 where the
 * replaced one was there, then Redis's time, then the handles evicted), `more` (likewise: nothing was created
 * yet, ask again), `late` (then 0 and Redis's time: it was to be done earlier or not at all), `rejected`, `taken`, `gone`, `replaced`, or `stale` and the value that stands under the replaced one's key.
 *
 * KEYS: session, its tombstone, index, and (where one is replaced) that session and its tombstone. ARGV: handle, value, its
 * time to live in ms, tombstone, the tombstone's, when it runs out, now, slot base, limit (0 for none), what happens
 * beyond it, how long tombstones of ended sessions stand, the replaced handle, the version it must have (or ''), until when
 * by Redis's time it may be done (0: not before the asker knows that time).
 */
export const LOG_IN = script(`
local handle, value, ttl, at = ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[6]
local now, base, limit, keep, replaced = ARGV[7], ARGV[8], tonumber(ARGV[9]), ARGV[11], ARGV[12]
local clock = redis.pcall('TIME') -- Who may not ask for it does without.
local time = clock.err and 0 or tonumber(clock[1]) * 1000 + math.floor(tonumber(clock[2]) / 1000)
if time > tonumber(ARGV[14]) then return {'late', 0, time} end
if redis.call('EXISTS', KEYS[1]) == 1 then return {'taken'} end
if ARGV[13] ~= '' then
  local current = read(KEYS[4])
  if not current then return {wasReplaced(KEYS[5]) and 'replaced' or 'gone'} end
  if string.match(current, '^{"seen":%d+,"v":(%d+),') ~= ARGV[13] then return {'stale', current} end
end
prune(KEYS[3], base, now)
local result = {'created', 0, time}
if limit > 0 then
  local live = {}
  local looked = redis.call('ZRANGE', KEYS[3], 0, LOOK - 1)
  local vanished = false
  for i, other in ipairs(looked) do
    if other ~= replaced then
      local seen = redis.pcall('GETRANGE', sessionKey(base, other), 0, 20)
      if seen.err and not string.find(seen.err, 'WRONGTYPE', 1, true) then return seen end
      if seen == '' or seen.err then
        redis.call('ZREM', KEYS[3], other)
        vanished = true
      else
        live[#live + 1] = {seen, i, other}
      end
    end
  end
  local unseen = redis.call('ZCARD', KEYS[3]) - #live
  if replaced ~= '' and redis.call('ZSCORE', KEYS[3], replaced) then unseen = unseen - 1 end
  local over = #live + unseen + 1 - limit
  if over > 0 and ARGV[10] == 'reject' then return {vanished and unseen > 0 and 'more' or 'rejected', 0, time} end
  table.sort(live, function(a, b) return a[1] < b[1] or (a[1] == b[1] and a[2] < b[2]) end)
  local going = math.min(over, #live, STEP)
  for i = 1, going do
    if finish(KEYS[3], base, live[i][3], 'limit', keep) then result[#result + 1] = live[i][3] end
  end
  if over > going then
    result[1] = 'more'
    return result
  end
end
if replaced ~= '' and finish(KEYS[3], base, replaced, 'replaced', keep) then result[2] = 1 end
redis.call('SET', KEYS[1], value, 'PX', ttl)
redis.call('SET', KEYS[2], ARGV[4], 'PX', ARGV[5])
enter(KEYS[3], handle, at, ttl)
return result
`);

/**
 * Writes only over the version before this one, and only where a session is. Returns 1 (saved), 0 (there is none), 2 (a
 * login has replaced it) or the newer value that stands there. A `seen` that was moved on meanwhile is not moved back.
 *
 * KEYS: session, its tombstone and (a user's) index. ARGV: the version it was made from, the new value, its time to live in
 * ms; a user's also: handle, when it runs out, tombstone, the tombstone's time to live beyond the session's.
 */
export const UPDATE = script(`
local current = redis.call('GET', KEYS[1])
if not current then return wasReplaced(KEYS[2]) and 2 or 0 end
local seen, version = string.match(current, '^{"seen":(%d+),"v":(%d+),')
if version ~= ARGV[1] then return current end
local value, ttl, at, tombstone = ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[5]), ARGV[6]
if seen > string.sub(value, 9, 8 + #seen) then
  value = '{"seen":' .. seen .. string.sub(value, 9 + #seen)
  ttl = math.max(ttl, redis.call('PTTL', KEYS[1]))
  local entered = at and tonumber(redis.call('ZSCORE', KEYS[3], ARGV[4]) or 0)
  if entered and entered > at then
    at = entered
    tombstone = string.sub(read(KEYS[2]) or tombstone, 1, HEAD) .. string.sub(tombstone, HEAD + 1)
  end
end
redis.call('SET', KEYS[1], value, 'PX', ttl)
if KEYS[3] then
  enter(KEYS[3], ARGV[4], string.format('%.0f', at), ttl)
  redis.call('SET', KEYS[2], tombstone, 'PX', ttl + ARGV[7])
end
return 1
`);

/**
 * Notes activity, in place, whatever the version. One that has been given longer limits meanwhile keeps them. Returns 0
 * where no session is, else 1, or 2 where another secret has become the current one.
 *
 * KEYS: session, its tombstone and (a user's) index. ARGV: when it was seen (13 digits), its time to live in ms, the hash
 * of the secret, the version; a user's also: handle, when it runs out, of which limit, the tombstone's time to live beyond
 * the session's.
 */
export const EXTEND = script(`
local head = redis.call('GETRANGE', KEYS[1], 0, 160)
local seen, version, secret = string.match(head, '^{"seen":(%d+),"v":(%d+),"created":%d+,"secret":"([%w_-]+)"')
if not seen then return 0 end
if seen < ARGV[1] then
  local ttl = tonumber(ARGV[2])
  redis.call('SETRANGE', KEYS[1], 8, ARGV[1])
  if version == ARGV[4] or ttl > redis.call('PTTL', KEYS[1]) then
    redis.call('PEXPIRE', KEYS[1], ttl)
    if KEYS[3] then
      enter(KEYS[3], ARGV[5], ARGV[6], ttl)
      bury(KEYS[2], ARGV[7], ARGV[6], ttl + ARGV[8])
    end
  end
end
return secret == ARGV[3] and 1 or 2
`);

/**
 * Ends a session. Returns 1, or 0 where none was.
 *
 * KEYS: session, its tombstone and (a user's) index. ARGV: the reason, how long it is remembered in ms (0: not at all), the
 * handle, what is appended to the tombstone's hashes (or '').
 */
export const END = script(`
local ended = redis.call('DEL', KEYS[1])
if KEYS[3] then
  redis.call('ZREM', KEYS[3], ARGV[3])
  if ended == 1 then bury(KEYS[2], ARGV[1], ENDED, ARGV[2], ARGV[4]) end
elseif ARGV[2] ~= '0' then
  redis.call('SET', KEYS[2], ENDED .. ' ' .. ARGV[1], 'PX', ARGV[2])
end
return ended
`);

/**
 * Ends a step's worth of a user's sessions. Returns 1 where there are more, else 0; then the handles that it ended.
 *
 * KEYS: index. ARGV: slot base, reason, how long that is remembered in ms, the handle that is to live on (or '').
 */
export const END_ALL = script(`
local handles = redis.call('ZRANGE', KEYS[1], 0, STEP)
local result = {#handles > STEP and 1 or 0}
for _, handle in ipairs(handles) do
  if handle ~= ARGV[4] and finish(KEYS[1], ARGV[1], handle, ARGV[2], ARGV[3]) then result[#result + 1] = handle end
end
return result
`);

/**
 * How many of a user's sessions have not run out.
 *
 * KEYS: index. ARGV: slot base, now.
 */
export const COUNT = script(`
prune(KEYS[1], ARGV[1], ARGV[2])
return redis.call('ZCOUNT', KEYS[1], '(' .. ARGV[2], '+inf')
`);

/**
 * Some of a user's index, by ZSCAN: an entry that stays throughout comes at least once. Returns the cursor to go on from ('0'
 * at the end), then handles and scores; or nothing but `more`, where there is more to be forgotten first.
 *
 * KEYS: index. ARGV: slot base, now, cursor, about how many to give.
 */
export const ENTRIES = script(`
if prune(KEYS[1], ARGV[1], ARGV[2]) then return {'more'} end
local found = redis.call('ZSCAN', KEYS[1], ARGV[3], 'COUNT', ARGV[4])
local result = {found[1]}
for i = 1, #found[2] do result[i + 1] = found[2][i] end
return result
`);

/**
 * Some of a user's sessions: handle and value of each that is there, without its data. Index entries of others go.
 *
 * KEYS: index. ARGV: slot base, then the handles.
 */
export const READ = script(`
local result = {}
for i = 2, #ARGV do
  local key = sessionKey(ARGV[1], ARGV[i])
  local value = redis.pcall('GETRANGE', key, 0, 4095)
  value = type(value) == 'string' and value ~= '' and value or nil
  local stop = value and string.find(value, ',"data":', 1, true)
  if value and not stop then
    value = read(key)
    stop = value and string.find(value, ',"data":', 1, true)
  end
  if stop then
    result[#result + 1] = ARGV[i]
    result[#result + 1] = string.sub(value, 1, stop) .. '"data":{}}'
  elseif not value and redis.call('EXISTS', key) == 0 then
    redis.call('ZREM', KEYS[1], ARGV[i])
  end
end
return result
`);
