import { USER_TAG_LENGTH } from '../model/session-id.js';

/** Sessions that one call of a script ends at most: that takes Redis a few milliseconds (docs/redis.md). */
const STEP = 100;
/** Sessions among which one call looks for the least recently seen: of a user with more, those that end first. */
const LOOK = 500;
/** Bytes from a session's start that hold everything but its data, as a rule. */
const HEAD = 1024;

/** What the scripts share. `session` and `index` are keys, `rest` is a session's member of its index. */
export const SHARED = `
local STEP, LOOK, HEAD = ${STEP}, ${LOOK}, ${HEAD}

-- The value at a key, or nil. A value of another type is no session.
local function read(key)
  local value = redis.pcall('GET', key)
  return type(value) == 'string' and value or nil
end

-- The start of the value at a key, with all that stands before this text; or nil.
local function readUpTo(key, text)
  local value = redis.pcall('GETRANGE', key, 0, HEAD - 1)
  if type(value) ~= 'string' or value == '' then return nil end
  if #value < HEAD or string.find(value, text, 1, true) then return value end
  return read(key)
end

-- When a session was seen, and its version; nil for what is no live session.
local function versionOf(value) return string.match(value or '', '^{"seen":(%d+),"v":(%d+),') end

-- The same of the session at a key, without reading more of it than that.
local function versionAt(key)
  local value = redis.pcall('GETRANGE', key, 0, 63)
  return versionOf(type(value) == 'string' and value)
end

-- The REST that a step-up gave to the session that was at a key, or nil.
local function successorOf(key)
  return string.match(readUpTo(key, ',"created":') or '', '^{"ended":.*,"successor":"([^"]+)"}$')
end

-- Has an index live until the last of its sessions expires.
local function fit(index, now)
  local last = redis.call('ZRANGE', index, -1, -1, 'WITHSCORES')[2]
  if last then redis.call('PEXPIRE', index, math.max(1, last - now)) end
end

-- Enters a session with the time of its expiry.
local function enter(index, rest, expiresAt, now)
  redis.call('ZADD', index, expiresAt, rest)
  fit(index, now)
end

-- Tells every process that a user's session has ended, by the channel <prefix>ended. Without rights on the channel the
-- step holds all the same.
local function publish(session, remains, suffix)
  local before, tag, rest = string.match(session, '^([^{]*){(${'.'.repeat(USER_TAG_LENGTH)})}(.+)$')
  if tag then
    redis.pcall('PUBLISH', before .. 'ended', remains .. '"handle":"' .. tag .. rest .. '"' .. (suffix or '') .. '}')
  end
end

-- Ends a session: its secrets remain with the reason. \`prefix\` is how the remains begin. Returns false where none was live.
local function finish(session, prefix, keepFor, suffix)
  local value = readUpTo(session, ',"created":')
  local secrets = string.match(value or '', '^{"seen":%d+,"v":%d+,(.-),"created":')
  if not secrets then return false end
  if tonumber(keepFor) > 0 then
    redis.call('SET', session, prefix .. secrets .. (suffix or '') .. '}', 'PX', keepFor)
  else
    redis.call('DEL', session)
  end
  publish(session, prefix, suffix)
  return true
end
`;
