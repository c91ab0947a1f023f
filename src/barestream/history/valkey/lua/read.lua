-- Floor and entries of one moment, and whether they end where the log does. A few at a time, since
-- they may be large. In a script and not a transaction: a Valkey whose memory is full refuses
-- transactions, and what is there can be read all the same.
local command, from, to = ARGV[1], ARGV[2], ARGV[3]
local most_events, most_bytes = tonumber(ARGV[4]), tonumber(ARGV[5])
local floor, rows, bytes, known = begin(), {}, 0, 1
local after = string.match(from, '^%((.+)$')
if after and #redis.call('XRANGE', log, after, after) == 0 then
  -- A place before the history's begin need not have an entry: it may have been trimmed.
  local ms, seq = string.match(after, '^(%d+)-(%d+)$')
  local floor_ms, floor_seq = string.match(floor, '^(%d+)-(%d+)$')
  ms, floor_ms = tonumber(ms), tonumber(floor_ms)
  -- Sequence numbers may have more digits than a number of Lua's holds.
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
