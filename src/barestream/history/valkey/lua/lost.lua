-- Adds an entry after the milliseconds of a place, which becomes a gap in every stream that follows the
-- history or resumes before it. One worker's entry is enough for all workers whose places are not after what
-- it reports: its value says up to which milliseconds that is. Its own place says too much after a failover,
-- which leaves places out (raise.lua). The history may already be at a place in the next millisecond or later;
-- then the entry follows its end, and reports all up to the time that is given.
-- The index gets it like an entry of another release.
function fn.report_loss(ms, time)
  local lost = redis.call('HGET', keys.state, 'lost')
  local row = lost and redis.call('XRANGE', keys.log, lost, lost)[1]
  -- Another release has written no value.
  local told = row and (tonumber(row[2][2]) or fn.ms_of(lost) - 1)
  if told and told >= ms then return end
  lost = redis.pcall('XADD', keys.log, string.format('%.0f-0', ms + 1), 'lost', string.format('%.0f', ms))
  if type(lost) == 'table' then
    lost = redis.call('XADD', keys.log, '*', 'lost', string.format('%.0f', math.max(ms, time)))
  end
  redis.call('HSET', keys.state, 'lost', lost)
end
