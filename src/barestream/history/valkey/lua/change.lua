-- Notes which subscriptions of a worker began and ended, and renews its lease (Registry.change). The
-- arguments: how many subscriptions there may be, and how many bytes their texts may have together; the
-- worker; the number of its last change that was answered; then the number of each kind, and what each of
-- them needs.
-- Answers with whether the worker was known, the number of this change, and how many were refused.
local at = ARGUMENTS
local most_subs, most_bytes = tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2])
local worker, given = ARGV[at + 3], tonumber(ARGV[at + 4])
at = at + 5

-- If the answer to a change was lost, the worker does not know its number. Any other number is that of
-- a history that was lost, or replaced by an older copy.
local owner, last = string.match(redis.call('HGET', keys.workers, worker) or '', '^(%d+ .*) (%d+)$')
last = tonumber(last)
local was_known = last == given or last == given + 1
if not was_known then
  if owner then redis.call('ZADD', keys.worker_leases, fn.whole(fn.now_ms()), owner) end
  owner = fn.whole(fn.now_us()) .. ' ' .. worker
end
redis.call('HSET', keys.workers, worker, owner .. ' ' .. fn.whole(given + 1))
redis.call('ZADD', keys.worker_leases, fn.whole(fn.now_ms()), owner)

local function each(size, call)
  local count = tonumber(ARGV[at])
  at = at + 1
  for _ = 1, count do
    call(at)
    at = at + size
  end
end

each(2, function(i)
  local name, state = fn.named_sub(ARGV[i])
  if state and not state.u then fn.go_away(name, state, tonumber(ARGV[i + 1])) end
end)

-- Returns the one that a new one takes the place of, if there is one. It looks at no more than some.
local MOST_LOOKED_AT = 64
local function awaited(person, selector, client)
  local prefix = person .. selector .. 'w'
  local found = redis.call('ZRANGEBYLEX', keys.sub_people, '[' .. prefix, '(' .. prefix .. BEHIND, 'LIMIT', 0, MOST_LOOKED_AT)
  local first
  for _, member in ipairs(found) do
    local name = string.sub(member, #prefix + 14)
    if not first then first = name end
    if client == '' then break end
    local state = fn.sub(name)
    if state and state.c == client then return name, state end
  end
  if first then return first, fn.sub(first) end
end

local function begin(key, selector, member, person, can_return, client, texts)
  local name, state = fn.named_sub(key)
  if not state and can_return then
    name, state = awaited(person, selector, client)
    if state then
      if state.k ~= name then redis.call('HDEL', keys.sub_names, state.k) end
      if key ~= name then redis.call('HSET', keys.sub_names, key, name) end
      state.k, state.c, state.p = key, client, 0
    end
  end
  if state then
    if state.u then
      state.o = owner
      fn.set_absence(name, state)
    elseif state.o ~= owner then
      state.o = owner
      fn.store_sub(name, state)
    end
    return true
  end
  if redis.call('HLEN', keys.subs) >= most_subs then return false end
  if (tonumber(redis.call('GET', keys.sub_bytes)) or 0) + #texts > most_bytes then return false end
  local is_twin = redis.call('HEXISTS', keys.subs, key) == 1
  state = {k = key, o = owner, s = selector, m = member, w = person, c = client, p = 0}
  local of_member, of_topic = fn.put_sub(is_twin and key .. '+' or key, state, texts)
  if not is_twin then fn.tell(texts, true, of_member, of_topic) end
  return true
end

local refused = 0
each(7, function(i)
  local key, selector, member, person, can_return, client, texts = unpack(ARGV, i, i + 6)
  if not begin(key, selector, member, person, can_return == '1', client, texts) then refused = refused + 1 end
end)

each(1, function(i)
  local name, state = fn.named_sub(ARGV[i])
  if state then fn.end_sub(name, state) end
end)

fn.close()
return {was_known and 1 or 0, given + 1, refused}
