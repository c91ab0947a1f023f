-- Returns the time in milliseconds; the time of the last change of a kept value that the answer has, in
-- microseconds; and some of the topics whose values have changed since a time, each followed by its
-- value, or nothing. If changes since then are missing, the answer has the last change alone.
local MOST_TOPICS = 100
fn.load()
local since = tonumber(ARGV[1])
local now_ms = string.format('%.0f', math.floor(fn.now_ms()))
local upto = string.format('%.0f', index.kept_us)
if since < index.kept_since_us or since > index.kept_us then return {now_ms, upto} end
local from = '(' .. string.format('%.0f', since)
local found = redis.call('ZRANGEBYSCORE', keys.kept_changes, from, '+inf', 'WITHSCORES', 'LIMIT', 0, MOST_TOPICS)
local changes = {}
for i = 1, #found, 2 do
  changes[i], changes[i + 1] = found[i], redis.call('HGET', keys.kept, found[i])
  upto = string.format('%.0f', tonumber(found[i + 1]))
end
return {now_ms, upto, changes, #found == 2 * MOST_TOPICS and 1 or 0}
