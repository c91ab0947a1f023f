-- Ends topics whose producers did not come back in time, and forgets producers and runs whose time is over.
-- Answers with the time, the number of leases, the topics that it has ended, how many overdue leases it
-- has left, and whether there may be more. The arguments: the time up to which leases may be over, how
-- long they may be, how many overdue ones were left by the calls before, and the fields of the last
-- update (type and data).
local upto_ms, steady_ms = tonumber(ARGV[ARGUMENTS + 1]), tonumber(ARGV[ARGUMENTS + 2])
local left, kind, data = tonumber(ARGV[ARGUMENTS + 3]), ARGV[ARGUMENTS + 4], ARGV[ARGUMENTS + 5]
-- So no call takes long (Redis 7.0): to end 20 topics takes 0.5 ms, to pass over 100 leases 0.3 ms, to renew
-- 100 entries 0.9 ms, and to forget 100 of them 0.6 ms. Only after an outage are there so many.
local MOST_ENDED, MOST_ENTRIES = 20, 100
local is_more = 0

local function forget_old()
  local upto_us = string.format('%.0f', fn.now_us() - most.position_us)
  local old = redis.call('ZRANGEBYSCORE', keys.producers_used, '-inf', '(' .. upto_us, 'LIMIT', 0, MOST_ENTRIES)
  if #old > 0 then
    redis.call('HDEL', keys.producers, unpack(old))
    redis.call('ZREM', keys.producers_used, unpack(old))
  end
  local now = string.format('%.0f', math.floor(fn.now_ms()))
  old = redis.call('ZRANGEBYSCORE', keys.runs_ended, '-inf', now, 'LIMIT', 0, MOST_ENTRIES)
  if #old > 0 then
    redis.call('HDEL', keys.runs, unpack(old))
    redis.call('ZREM', keys.runs_ended, unpack(old))
  end
end

-- What was used in the future was used before the clock was set back: it is used now.
local function renew_future()
  local from = '(' .. string.format('%.0f', fn.now_us())
  for _, used in ipairs({keys.leases_used, keys.producers_used}) do
    local names = redis.call('ZRANGEBYSCORE', used, from, '+inf', 'LIMIT', 0, MOST_ENTRIES)
    if #names == MOST_ENTRIES then is_more = 1 end
    for _, name in ipairs(names) do
      -- So each of them leaves, and the calls come to an end.
      redis.call('ZREM', used, name)
      local state = fn.producer(name)
      if state then
        local lease = fn.lease_of(state)
        fn.note_use(name, lease, lease)
      else
        fn.forget_name(name)
      end
    end
  end
end

local topics = {}

-- Returns whether the lease of an entry is gone: its topic has ended.
local function interrupt(name, state)
  local number = #updates + 1
  local fields = {'v', '1', 'topics', state.topics, 'data', data, 'type', kind}
  if state.lease_private == '1' then fields[9], fields[10] = 'private', '1' end
  fields[#fields + 1], fields[#fields + 2] = 'end', string.format('%.0f', state.lease_ended_ms)
  local update = {id = '', end_ms = state.lease_ended_ms, fields = fields, entry = fn.parsed(fields)}
  updates[number] = update
  budget.units = budget.units + 2
  local err = fn.check(number, update)
  -- Its topic had ended before, and is to be forgotten first.
  if err == 'AGAIN' then return false end
  if not err then
    fn.add(number)
    topics[#topics + 1] = update.entry.topics[1]
  end
  fn.end_run(state, 'interrupted')
  state.topics = nil
  fn.store_producer(name, state)
  return true
end

-- Also a Valkey that refuses updates answers questions, but then no producer can come back. So while there
-- are leases, this is refused too: it is what probe.lua does, before the script's first write, because
-- Valkey checks only that one.
local has_leases = redis.call('ZCARD', keys.leases) > 0
if has_leases then redis.call('HSETNX', keys.state, 'floor', fn.begin()) end
if has_leases or redis.call('ZCARD', keys.producers_used) > 0 then renew_future() end
forget_old()
upto_ms = string.format('%.0f', math.floor(math.min(upto_ms, fn.now_ms())))
local names = redis.call('ZRANGEBYSCORE', keys.leases, '-inf', upto_ms, 'LIMIT', left, MOST_ENTRIES)
for i, name in ipairs(names) do
  if #topics == MOST_ENDED then
    is_more = 1
    break
  end
  local state = fn.producer(name)
  if not (state and state.lease_ms) then
    fn.forget_name(name)
  elseif state.lease_ms > steady_ms then
    left = left + 1
  else
    if not log.length then
      fn.load()
      fn.prepare()
    end
    if not interrupt(name, state) then left = left + 1 end
  end
  if i == MOST_ENTRIES then is_more = 1 end
end
if log.length then
  fn.tidy()
  fn.save()
end
local now = string.format('%.0f', math.floor(fn.now_ms()))
return {now, redis.call('ZCARD', keys.leases), topics, left, is_more}
