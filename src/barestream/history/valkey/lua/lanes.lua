-- A lane is a kind ('+' for public, '-' for private) and a topic. It has a list of the places of its
-- updates, and its floor in the hash of floors. A lane without places is in the sorted set of
-- emptied lanes, in the order of their floors: the score is the milliseconds, and the member begins
-- with the sequence number, behind a letter for its length.
local PREFIX = '{barestream}:'

function fn.lanes()
  memo.lanes = memo.lanes or redis.call('HLEN', keys.floors)
  return memo.lanes
end

function fn.kind_of(lane)
  return string.sub(lane, 1, 1)
end

function fn.shared(lane)
  return index['shared' .. fn.kind_of(lane)]
end

function fn.emptied_member(lane, floor)
  local seq = string.match(floor, '%d+$')
  return string.char(64 + #seq) .. seq .. lane
end

-- Removes a place from a list, and returns whether it was there. Most are the first.
function fn.take(key, place)
  local first = redis.call('LPOP', key)
  if first == place then return true end
  if not first then return false end
  redis.call('LPUSH', key, first)
  return fn.is_after(place, first) and redis.call('LREM', key, 1, place) == 1
end

-- Raises the floors of some lanes to a place, which they lose. A lane that another release has filled
-- may not be in the index.
function fn.leave(names, place)
  local had, number = {}, fn.lanes()
  for i, lane in ipairs(names) do
    had[i] = fn.take(PREFIX .. lane, place)
    if had[i] then index.places = index.places - 1 end
  end
  local risen, empty = {}, {}
  for i, before in ipairs(redis.call('HMGET', keys.floors, unpack(names))) do
    local lane = names[i]
    local floor = fn.later(place, before or fn.shared(lane))
    if not before then number = number + 1 end
    if floor ~= before then risen[#risen + 1], risen[#risen + 2] = lane, floor end
    if (had[i] or floor ~= before) and redis.call('EXISTS', PREFIX .. lane) == 0 then
      if before and not had[i] then
        redis.call('ZREM', keys.emptied, fn.emptied_member(lane, before))
      end
      empty[#empty + 1] = string.match(floor, '^%d+')
      empty[#empty + 1] = fn.emptied_member(lane, floor)
    end
  end
  if #risen > 0 then redis.call('HSET', keys.floors, unpack(risen)) end
  if #empty > 0 then redis.call('ZADD', keys.emptied, unpack(empty)) end
  memo.lanes = number
end

-- Adds a place to a lane, and returns how many it has. A script that failed may have added it.
function fn.enter(lane, place)
  local number, key = fn.lanes(), PREFIX .. lane
  if not log.is_indexed and redis.call('LINDEX', key, -1) == place then return 0 end
  local length = redis.call('RPUSH', key, place)
  index.places = index.places + 1
  if length == 1 then
    if redis.call('HSETNX', keys.floors, lane, fn.shared(lane)) == 1 then
      memo.lanes = number + 1
    else
      redis.call('ZREM', keys.emptied, fn.emptied_member(lane, redis.call('HGET', keys.floors, lane)))
    end
  end
  return length
end

-- Adds places of one script to a lane that is in the index with all before them.
function fn.enter_all(lane, places)
  fn.enter(lane, places[1])
  if #places > 1 then
    redis.call('RPUSH', PREFIX .. lane, unpack(places, 2))
    index.places = index.places + #places - 1
  end
end

-- Adds an entry that is newer than the others to the index. Lanes that have too many places by that lose
-- some at once; or all its lanes are added to a list, and lose them later.
function fn.index(place, entry, capped_later)
  if #entry.topics == 0 then redis.call('RPUSH', keys.every, place) end
  for _, topic in ipairs(entry.topics) do
    local lane = entry.kind .. topic
    local length = fn.enter(lane, place)
    if capped_later then
      capped_later[#capped_later + 1] = lane
    elseif length > most.topic_events then
      fn.cap(lane, length)
    end
  end
  index.indexed = place
end
