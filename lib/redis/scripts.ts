import { LuaScript } from './lua-script.js';
import { SHARED } from './script-functions.js';
import { remainsPrefix } from './session-codec.js';

/**
 * Creates a user's session, enters it in the index, keeps the limit and ends the session that it replaces.
 *
 * Returns `created`, or `more` (nothing was created yet: call again), then 1 where the replaced session was live,
 * Redis's time and the RESTs that were evicted; `late`, 0 and Redis's time, where the deadline has passed; `rejected`;
 * `taken`; `untrusted`; or `stale` and the value at the replaced session's key.
 *
 * `deadline`: by Redis's time in ms; 0 where the caller does not know that time yet. `limit`: 0 for none.
 * `replacedVersion`: which the replaced session must have, or ''. `suffix`: ends the remains of the replaced session.
 * `epoch`: the trust epoch that the user must have, or ''.
 */
export const LOG_IN = new LuaScript({
  keys: ['session', 'index', 'trust', 'replaced'],
  args: [
    'value',
    'ttl',
    'rest',
    'expiresAt',
    'now',
    'deadline',
    'limit',
    'overflow',
    'keepFor',
    'replacedRest',
    'replacedFor',
    'replacedVersion',
    'suffix',
    'epoch',
  ],
  usesUndeclaredKeys: true, // Those of the sessions that are evicted.
  shared: SHARED,
  source: `
local clock = redis.pcall('TIME') -- A user of few rights may not ask for it, and does without.
local time = clock.err and 0 or tonumber(clock[1]) * 1000 + math.floor(tonumber(clock[2]) / 1000)
if time > tonumber(deadline) then return {'late', 0, time} end
if epoch ~= '' and read(trust) ~= epoch then return {'untrusted'} end
if replacedVersion ~= '' then
  local current = read(replaced)
  local _, version = versionOf(current)
  if version ~= replacedVersion then return {'stale', current or ''} end
end
if not redis.call('SET', session, value, 'PX', ttl, 'NX') then return {'taken'} end

local expired = redis.call('ZRANGEBYSCORE', index, '-inf', now, 'LIMIT', 0, STEP)
if #expired > 0 then redis.call('ZREM', index, unpack(expired)) end

local result = {'created', 0, time}
if limit ~= '0' then
  local live, vanished = {}, false
  for place, other in ipairs(redis.call('ZRANGE', index, 0, LOOK - 1)) do
    if other ~= replacedRest then
      local seen = versionAt(index .. other)
      if seen then
        live[#live + 1] = {seen, place, other}
      else
        redis.call('ZREM', index, other)
        vanished = true
      end
    end
  end
  local unseen = redis.call('ZCARD', index) - #live
  if replacedRest ~= '' and redis.call('ZSCORE', index, replacedRest) then unseen = unseen - 1 end
  local over = #live + unseen + 1 - tonumber(limit)
  if over > 0 and overflow == 'reject' then
    redis.call('DEL', session)
    return {vanished and unseen > 0 and 'more' or 'rejected', 0, time}
  end
  table.sort(live, function(a, b) return a[1] < b[1] or (a[1] == b[1] and a[2] < b[2]) end)
  local going = math.min(over, #live, STEP)
  for i = 1, going do
    local other = live[i][3]
    redis.call('ZREM', index, other)
    if finish(index .. other, '${remainsPrefix('limit')}', keepFor) then result[#result + 1] = other end
  end
  if over > going then
    redis.call('DEL', session)
    result[1] = 'more'
    return result
  end
end
if replaced then
  redis.call('ZREM', index, replacedRest)
  if finish(replaced, '${remainsPrefix('replaced')}', replacedFor, suffix) then result[2] = 1 end
end
enter(index, rest, expiresAt, now)
return result
`,
});

/**
 * Replaces one version of a session, and creates none. Returns 1, or the value that is at its key (nil for none). A
 * \`seen\` that has moved on meanwhile does not move back. Of an anonymous session, `index` is left out.
 */
export const UPDATE = new LuaScript({
  keys: ['session', 'index'],
  args: ['version', 'value', 'ttl', 'rest', 'expiresAt', 'now'],
  shared: SHARED,
  source: `
local current = redis.call('GET', session)
local seen, found = versionOf(current)
if found ~= version then return current end
ttl = tonumber(ttl)
if seen > string.sub(value, 9, 8 + #seen) then
  value = '{"seen":' .. seen .. string.sub(value, 9 + #seen)
  ttl = math.max(ttl, redis.call('PTTL', session))
  local entered = index and redis.call('ZSCORE', index, rest)
  if entered and tonumber(entered) > tonumber(expiresAt) then expiresAt = entered end
end
redis.call('SET', session, value, 'PX', ttl)
if index then enter(index, rest, expiresAt, now) end
return 1
`,
});

