-- Adds an entry after the milliseconds of a place, which becomes a gap in every stream that follows the
-- history or resumes before it. One worker's entry is enough for all workers whose places are before it. The
-- history may already be at a place in that millisecond or later; then the entry follows its end.
-- The index gets it like an entry of another release.
function fn.report_loss(ms)
  local lost = redis.call('HGET', keys.state, 'lost')
  local lost_ms = lost and fn.ms_of(lost) or 0
  if lost_ms > ms and #redis.call('XRANGE', keys.log, lost, lost) == 1 then return lost end
  lost = redis.pcall('XADD', keys.log, string.format('%.0f-0', ms + 1), 'lost', '')
  if type(lost) == 'table' then lost = redis.call('XADD', keys.log, '*', 'lost', '') end
  redis.call('HSET', keys.state, 'lost', lost)
  return lost
end
