-- The entry of a producer and its topic has a digest of both as its name, so that no long topic is kept
-- several times. It is a map (cmsgpack):
--   epoch, next, last_id: its position (last_id is missing before the first update)
--   lease_ms, lease_private, lease_ended_ms, topics: its lease, and the topic as a JSON array; missing
--     without a lease
--   ended: the epoch and the next number as they were when an update of the producer ended the topic. The
--     note holds while they are the same: an older release goes on without changing it
--   run, id: the key of the run whose producer it is, and its id; missing if it is no run's
-- Entries without a lease are in a sorted set by the time of their last use, in microseconds; those with
-- one are in another such set, and in a third by the time when the lease is over, in milliseconds.
keys.producers, keys.producers_used, keys.leases, keys.leases_used, keys.runs, keys.runs_ended =
  unpack(KEYS, 14)
most.positions = tonumber(ARGV[9])
most.position_us = tonumber(ARGV[10]) * 1000
most.runs = tonumber(ARGV[11])
ARGUMENTS = 11

-- After a bound was made smaller, there may be thousands beyond it. Each call that adds one lets so many
-- go, which takes it a few microseconds: they become fewer, and no call takes long.
local MOST_EVICTED = 10

-- Returns the map that a value of a hash is, or nothing for what is none: somebody has changed it by hand.
function fn.unpacked(value)
  if not value then return end
  local is_map, map = pcall(cmsgpack.unpack, value)
  return is_map and type(map) == 'table' and map or nil
end

function fn.producer(name)
  return fn.unpacked(redis.call('HGET', keys.producers, name))
end

function fn.has_room_for_producer()
  return redis.call('HLEN', keys.producers) < most.positions
    or redis.call('ZCARD', keys.producers_used) > 0
end

-- Reads a lease from its arguments: its milliseconds, or nothing if there is none; whether the last
-- update is private; and for how many milliseconds the topic stays ended.
function fn.read_lease(at)
  local ms = tonumber(ARGV[at])
  return ms and {ms = ms, private = ARGV[at + 1], ended_ms = tonumber(ARGV[at + 2])}
end

function fn.lease_of(state)
  return state.lease_ms
    and {ms = state.lease_ms, private = state.lease_private, ended_ms = state.lease_ended_ms}
end

-- Returns a position as scripts answer with it; the last id is missing before the first update.
function fn.position_of(state)
  return {state.epoch, state.next, state.last_id}
end

local function numbers_of(state)
  return string.format('%.0f %.0f', state.epoch, state.next)
end

-- Whether a producer has ended the topic and added nothing since. A lease that came back with what it sends
-- again would end the topic a second time, once the topic was forgotten and others use it anew.
function fn.has_ended(state)
  return state.ended ~= nil and state.ended == numbers_of(state)
end

-- Notes whether it has.
function fn.note_end(state, ended)
  state.ended = ended and numbers_of(state) or nil
end

-- Notes that an entry was used, and that it has a lease or none from then on.
function fn.note_use(name, lease, had_lease)
  local now_us = string.format('%.0f', fn.now_us())
  if lease then
    if not had_lease then redis.call('ZREM', keys.producers_used, name) end
    redis.call('ZADD', keys.leases_used, now_us, name)
    redis.call('ZADD', keys.leases, string.format('%.0f', math.floor(fn.now_ms() + lease.ms)), name)
  else
    if had_lease then
      redis.call('ZREM', keys.leases, name)
      redis.call('ZREM', keys.leases_used, name)
    end
    redis.call('ZADD', keys.producers_used, now_us, name)
  end
end

-- Stores an entry that was used, with the lease that it has from then on. A new one takes the place of
-- the one without a lease that was used least recently, if there are too many.
function fn.store_producer(name, state, lease, is_new)
  if is_new then
    -- Of one that cannot be read, something may be left.
    if redis.call('HEXISTS', keys.producers, name) == 1 then fn.forget_name(name) end
    local beyond = redis.call('HLEN', keys.producers) + 1 - most.positions
    local oldest = beyond > 0 and redis.call('ZPOPMIN', keys.producers_used, math.min(beyond, MOST_EVICTED)) or {}
    for i = 1, #oldest, 2 do redis.call('HDEL', keys.producers, oldest[i]) end
  end
  local had_lease = state.lease_ms ~= nil
  state.lease_ms = lease and lease.ms
  state.lease_private = lease and lease.private
  state.lease_ended_ms = lease and lease.ended_ms
  redis.call('HSET', keys.producers, name, cmsgpack.pack(state))
  fn.note_use(name, lease, had_lease)
end

-- Forgets a name without an entry, or with one that cannot be read: somebody has changed it by hand.
function fn.forget_name(name)
  redis.call('HDEL', keys.producers, name)
  for _, set in ipairs({keys.producers_used, keys.leases, keys.leases_used}) do
    redis.call('ZREM', set, name)
  end
end
