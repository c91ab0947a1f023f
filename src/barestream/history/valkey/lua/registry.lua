-- The subscriptions of all workers. The name of one is a digest of its id, 16 bytes; that of a twin
-- (subscription_table.py) has a + behind it. It has an entry in two hashes: its texts, a JSON array that
-- Python writes (subscription_codec.py), and its state, a map (cmsgpack):
--   k: the digest of the id that names it in changes; o: its owner, a worker in a term
--   s, m, w: digests of the selector, the member and the person (12 bytes); m and w may be empty
--   c: the page's own name; p: how long it is waited for at least, once it is away
--   a, g, u: since when it is away, its grace, and when that is over; missing while it is active
-- Where the digest k is not the name, a hash has k -> name. Two sorted sets have all scores 0: of the
-- selectors, with s, m (or zeros) and the name; and of the people, with w, s, a letter (a for active; w
-- and the time u for away) and the name. A hash has the number of members of each selector. Those that
-- are away are in two sorted sets, by u and by a.
-- The bytes of all texts together are counted.
-- A worker has its owner's name and the number of its last change in a hash, and its owner has the time of
-- its last change in a sorted set. A worker that was lost gets another owner: what it does not announce
-- again stays with the owner before, whose lease is over then.
keys.subs, keys.sub_states, keys.sub_names, keys.sub_topics, keys.sub_people, keys.sub_members,
  keys.sub_due, keys.sub_away, keys.workers, keys.worker_leases, keys.sub_bytes = unpack(KEYS, 14)
local NO_MEMBER, BEHIND = string.rep('\0', 12), string.rep('\255', 64)

function fn.whole(ms)
  return string.format('%.0f', math.floor(ms))
end

function fn.sub(name)
  local state = redis.call('HGET', keys.sub_states, name)
  return state and cmsgpack.unpack(state)
end

function fn.store_sub(name, state)
  redis.call('HSET', keys.sub_states, name, cmsgpack.pack(state))
end

-- Returns the name and the state of the subscription that a digest names in changes.
function fn.named_sub(key)
  local name = redis.call('HGET', keys.sub_names, key) or key
  local state = fn.sub(name)
  if state and state.k == key then return name, state end
end

function fn.topic_member(name, state)
  return state.s .. (state.m ~= '' and state.m or NO_MEMBER) .. name
end

function fn.person_member(name, state)
  local when = state.u and 'w' .. string.format('%013.0f', state.u) or 'a'
  return state.w .. state.s .. when .. name
end

-- Returns the name of the subscription that a member of the people's set is of.
function fn.name_of_person_member(member)
  local rest = string.sub(member, 25)
  return string.sub(rest, string.byte(rest) == 97 and 2 or 15)
end

function fn.has_sub(prefix)
  return #redis.call('ZRANGEBYLEX', keys.sub_topics, '[' .. prefix, '(' .. prefix .. BEHIND, 'LIMIT', 0, 1) > 0
end

-- Notes a subscription's state of being away.
function fn.note_absence(name, state)
  if not state.u then return end
  redis.call('ZADD', keys.sub_due, fn.whole(state.u), name)
  redis.call('ZADD', keys.sub_away, fn.whole(state.a), name)
end

-- Lets a subscription be away since a time, for so long; or be active, without a time.
function fn.set_absence(name, state, since_ms, grace_ms)
  if state.w ~= '' then redis.call('ZREM', keys.sub_people, fn.person_member(name, state)) end
  if state.u and not since_ms then
    redis.call('ZREM', keys.sub_due, name)
    redis.call('ZREM', keys.sub_away, name)
  end
  state.a, state.g = since_ms, since_ms and grace_ms
  state.u = since_ms and since_ms + grace_ms
  if state.w ~= '' then redis.call('ZADD', keys.sub_people, 0, fn.person_member(name, state)) end
  fn.note_absence(name, state)
  fn.store_sub(name, state)
end

