-- Returns the newest places of each topic, and its kept value. The answer is empty while the index does
-- not have all entries. Else it has the history's newest place, and for each topic the public
-- places, the private ones, the floors of both lanes, and the packed kept value.
local at = ARGUMENTS
local how, value, most_events = ARGV[at + 1], tonumber(ARGV[at + 2]), tonumber(ARGV[at + 3])
if not fn.load_indexed() then return {} end

local function newest(lane, since, number)
  local key = PREFIX .. lane
  local length = redis.call('LLEN', key)
  local from = fn.position(key, fn.later(since, log.floor))
  local first = math.max(from, length - math.min(number, most_events))
  if first >= length then return {} end
  return redis.call('LRANGE', key, first, -1)
end

local topics = {}
for i = at + 4, #ARGV do
  local topic = ARGV[i]
  local packed_value = redis.call('HGET', keys.kept, topic)
  local until_ms, kept_place = string.match(packed_value or '', '^(%d+) (%S+)')
  if until_ms and until_ms ~= '0' and tonumber(until_ms) <= fn.now_ms() then
    packed_value, kept_place = false, nil
  end
  local since, number = '0-0', math.huge
  if how == 'events' then number = value end
  if how == 'seconds' then
    -- The place before the first one in that time.
    since = string.format('%.0f-18446744073709551615', math.max(0, math.ceil(fn.now_ms() - value) - 1))
  end
  if how == 'kept' then since = kept_place end
  local public, private = {}, {}
  if since then
    public, private = newest('+' .. topic, since, number), newest('-' .. topic, since, number)
  end
  local floors = {fn.floor_of('+' .. topic), fn.floor_of('-' .. topic)}
  topics[#topics + 1] = {public, private, floors, packed_value}
end
return {log.length > 0 and index.indexed or fn.gone(), topics}
