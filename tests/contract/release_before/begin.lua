-- A history whose keys do not exist begins at a floor after every place of an earlier history, which
-- may have begun and ended in this millisecond. The floor's sequence number is the microsecond of
-- this millisecond times 1000: Valkey cannot add that many updates in the time. The floor becomes
-- the stream's last id, so the first update comes after it.
local log, ids, state, repeats = unpack(KEYS)

local function now_ms()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

local function begin()
  local floor = redis.call('HGET', state, 'floor')
  if floor and redis.call('EXISTS', log) == 1 then return floor end
  redis.call('DEL', log, ids, state, repeats)
  local time = redis.call('TIME')
  local ms = time[1] * 1000 + math.floor(time[2] / 1000)
  floor = string.format('%.0f-%d', ms, time[2] % 1000 * 1000)
  redis.call('XADD', log, floor, 'begin', '')
  redis.call('XDEL', log, floor)
  redis.call('HSET', state, 'floor', floor, 'bytes', 0)
  return floor
end
