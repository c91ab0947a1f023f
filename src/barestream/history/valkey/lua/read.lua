-- The answer has the floor and entries of one moment, and whether the entries reach the end of the
-- history. The script reads a few entries at a time, because they may be large. It is a script and
-- not a transaction, because a Valkey whose memory is full refuses transactions, but not reads.
local command, from, to = ARGV[1], ARGV[2], ARGV[3]
local most_events, most_bytes = tonumber(ARGV[4]), tonumber(ARGV[5])
local floor, rows, bytes, known = begin(), {}, 0, 1
local after = string.match(from, '^%((.+)$')
if after and #redis.call('XRANGE', log, after, after) == 0 then
  -- A place before the floor is known even without an entry, because that may have been trimmed.
  local ms, seq = string.match(after, '^(%d+)-(%d+)$')
  local floor_ms, floor_seq = string.match(floor, '^(%d+)-(%d+)$')
  ms, floor_ms = tonumber(ms), tonumber(floor_ms)
  -- Sequence numbers may have more digits than Lua's numbers can represent.
  local is_before = #seq < #floor_seq or (#seq == #floor_seq and seq <= floor_seq)
  known = (ms < floor_ms or (ms == floor_ms and is_before)) and 1 or 0
end
while #rows < most_events and bytes < most_bytes do
  local asked = math.min(16, most_events - #rows)
  local some = redis.call(command, log, from, to, 'COUNT', asked)
  for _, row in ipairs(some) do
    if bytes >= most_bytes then break end
    rows[#rows + 1], bytes, from = row, bytes + size(row[2]), '(' .. row[1]
  end
  if #some < asked and (#some == 0 or from == '(' .. some[#some][1]) then
    return {floor, rows, 1, known}
  end
end
return {floor, rows, 0, known}
