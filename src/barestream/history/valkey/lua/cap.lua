-- Removes the oldest updates of a lane that has too many. Those whose first topic is another one leave
-- the lane alone. What is too young, or too much work for one script, is left for a later one.
function fn.cap(lane, length)
  local key, topic = PREFIX .. lane, string.sub(lane, 2)
  while length > most.topic_events do
    local oldest = redis.call('LINDEX', key, 0)
    local due_ms = fn.ms_of(oldest) + most.topic_ms
    if due_ms > fn.now_ms() or budget.units <= 0 then
      fn.plan(keys.crowded, due_ms, lane)
      return
    end
    local entry = fn.entry_at(oldest)
    if entry and entry.topics[1] == topic then
      fn.remove(oldest, entry)
    else
      fn.leave({lane}, oldest)
      if fn.kind_of(lane) == '-' then index.gone_several = fn.later(index.gone_several, oldest) end
      fn.spend(1)
    end
    length = length - 1
  end
end

function fn.cap_due()
  for _, lane in ipairs(fn.due(keys.crowded, 10)) do
    redis.call('ZREM', keys.crowded, lane)
    fn.cap(lane, redis.call('LLEN', PREFIX .. lane))
    fn.spend(1)
  end
end

-- Removes what some lanes have too many of.
function fn.cap_all(lanes)
  for _, lane in ipairs(lanes) do
    local length = redis.call('LLEN', PREFIX .. lane)
    if length > most.topic_events then fn.cap(lane, length) end
  end
end
