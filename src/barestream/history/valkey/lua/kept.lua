-- A topic's kept value is packed, with the time until which it is kept (0 without a limit), its place
-- and its size at the head.
function fn.kept_bytes_of(topic)
  local value = redis.call('HGET', keys.kept, topic)
  return value and tonumber(string.match(value, '^%d+ %S+ (%d+)'))
end

-- The topics of the newest changes of kept values are in a sorted set, by the times of these changes,
-- which only go forward: a worker that has the values of a time asks for the later ones alone.
local MOST_CHANGES = 1000

function fn.note_kept(topic)
  index.kept_us = math.max(index.kept_us + 1, fn.now_us())
  redis.call('ZADD', keys.kept_changes, string.format('%.0f', index.kept_us), topic)
  if redis.call('ZCARD', keys.kept_changes) > MOST_CHANGES then
    index.kept_since_us = tonumber(redis.call('ZPOPMIN', keys.kept_changes)[2])
  end
end

function fn.clear_kept(topic)
  local bytes = fn.kept_bytes_of(topic)
  redis.call('ZREM', keys.kept_due, topic)
  if not bytes then return end
  redis.call('HDEL', keys.kept, topic)
  index.kept, index.kept_bytes = index.kept - 1, index.kept_bytes - bytes
  fn.note_kept(topic)
end

function fn.keep(topic, keep_ms, place, bytes, fields)
  fn.clear_kept(topic)
  if keep_ms == 0 then return end
  local until_ms = keep_ms > 0 and math.floor(fn.now_ms() + keep_ms) or 0
  redis.call('HSET', keys.kept, topic, fn.packed(string.format('%.0f %s %.0f', until_ms, place, bytes), fields))
  index.kept, index.kept_bytes = index.kept + 1, index.kept_bytes + bytes
  fn.note_kept(topic)
  if until_ms > 0 then fn.plan(keys.kept_due, until_ms, topic) end
end

function fn.expire_kept()
  for _, topic in ipairs(fn.due(keys.kept_due, 200)) do fn.clear_kept(topic) end
end