function fn.go_away(name, state, grace_ms)
  fn.set_absence(name, state, math.floor(fn.now_ms()), math.max(grace_ms, state.p))
end

-- Adds a subscription. Returns whether it is the first of its member there, and of its selector.
function fn.put_sub(name, state, texts)
  local of_member = state.m ~= '' and not fn.has_sub(state.s .. state.m)
  local of_topic = not fn.has_sub(state.s)
  redis.call('HSET', keys.subs, name, texts)
  redis.call('INCRBY', keys.sub_bytes, #texts)
  fn.store_sub(name, state)
  redis.call('ZADD', keys.sub_topics, 0, fn.topic_member(name, state))
  if state.w ~= '' then redis.call('ZADD', keys.sub_people, 0, fn.person_member(name, state)) end
  if state.k ~= name then redis.call('HSET', keys.sub_names, state.k, name) end
  if of_member then redis.call('HINCRBY', keys.sub_members, state.s, 1) end
  fn.note_absence(name, state)
  return of_member, of_topic
end

-- Removes a subscription. Returns its texts, and whether it was the last of its member there, and of
-- its selector.
function fn.drop_sub(name, state)
  local texts = redis.call('HGET', keys.subs, name)
  redis.call('HDEL', keys.subs, name)
  if redis.call('DECRBY', keys.sub_bytes, texts and #texts or 0) <= 0 then redis.call('DEL', keys.sub_bytes) end
  redis.call('HDEL', keys.sub_states, name)
  redis.call('ZREM', keys.sub_topics, fn.topic_member(name, state))
  if state.w ~= '' then redis.call('ZREM', keys.sub_people, fn.person_member(name, state)) end
  if state.k ~= name then redis.call('HDEL', keys.sub_names, state.k) end
  if state.u then
    redis.call('ZREM', keys.sub_due, name)
    redis.call('ZREM', keys.sub_away, name)
  end
  local of_member = state.m ~= '' and not fn.has_sub(state.s .. state.m)
  if of_member and redis.call('HINCRBY', keys.sub_members, state.s, -1) <= 0 then
    redis.call('HDEL', keys.sub_members, state.s)
  end
  return texts, of_member, not fn.has_sub(state.s)
end

function fn.tell_one(topics, kind, data)
  local fields = {'v', '1', 'topics', topics, 'data', data}
  if kind ~= '' then fields[7], fields[8] = 'type', kind end
  fields[#fields + 1], fields[#fields + 2] = 'private', '1'
  local number = #updates + 1
  updates[number] = {id = '', fields = fields, entry = fn.parsed(fields)}
  budget.units = budget.units + 2
  fn.add(number)
end

-- Publishes what tells that a subscription begins or ends.
function fn.tell(texts, begins, of_member, of_topic)
  if not log.length then
    fn.load()
    fn.prepare()
  end
  local whole = cjson.decode(texts)
  for _, notice in ipairs(whole[8]) do
    local topics, before, after, kind = unpack(notice)
    fn.tell_one(topics, kind, before .. (begins and 'true' or 'false') .. after)
  end
  local presence, member_data, occupancy, occupancy_data = unpack(whole, 9, 12)
  if of_member and presence ~= '' then
    fn.tell_one(presence, begins and 'barestream.joined' or 'barestream.left', member_data)
  end
  if of_topic and occupancy ~= '' then
    fn.tell_one(occupancy, begins and 'barestream.occupied' or 'barestream.vacated', occupancy_data)
  end
end

-- Ends a subscription. A twin takes its place, if there is one, and then nothing is told.
function fn.end_sub(name, state)
  local texts, of_member, of_topic = fn.drop_sub(name, state)
  if #name > 16 then return end
  local twin = fn.sub(name .. '+')
  if twin then
    fn.put_sub(name, twin, fn.drop_sub(name .. '+', twin), nil)
  elseif texts then
    fn.tell(texts, false, of_member, of_topic)
  end
end

-- Ends what a script does with the history.
function fn.close()
  if not log.length then return end
  fn.tidy()
  fn.save()
end