/**
 * Writes down activity, in place, whatever the version. Over another version than the caller's, the expiry only moves
 * to a later time: longer limits that were given meanwhile stay. Returns 0 where no session is live, 1 where `secret`
 * is the hash of the current secret, else 2. `seen` has 13 digits. Of an anonymous session, `index` is left out.
 */
export const EXTEND = new LuaScript({
  keys: ['session', 'index'],
  args: ['seen', 'ttl', 'secret', 'version', 'rest', 'expiresAt', 'now'],
  shared: SHARED,
  source: `
local head = redis.call('GETRANGE', session, 0, 127)
local lastSeen, found = versionOf(head)
if not lastSeen then return 0 end
if lastSeen < seen then
  redis.call('SETRANGE', session, #'{"seen":', seen)
  ttl = tonumber(ttl)
  if found == version or ttl > redis.call('PTTL', session) then
    redis.call('PEXPIRE', session, ttl)
    if index then enter(index, rest, expiresAt, now) end
  end
end
return string.match(head, '^[^,]+,[^,]+,"secret":"([%w_-]+)"') == secret and 1 or 2
`,
});

/** Ends a session. Returns 1, or 0 where none was live. `keepFor` 0: nothing remains. */
export const END = new LuaScript({
  keys: ['session', 'index'],
  args: ['prefix', 'keepFor', 'rest', 'suffix', 'now'],
  shared: SHARED,
  source: `
if index then
  redis.call('ZREM', index, rest)
  fit(index, now)
end
return finish(session, prefix, keepFor, suffix) and 1 or 0
`,
});

/**
 * Ends a user's trust epoch, and up to a step's worth of their sessions, but not `except` (a REST, or ''), under
 * whichever id step-ups have given it. Returns 1 where there are more, else 0; then the RESTs of those that it ended.
 */
export const END_ALL = new LuaScript({
  keys: ['index', 'trust'],
  args: ['prefix', 'keepFor', 'except', 'now'],
  usesUndeclaredKeys: true, // Those of the sessions in the index.
  shared: SHARED,
  source: `
redis.call('DEL', trust)
for _ = 1, STEP do
  local successor = except ~= '' and successorOf(index .. except)
  if not successor then break end
  except = successor
end
local rests = redis.call('ZRANGE', index, 0, STEP)
local result = {#rests > STEP and 1 or 0}
for _, rest in ipairs(rests) do
  if rest ~= except then
    redis.call('ZREM', index, rest)
    if finish(index .. rest, prefix, keepFor) then result[#result + 1] = rest end
  end
end
fit(index, now)
return result
`,
});

/** A user's trust epoch, which has at least `ttl` to live from then on; `fresh` for who has none. Returns it. */
export const GRANT_TRUST = new LuaScript({
  keys: ['trust'],
  args: ['fresh', 'ttl'],
  source: `
local epoch = redis.call('GET', trust)
if not epoch then
  redis.call('SET', trust, fresh, 'PX', ttl)
  return fresh
end
if redis.call('PTTL', trust) < tonumber(ttl) then redis.call('PEXPIRE', trust, ttl) end
return epoch
`,
});

/** How many of a user's sessions have not expired. */
export const COUNT = new LuaScript({
  keys: ['index'],
  args: ['now'],
  source: `return redis.call('ZCOUNT', index, '(' .. now, '+inf')`,
});

/**
 * Part of a user's index, by ZSCAN: an entry that is there throughout is returned at least once. Returns the next
 * cursor ('0' at the end), then RESTs and scores in turn.
 */
export const ENTRIES = new LuaScript({
  keys: ['index'],
  args: ['cursor', 'count'],
  source: `
local found = redis.call('ZSCAN', index, cursor, 'COUNT', count)
local result = {found[1]}
for i = 1, #found[2] do result[i + 1] = found[2][i] end
return result
`,
});

/**
 * Reads sessions of a user without their data: `KEYS` has their keys after the index, `ARGV` their RESTs. Returns REST
 * and value in turn. Entries of sessions that are not live leave the index.
 */
export const READ = new LuaScript({
  keys: ['index'],
  args: [],
  shared: SHARED,
  source: `
local result = {}
for i, rest in ipairs(ARGV) do
  local value = readUpTo(KEYS[i + 1], ',"data":')
  local stop = versionOf(value) and string.find(value, ',"data":', 1, true)
  if stop then
    result[#result + 1] = rest
    result[#result + 1] = string.sub(value, 1, stop) .. '"data":{}}'
  else
    redis.call('ZREM', index, rest)
  end
end
return result
`,
});

/** 1 where a session is live under the key, else 0. */
export const IS_LIVE = new LuaScript({
  keys: ['session'],
  args: [],
  shared: SHARED,
  source: `return versionAt(session) and 1 or 0`,
});
