-- The answer has the floor of a reader and entries of one moment, whether the entries reach the end of
-- the history, and whether the place is known. The script reads a few entries at a time, because
-- they may be large. It is a script and not a transaction, because a Valkey whose memory is full
-- refuses transactions, but not reads.
local command, from, to = ARGV[1], ARGV[2], ARGV[3]
local most_events, most_bytes, reader = tonumber(ARGV[4]), tonumber(ARGV[5]), ARGV[6]
fn.load()
local floor, rows, bytes, known = fn.gone(), {}, 0, 1
if reader == 'public' then floor = index['gone+'] end
local after = string.match(from, '^%((.+)$')
if after and not fn.is_known(after) then known = 0 end
while #rows < most_events and bytes < most_bytes do
  local asked = math.min(16, most_events - #rows)
  local some = redis.call(command, keys.log, from, to, 'COUNT', asked)
  for _, row in ipairs(some) do
    if bytes >= most_bytes then break end
    rows[#rows + 1], bytes, from = row, bytes + fn.size(row[2]), '(' .. row[1]
  end
  if #some < asked and (#some == 0 or from == '(' .. some[#some][1]) then
    return {floor, rows, 1, known}
  end
end
return {floor, rows, 0, known}
