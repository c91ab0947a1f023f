-- The index follows the log. Another release, which does not know it, may have added entries and
-- removed some; and a log that such a release has left has no index at all.
function fn.clear()
  local some = redis.call('HSCAN', keys.floors, 0, 'COUNT', 200)[2]
  for i = 1, #some, 2 do
    redis.call('UNLINK', PREFIX .. some[i])
    redis.call('HDEL', keys.floors, some[i])
  end
  if redis.call('EXISTS', keys.floors) == 1 then return false end
  redis.call('UNLINK', keys.emptied, keys.crowded, keys.every)
  return true
end

-- Adds some entries to the index, and returns whether it has all.
function fn.catch_up()
  if log.is_new then fn.forget_states() end
  if not index.is_cleared then
    if not fn.clear() then return false end
    index.is_cleared = true
  end
  local bytes, number = 0, 0
  while number < 300 and bytes < 1000000 and budget.units > 0 do
    local rows = redis.call('XRANGE', keys.log, '(' .. index.indexed, '+', 'COUNT', 10)
    for _, row in ipairs(rows) do
      local entry = fn.parsed(row[2])
      fn.index(row[1], entry)
      number, bytes = number + 1 + math.floor(#entry.topics / 4), bytes + entry.bytes
    end
    if #rows < 10 then
      log.is_indexed = true
      return true
    end
  end
  return false
end

-- Removes places whose entries another release has removed from some lanes, and then from the next.
function fn.purge()
  local cursor, upto = string.match(index.swept or '', '^(%d+) (%S+)$')
  if not cursor then cursor, upto = '0', index.stale end
  local next_cursor, some = unpack(redis.call('HSCAN', keys.floors, cursor, 'COUNT', 50))
  for i = 1, #some, 2 do
    local key = PREFIX .. some[i]
    local first = redis.call('LINDEX', key, 0)
    while first and not fn.is_after(first, log.floor) do
      if budget.units <= 0 then
        index.swept = cursor .. ' ' .. upto
        return
      end
      fn.leave({some[i]}, first)
      fn.spend(0)
      first = redis.call('LINDEX', key, 0)
    end
  end
  if next_cursor ~= '0' then
    index.swept = next_cursor .. ' ' .. upto
  else
    index.swept = nil
    if upto == index.stale then index.stale = nil end
  end
end
