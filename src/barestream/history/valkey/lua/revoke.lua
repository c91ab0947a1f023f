-- Keeps a revocation; one with the same id is joined with it (Revocation.joined). Those that are over go
-- first. Returns whether the id is new, and the kept one; or nothing if there is no room.
-- A value is: when it was made, when it is over (0: never), the time before which tokens were issued,
-- all in milliseconds, and the selection.
local table_key, due, state = unpack(KEYS)
local id, made_ms, until_ms, before_ms, selection, most, mark = unpack(ARGV)
-- A step is bounded: what is left goes with the next one.
local MOST_REMOVED = 1000
local over = redis.call('ZRANGEBYSCORE', due, '-inf', made_ms, 'LIMIT', 0, MOST_REMOVED)
for _, each in ipairs(over) do redis.call('HDEL', table_key, each) end
if #over > 0 then redis.call('ZREM', due, unpack(over)) end

local found = redis.call('HGET', table_key, id)
if found then
  local old_made, old_until, old_before = string.match(found, '^(%d+) (%d+) (%d+) ')
  made_ms = old_made
  if old_until == '0' or until_ms == '0' then
    until_ms = '0'
  elseif tonumber(old_until) > tonumber(until_ms) then
    until_ms = old_until
  end
  if tonumber(old_before) > tonumber(before_ms) then before_ms = old_before end
elseif redis.call('HLEN', table_key) >= tonumber(most) then
  return false
end
local kept = table.concat({made_ms, until_ms, before_ms, selection}, ' ')
if kept ~= found then
  redis.call('HSET', table_key, id, kept)
  if until_ms == '0' then
    redis.call('ZREM', due, id)
  else
    redis.call('ZADD', due, until_ms, id)
  end
  redis.call('HINCRBY', state, 'changes', 1)
  redis.call('HSET', state, 'mark', mark)
end
return {found and 0 or 1, kept}
