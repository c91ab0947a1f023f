-- This adds an entry after the place, which becomes a gap in every stream that follows the history
-- or resumes before it. One worker's entry is enough for all workers whose places are before it. The
-- history may already be at a place in that millisecond or later; then the entry follows its end.
-- The index gets it like an entry of another release.
fn.begin()
local ms = tonumber(ARGV[1])
local lost = redis.call('HGET', keys.state, 'lost')
local lost_ms = lost and tonumber(string.match(lost, '^%d+')) or 0
if lost_ms > ms and #redis.call('XRANGE', keys.log, lost, lost) == 1 then return lost end
lost = redis.pcall('XADD', keys.log, string.format('%.0f-0', ms + 1), 'lost', '')
if type(lost) == 'table' then lost = redis.call('XADD', keys.log, '*', 'lost', '') end
redis.call('HSET', keys.state, 'lost', lost)
return lost
