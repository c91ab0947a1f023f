-- Starts a run, unless its key has one that is running, or that has this id: then the claim was sent again.
-- Answers with the run (fn.answer_of) behind whether this has started it; or with what there is no room
-- for: runs or producers.
local key, id, name, topic, topics_json, runner = unpack(ARGV, ARGUMENTS + 1, ARGUMENTS + 6)
local lease, expires_ms = fn.read_lease(ARGUMENTS + 7), tonumber(ARGV[ARGUMENTS + 10])

local before = fn.run(key)
if before and (before.status == 'running' or before.id == id) then
  return {0, unpack(fn.answer_of(before))}
end
local is_other = redis.call('HEXISTS', keys.runs, key) == 0
local beyond = is_other and redis.call('HLEN', keys.runs) + 1 - most.runs or 0
if beyond > 0 and redis.call('ZCARD', keys.runs_ended) == 0 then return 'runs' end
local is_new = not fn.producer(name)
if is_new and not fn.has_room_for_producer() then return 'producers' end

fn.begin()
-- Also larger than that of each run of a history before this one.
local last_fence = tonumber(redis.call('HGET', keys.state, 'fence') or '0')
local fence = math.max(last_fence + 1, math.floor(fn.now_ms()))
redis.call('HSET', keys.state, 'fence', string.format('%.0f', fence))
redis.call('ZREM', keys.runs_ended, key)
local oldest = beyond > 0 and redis.call('ZPOPMIN', keys.runs_ended, math.min(beyond, MOST_EVICTED)) or {}
for i = 1, #oldest, 2 do redis.call('HDEL', keys.runs, oldest[i]) end
local run = {
  id = id,
  topic = topic,
  fence = fence,
  runner = runner,
  started_ms = math.floor(fn.now_ms()),
  status = 'running',
  expires_ms = expires_ms,
}
redis.call('HSET', keys.runs, key, cmsgpack.pack(run))
local state = {epoch = fence, next = 0, topics = topics_json, run = key, id = id}
fn.store_producer(name, state, lease, is_new)
return {1, unpack(fn.answer_of(run))}
