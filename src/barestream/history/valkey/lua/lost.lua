-- Adds an entry after the milliseconds of a place, which becomes a gap in every stream that follows the
-- history or resumes before it. One worker's entry is enough for all workers whose places are not after what
-- it reports: its value is the last place of that. Its own place says too much after a failover, which leaves
-- places out (raise.lua). The history may already be at a place in the next millisecond or later; then the
-- entry follows its end, and reports all up to the place that is given as the second one.
-- The index gets it like an entry of another release.
function fn.report_loss(place, upto)
  local lost = redis.call('HGET', keys.state, 'lost')
  local row = lost and redis.call('XRANGE', keys.log, lost, lost)[1]
  if row then
    -- Another release has written no value.
    local told = string.match(row[2][2], '^%d+%-%d+$') or string.format('%.0f-0', fn.ms_of(lost))
    if not fn.is_after(place, told) then return end
  end
  lost = redis.pcall('XADD', keys.log, string.format('%.0f-0', fn.ms_of(place) + 1), 'lost', place)
  if type(lost) == 'table' then
    lost = redis.call('XADD', keys.log, '*', 'lost', fn.later(place, upto))
  end
  redis.call('HSET', keys.state, 'lost', lost)
end
