-- The log and its index as a script sees and changes them: read once and written once. The scripts that
-- need no index (probe, find, move_on) do without them. The index is one field of the state
-- (cmsgpack), a map:
--   indexed, blind, shared+, shared-, gone+, gone-, gone_several: places (see broker.py)
--   places: how many places all lanes have
--   ends, kept, kept_bytes: how many there are, and how large the kept values are
--   dead_bytes, left_bytes: see memory.lua
--   kept_us: the time of the last change of a kept value, in microseconds; kept_since_us: the one up to
--     which changes may be missing in the set of changes (kept.lua)
--   due_ms: when something is due (due.lua); oldest_ms: no entry is older
--   mark: the length and the floor of the log after the last step of a script that knows the index.
--     They differ once another release has added or removed an entry.
--   stale, swept: see catch_up.lua; is_cleared: whether nothing of an earlier index is left
local log, index = {}, {}
local GONE = {'gone+', 'gone-', 'gone_several'}

function fn.load()
  log.length = redis.call('XLEN', keys.log)
  if log.length == 0 then fn.begin() end
  local values = redis.call('HMGET', keys.state, 'floor', 'bytes', 'index')
  if not values[1] then
    fn.begin()
    log.length, values = 0, redis.call('HMGET', keys.state, 'floor', 'bytes')
  end
  log.floor, log.bytes = values[1], tonumber(values[2])
  log.written_floor = log.floor
  if not values[3] then
    -- Nobody knows the topics of what has left the history before.
    log.is_new = true
    index.due_ms, index.oldest_ms, index.places = 0, 0, 0
    index.ends, index.kept, index.kept_bytes = 0, 0, 0
    index.dead_bytes, index.left_bytes = 0, 0
    index.kept_us, index.kept_since_us = fn.now_us(), fn.now_us()
    for _, name in ipairs({'indexed', 'blind', 'shared+', 'shared-', unpack(GONE)}) do
      index[name] = log.floor
    end
    return
  end
  index = cmsgpack.unpack(values[3])
  if index.mark == log.length .. ' ' .. log.floor then
    log.is_indexed = true
  elseif string.match(index.mark, ' (.+)$') ~= log.floor then
    -- Another release has removed entries. The index has the topics of those that it had.
    for _, name in ipairs(GONE) do index[name] = fn.later(index[name], log.floor) end
    index.stale = log.floor
    if fn.is_after(log.floor, index.indexed) then
      index.blind, index.indexed = log.floor, log.floor
    end
  end
end

function fn.packed_index()
  index.mark = (log.is_indexed and log.length or '-') .. ' ' .. log.floor
  return cmsgpack.pack(index)
end

function fn.save()
  local written = fn.packed_index()
  if log.floor == log.written_floor then
    redis.call('HSET', keys.state, 'bytes', string.format('%.0f', log.bytes), 'index', written)
  else
    local bytes = string.format('%.0f', log.bytes)
    redis.call('HSET', keys.state, 'floor', log.floor, 'bytes', bytes, 'index', written)
  end
end

-- Whether lanes may have places whose entries another release has removed.
function fn.is_stale()
  return index.stale ~= nil
end

-- The newest place that has left the history.
function fn.gone()
  return fn.later(log.floor, fn.later(index['gone+'], index['gone-']))
end

-- Whether the history gave this place: an entry is there, or one there or later has left.
function fn.is_known(place)
  return not fn.is_after(place, fn.gone()) or #redis.call('XRANGE', keys.log, place, place) == 1
end
