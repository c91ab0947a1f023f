-- One call removes at most 100 entries, so that no call blocks Valkey for long. The history still
-- shrinks to smaller bounds, because each publish adds one entry and removes up to 100.
local function trim(most_events, most_bytes, most_ms)
  local ratio, update_bytes, id_bytes = WEIGHTS
  local oldest_ms = now_ms() - most_ms
  local kept = redis.call('XLEN', log)
  local bytes = tonumber(redis.call('HGET', state, 'bytes'))
  local named = redis.call('HLEN', ids)
  local gone, last = 0, nil
  while gone < 100 do
    local entry = redis.call('XRANGE', log, last and '(' .. last or '-', '+', 'COUNT', 1)[1]
    if not entry then break end
    local ms = tonumber(string.match(entry[1], '^%d+'))
    local held = ratio * bytes + update_bytes * kept + id_bytes * (named + members())
    local too_large = kept > 1 and held > most_bytes
    if not (kept > most_events or too_large or ms < oldest_ms) then break end
    local entry_bytes, id = size(entry[2])
    kept, bytes, gone, last = kept - 1, math.max(0, bytes - entry_bytes), gone + 1, entry[1]
    if id then named = named - forget(id, last) end
  end
  if last then
    redis.call('XTRIM', log, 'MAXLEN', kept)
    redis.call('HSET', state, 'floor', last, 'bytes', bytes)
    sweep(last)
  end
  return gone
end
