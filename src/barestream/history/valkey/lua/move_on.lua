-- An entry after the place tells of lost updates: everybody who follows the log or resumes before
-- it. One worker's entry is enough for all whose places are before it. An old log may be at a place
-- of that millisecond, or after it: then the entry is after all of them.
begin()
local ms = tonumber(ARGV[1])
local lost = redis.call('HGET', state, 'lost')
local lost_ms = lost and tonumber(string.match(lost, '^%d+')) or 0
if lost_ms > ms and #redis.call('XRANGE', log, lost, lost) == 1 then return lost end
lost = redis.pcall('XADD', log, string.format('%.0f-0', ms + 1), 'lost', '')
if type(lost) == 'table' then lost = redis.call('XADD', log, '*', 'lost', '') end
redis.call('HSET', state, 'lost', lost)
return lost
