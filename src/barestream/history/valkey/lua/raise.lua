-- Gives every later update a place after those that an earlier primary may have given, and every later run a
-- larger fence. A replica that has become the primary may lack the newest of them, and its clock may be
-- behind. The arguments: the newest place that the worker has read, or that an update of its publishers got;
-- in milliseconds, what the clock of the earlier primary shows now, how far behind that one this clock may be,
-- and for how long the earlier primary may go on. If this clock is further behind, one of the two is set
-- wrongly, and only the place counts: places far in the future would keep updates too long. If the place is
-- lost, every stream is told so, because no worker may have read it. The answer is 1 then, else 0.
local place, clock = ARGV[1], tonumber(ARGV[2])
local most_behind, overlap = tonumber(ARGV[3]), tonumber(ARGV[4])
local given = fn.ms_of(place)
fn.begin()
fn.load()
local is_lost = not fn.is_known(place)
if clock > fn.now_ms() + most_behind then clock = 0 end
-- After a place ahead of the clock, the next ones have the same milliseconds.
local ms = math.max(given, clock) + overlap + 1
-- This is the first write in any case: Valkey checks only this one.
local fence = tonumber(redis.call('HGET', keys.state, 'fence') or '0')
redis.call('HSET', keys.state, 'fence', string.format('%.0f', math.max(fence, ms)))
local floor = string.format('%.0f-0', ms)
-- It fails if the history is at that place already, or after it.
if type(redis.pcall('XADD', keys.log, floor, 'begin', '')) ~= 'table' then
  redis.call('XDEL', keys.log, floor)
end
if is_lost then fn.report_loss(place, string.format('%.0f-0', clock)) end
return is_lost and 1 or 0
