-- The memory of the history by its weights. A node of the stream, of up to 4 KiB, is freed only when all
-- its entries are gone: those that were removed between others (dead) may still take theirs. How much
-- that is at most is computed from the number of nodes, once a hundredth of the bound has left the
-- log since that was done. Few nodes do not count.
local RATIO, UPDATE_BYTES, ID_BYTES, LANE_BYTES, PLACE_BYTES = WEIGHTS
local NODE_BYTES = 4200
local FEW_BYTES = 16 * NODE_BYTES

function fn.named()
  memo.ids = memo.ids or redis.call('HLEN', keys.ids)
  return memo.ids + fn.members()
end

function fn.log_bytes(size_bytes, updates)
  return RATIO * size_bytes + UPDATE_BYTES * updates
end

function fn.held_bytes()
  local held = fn.log_bytes(log.bytes, log.length) + ID_BYTES * fn.named()
  held = held + LANE_BYTES * fn.lanes() + PLACE_BYTES * index.places
  return held + math.max(0, index.dead_bytes - FEW_BYTES)
end

function fn.count_dead()
  local figures = redis.call('XINFO', 'STREAM', keys.log)
  for i = 1, #figures, 2 do
    if figures[i] == 'radix-tree-keys' then
      local most_dead = figures[i + 1] * NODE_BYTES - fn.log_bytes(log.bytes, log.length)
      index.dead_bytes = math.max(0, math.min(index.dead_bytes, math.floor(most_dead)))
    end
  end
  index.left_bytes = 0
end

function fn.is_too_large()
  local is_beyond = log.length > 1 and fn.held_bytes() > most.bytes
  if is_beyond and index.dead_bytes > FEW_BYTES and index.left_bytes > most.bytes / 100 then
    fn.count_dead()
    is_beyond = fn.held_bytes() > most.bytes
  end
  return is_beyond
end
