-- How many places of a list are at or before a place.
function fn.position(key, place)
  local last = redis.call('LINDEX', key, -1)
  if not last then return 0 end
  local from, to = 0, redis.call('LLEN', key)
  if not fn.is_after(last, place) then return to end
  if fn.is_after(redis.call('LINDEX', key, 0), place) then return 0 end
  while from < to do
    local middle = math.floor((from + to) / 2)
    if fn.is_after(redis.call('LINDEX', key, middle), place) then
      to = middle
    else
      from = middle + 1
    end
  end
  return from
end

-- Returns the newest place that a lane has lost.
function fn.floor_of(lane)
  local floor = fn.later(index.blind, redis.call('HGET', keys.floors, lane) or fn.shared(lane))
  if fn.is_stale() then
    -- The newest of the places whose entries another release has removed.
    local key = PREFIX .. lane
    local stale = fn.position(key, log.floor)
    if stale > 0 then floor = fn.later(floor, redis.call('LINDEX', key, stale - 1)) end
  end
  return floor
end

-- Loads the history for a question about topics; returns whether the index has all entries. If not, it
-- gets some of them.
function fn.load_indexed()
  fn.load()
  if log.is_indexed then return true end
  fn.catch_up()
  fn.save()
  return log.is_indexed
end
