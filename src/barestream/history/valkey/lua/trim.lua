-- Drops the emptied lane with the lowest floor, and returns whether there was one.
function fn.drop_lane()
  local number = fn.lanes()
  local lowest = redis.call('ZPOPMIN', keys.emptied)[1]
  if not lowest then return false end
  local lane = string.sub(lowest, string.byte(lowest) - 64 + 2)
  local name = 'shared' .. fn.kind_of(lane)
  index[name] = fn.later(index[name], redis.call('HGET', keys.floors, lane))
  redis.call('HDEL', keys.floors, lane)
  memo.lanes = number - 1
  return true
end

-- Whether lanes without updates are to leave before updates.
function fn.has_many_lanes()
  if fn.lanes() > most.topics then return true end
  if fn.held_bytes() <= most.bytes then return false end
  return 4 * LANE_BYTES * redis.call('ZCARD', keys.emptied) > most.bytes
end

-- Removes the oldest updates that are beyond the bounds. The history still shrinks to smaller bounds
-- while it grows, because a script that adds entries may remove more than that.
function fn.trim()
  local oldest_ms = fn.now_ms() - most.ms
  local last
  while budget.units > 0 do
    while budget.units > 0 and fn.has_many_lanes() and fn.drop_lane() do fn.spend(0) end
    local is_beyond = log.length > most.events
      or fn.is_too_large()
      or (log.length > 1 and fn.lanes() > most.topics and not fn.is_stale())
    if not is_beyond and index.oldest_ms >= oldest_ms then break end
    local row = redis.call('XRANGE', keys.log, last and '(' .. last or '-', '+', 'COUNT', 1)[1]
    if not row then break end
    index.oldest_ms = fn.ms_of(row[1])
    if not is_beyond and index.oldest_ms >= oldest_ms then break end
    last = row[1]
    if fn.is_after(last, index.indexed) then
      -- Its lanes may need memory.
      redis.call('XDEL', keys.log, last)
      index.indexed = last
    end
    fn.let_go(last, fn.parsed(row[2]))
  end
  if last then
    redis.call('XTRIM', keys.log, 'MAXLEN', log.length)
    log.floor = fn.later(log.floor, last)
    if fn.members() > 0 then fn.sweep(last) end
  end
end

-- Does what is due by time, and removes what is beyond the bounds.
function fn.tidy()
  -- The floors of an earlier index are still there.
  if not index.is_cleared then return end
  if index.due_ms > 0 and index.due_ms <= fn.now_ms() then
    fn.expire_kept()
    if log.is_indexed then fn.cap_due() fn.forget_due() end
    fn.plan_again()
  end
  if log.is_indexed and index.ends > most.topics then
    fn.forget_topic(redis.call('ZRANGE', keys.ends_due, 0, 0)[1])
  end
  fn.trim()
  if fn.is_stale() then fn.purge() end
end
