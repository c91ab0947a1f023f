-- What is to be done at a time: each of three sorted sets has its milliseconds as the scores. The
-- state has the earliest of all, or 0.
function fn.plan(set, ms, member)
  redis.call('ZADD', set, string.format('%.0f', ms), member)
  if index.due_ms == 0 or ms < index.due_ms then index.due_ms = math.floor(ms) end
end

function fn.plan_again()
  index.due_ms = 0
  for _, set in ipairs({keys.crowded, keys.ends_due, keys.kept_due}) do
    local ms = tonumber(redis.call('ZRANGE', set, 0, 0, 'WITHSCORES')[2])
    if ms and (index.due_ms == 0 or ms < index.due_ms) then index.due_ms = ms end
  end
end

function fn.due(set, number)
  local now = string.format('%.0f', math.floor(fn.now_ms()))
  return redis.call('ZRANGEBYSCORE', set, '-inf', now, 'LIMIT', 0, number)
end
