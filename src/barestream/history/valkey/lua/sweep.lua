-- Ends subscriptions that were away for too long, and lets those of lost workers go away
-- (Registry.sweep). The arguments: the time up to which leases and graces may be over, how long they may be,
-- the grace of those of lost workers, how long a lease is; and what the call before left: how many overdue
-- ones it has passed over, and the owner whose lease is over, with the cursor of its next subscriptions.
-- Answers with the time, the number of subscriptions, how many it has ended, an owner all of whose
-- own have gone away (empty if there is none, or it had none), whether there may be more, and what it leaves.
local at = ARGUMENTS
local upto_ms, steady_ms = tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2])
local grace_ms, lease_ms = tonumber(ARGV[at + 3]), tonumber(ARGV[at + 4])
local left, owner, cursor = tonumber(ARGV[at + 5]), ARGV[at + 6], ARGV[at + 7]
local now_ms = math.floor(fn.now_ms())
upto_ms = math.min(upto_ms, now_ms)
-- So no call takes long: to end 20 takes up to 10 ms if the history is full (see registry.py), and to let 100 go
-- away 3 ms.
local MOST_ENDED, MOST_ENTRIES = 20, 100
local is_more, ended, lost = 0, 0, ''

-- Also a Valkey that refuses updates answers questions, but then nobody can come back, and no worker can
-- renew its lease. So this is refused too, before the first write (see overdue.lua).
local has_some = redis.call('ZCARD', keys.worker_leases) > 0 or redis.call('ZCARD', keys.sub_due) > 0
if has_some then redis.call('HSETNX', keys.state, 'floor', fn.begin()) end

-- What began in the future began before the clock was set back: it begins now.
local from = '(' .. fn.whole(now_ms)
for _, each in ipairs(redis.call('ZRANGEBYSCORE', keys.worker_leases, from, '+inf', 'LIMIT', 0, MOST_ENTRIES)) do
  redis.call('ZADD', keys.worker_leases, fn.whole(now_ms), each)
  is_more = 1
end
for _, name in ipairs(redis.call('ZRANGEBYSCORE', keys.sub_away, from, '+inf', 'LIMIT', 0, MOST_ENTRIES)) do
  local state = fn.sub(name)
  if state then fn.set_absence(name, state, now_ms, state.g) else redis.call('ZREM', keys.sub_away, name) end
  is_more = 1
end

-- The worker of an owner whose lease is over is told that it is unknown, from the first step on. Since then
-- the owner has, below 0, how many of its own have gone away. Another worker's sweep may do the same.
if owner == '' and steady_ms >= lease_ms then
  local over = fn.whole(upto_ms - lease_ms)
  owner, cursor = redis.call('ZRANGEBYSCORE', keys.worker_leases, '-inf', over, 'LIMIT', 0, 1)[1] or '', '0'
  if owner ~= '' then
    redis.call('ZADD', keys.worker_leases, 'LT', 0, owner)
    local worker = string.match(owner, '^%d+ (.*)$')
    local value = redis.call('HGET', keys.workers, worker)
    if value and string.match(value, '^(%d+ .*) %d+$') == owner then redis.call('HDEL', keys.workers, worker) end
  end
end
if owner ~= '' then
  local found = redis.call('HSCAN', keys.sub_states, cursor, 'COUNT', MOST_ENTRIES)
  cursor = found[1]
  local gone = 0
  for i = 1, #found[2], 2 do
    local state = cmsgpack.unpack(found[2][i + 1])
    if not state.u and state.o == owner then
      fn.go_away(found[2][i], state, grace_ms)
      gone = gone + 1
    end
  end
  local before = tonumber(redis.call('ZSCORE', keys.worker_leases, owner))
  is_more = 1
  if cursor == '0' then
    redis.call('ZREM', keys.worker_leases, owner)
    if before and before < gone then lost = owner end
    owner = ''
  elseif before then
    redis.call('ZINCRBY', keys.worker_leases, -gone, owner)
  end
end

local names = redis.call('ZRANGEBYSCORE', keys.sub_due, '-inf', fn.whole(upto_ms), 'LIMIT', left, MOST_ENTRIES)
for _, name in ipairs(names) do
  if ended == MOST_ENDED then break end
  local state = fn.sub(name)
  if state and state.g > steady_ms then
    left = left + 1
  elseif state then
    fn.end_sub(name, state)
    ended = ended + 1
  else
    -- A twin that has taken the place of another, or what somebody has changed by hand.
    redis.call('ZREM', keys.sub_due, name)
  end
end
if ended == MOST_ENDED or #names == MOST_ENTRIES then is_more = 1 end
fn.close()
return {now_ms, redis.call('HLEN', keys.subs), ended, lost, is_more, left, owner, cursor}
