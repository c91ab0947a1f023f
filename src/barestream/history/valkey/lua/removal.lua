-- Lets an update leave the index, the ids and the counts; its entry leaves the log by the caller. A
-- Valkey whose memory is full refuses a script's first write if that may need memory. So a removal
-- begins with one that frees memory.
function fn.let_go(place, entry)
  local names = {}
  for i, topic in ipairs(entry.topics) do names[i] = entry.kind .. topic end
  if #names == 0 then
    -- Every reader was to get it, and none can tell that it has not.
    fn.take(keys.every, place)
    index.blind = fn.later(index.blind, place)
    for _, name in ipairs(GONE) do index[name] = fn.later(index[name], place) end
  else
    fn.leave(names, place)
    index['gone' .. entry.kind] = fn.later(index['gone' .. entry.kind], place)
    if entry.kind == '-' and #entry.topics > 1 then
      index.gone_several = fn.later(index.gone_several, place)
    end
  end
  log.bytes = math.max(0, log.bytes - entry.bytes)
  log.length = log.length - 1
  index.left_bytes = index.left_bytes + fn.log_bytes(entry.bytes, 1)
  if entry.id then
    fn.named()
    memo.ids = memo.ids - fn.forget(entry.id, place, log.floor)
  end
  fn.spend(#entry.topics)
end

-- Removes an update at any place. If none is before it, the floor rises too: that is all that a
-- release without an index knows of it.
function fn.remove(place, entry)
  redis.call('XDEL', keys.log, place)
  index.dead_bytes = index.dead_bytes + fn.log_bytes(entry.bytes, 1)
  fn.let_go(place, entry)
  if #redis.call('XRANGE', keys.log, '-', '(' .. place, 'COUNT', 1) == 0 then
    log.floor = fn.later(log.floor, place)
  end
end
