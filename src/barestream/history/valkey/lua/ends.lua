-- The end of a topic has the time until which it stays; the place and the kind of the update that ended
-- it; how far the topic is forgotten, as a kind and a place; and the update's topics.
function fn.finish(topic, end_ms, place, entry)
  local until_ms = math.floor(fn.now_ms() + end_ms)
  local head = string.format('%.0f %s%s +0-0 ', until_ms, entry.kind, place)
  redis.call('HSET', keys.ends, topic, head .. entry.topics_json)
  index.ends = index.ends + 1
  fn.plan(keys.ends_due, until_ms, topic)
end

function fn.ended_until(value)
  return tonumber(string.match(value, '^%d+'))
end

-- Removes the updates of a lane whose first topic is the lane's, from a place on. Returns the place of
-- the last one that was looked at if there may be more.
function fn.forget_lane(lane, topic, after)
  local key = PREFIX .. lane
  local from = fn.position(key, after)
  while true do
    local place = redis.call('LINDEX', key, from)
    if not place then return end
    if budget.units <= 0 then return after end
    local entry = fn.entry_at(place)
    if entry and entry.topics[1] == topic then
      fn.remove(place, entry)
    else
      from = from + 1
      fn.spend(0)
    end
    after = place
  end
end

-- Forgets an ended topic: the updates whose first topic it is, its kept value and its end. Returns
-- whether that is done; if not, a later script goes on.
function fn.forget_topic(topic)
  if not log.is_indexed then return false end
  redis.call('ZREM', keys.ends_due, topic)
  local value = redis.call('HGET', keys.ends, topic)
  if not value then return true end
  local until_ms, place, kind, after, rest = string.match(value, '^(%d+) (%S+) ([+-])(%S+)(.*)$')
  for _, each in ipairs({'+', '-'}) do
    if each == kind then
      local left_off = fn.forget_lane(kind .. topic, topic, after)
      if left_off then
        local head = until_ms .. ' ' .. place .. ' ' .. kind .. left_off
        redis.call('HSET', keys.ends, topic, head .. rest)
        fn.plan(keys.ends_due, tonumber(until_ms), topic)
        return false
      end
      kind, after = '-', '0-0'
    end
  end
  redis.call('HDEL', keys.ends, topic)
  index.ends = index.ends - 1
  fn.clear_kept(topic)
  return true
end

function fn.forget_due()
  for _, topic in ipairs(fn.due(keys.ends_due, 10)) do
    if budget.units <= 0 then return end
    fn.forget_topic(topic)
  end
end
