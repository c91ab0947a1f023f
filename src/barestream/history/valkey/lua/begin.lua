-- A history whose keys do not exist begins at a floor after every place of an earlier history, which
-- may have begun and ended in this millisecond. The floor's sequence number is the microsecond of
-- this millisecond times 1000: Valkey cannot add that many updates in the time. The floor becomes
-- the stream's last id, so the first update comes after it.
local keys = {}
keys.log, keys.ids, keys.state, keys.repeats, keys.floors, keys.emptied, keys.crowded, keys.every,
  keys.ends, keys.ends_due, keys.kept, keys.kept_due, keys.kept_changes = unpack(KEYS)

function fn.now_ms()
  memo.time = memo.time or redis.call('TIME')
  return memo.time[1] * 1000 + memo.time[2] / 1000
end

function fn.now_us()
  fn.now_ms()
  return memo.time[1] * 1000000 + memo.time[2]
end

function fn.forget_states()
  redis.call('UNLINK', keys.ends, keys.ends_due, keys.kept, keys.kept_due, keys.kept_changes)
end

function fn.begin()
  local floor = redis.call('HGET', keys.state, 'floor')
  if floor and redis.call('EXISTS', keys.log) == 1 then return floor end
  redis.call('DEL', keys.log, keys.ids, keys.state, keys.repeats)
  -- The lanes of an earlier index are found by its floors, and go in several steps (catch_up.lua).
  fn.forget_states()
  local ms = math.floor(fn.now_ms())
  floor = string.format('%.0f-%d', ms, memo.time[2] % 1000 * 1000)
  redis.call('XADD', keys.log, floor, 'begin', '')
  redis.call('XDEL', keys.log, floor)
  redis.call('HSET', keys.state, 'floor', floor, 'bytes', 0)
  return floor
end
