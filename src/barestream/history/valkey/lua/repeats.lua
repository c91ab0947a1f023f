-- An id that several updates have has a member for each of them: the id, the place and the digest,
-- with a NUL between them, which no id contains. All scores are 0, so the members are in the order of
-- their bytes. Places are padded with zeros, so that this is also their order.

function fn.add_member(id, place, digest)
  local member = id .. '\0' .. fn.padded(place) .. '\0' .. digest
  memo.members = fn.members() + redis.call('ZADD', keys.repeats, 0, member)
end

function fn.remove_members(id, upto)
  local to = '(' .. id .. '\0' .. fn.padded(upto) .. '\1'
  memo.members = fn.members() - redis.call('ZREMRANGEBYLEX', keys.repeats, '[' .. id .. '\0', to)
end

-- Returns the padded place and the digest of the id's first member at a padded place or later.
function fn.first_member(id, from)
  local start = '[' .. id .. '\0' .. from
  local range = redis.call('ZRANGE', keys.repeats, start, '(' .. id .. '\1', 'BYLEX', 'LIMIT', 0, 1)
  if range[1] then return string.match(range[1], '%z([%d-]+)%z(.+)$') end
end

function fn.newest_digest_of(id)
  local from, to = '(' .. id .. '\1', '[' .. id .. '\0'
  local last = redis.call('ZRANGE', keys.repeats, from, to, 'BYLEX', 'REV', 'LIMIT', 0, 1)[1]
  return string.match(last, '%z([^%z]+)$')
end

-- Returns the place of the earliest update with the id, and the digest of the newest one. Updates up
-- to a place do not count, except where no other has the id. An older release leaves members of
-- trimmed updates, removes the id from ids with the first of its updates, and then may add a new
-- update to ids without a member. So the members and ids are brought into agreement here.
function fn.settle(id, upto)
  local known = redis.call('HGET', keys.ids, id)
  local place, digest
  if known then place, digest = string.match(known, '^(%S+) (%S+)$') end
  if fn.members() == 0 then return place, digest end
  fn.remove_members(id, upto)
  if not fn.first_member(id, '') then return place, digest end
  if place and fn.padded(place) > fn.padded(upto) and fn.first_member(id, fn.padded(place)) ~= fn.padded(place) then
    fn.add_member(id, place, digest)
  end
  digest = digest or fn.newest_digest_of(id)
  local earliest = fn.unpadded((fn.first_member(id, '')))
  if earliest ~= place then redis.call('HSET', keys.ids, id, earliest .. ' ' .. digest) end
  return earliest, digest
end

-- Returns by how much the number of ids shrinks as the update at this place leaves. Others with its id
-- may be before it.
function fn.forget(id, place, floor)
  local earliest = fn.settle(id, floor)
  if fn.members() == 0 or not fn.first_member(id, '') then
    return earliest == place and redis.call('HDEL', keys.ids, id) or 0
  end
  local member = id .. '\0' .. fn.padded(place) .. '\0'
  local to = '(' .. id .. '\0' .. fn.padded(place) .. '\1'
  memo.members = fn.members() - redis.call('ZREMRANGEBYLEX', keys.repeats, '[' .. member, to)
  earliest = fn.first_member(id, '')
  if not earliest then return redis.call('HDEL', keys.ids, id) end
  redis.call('HSET', keys.ids, id, fn.unpadded(earliest) .. ' ' .. fn.newest_digest_of(id))
  return 0
end

-- Removes one member at random if an older release has trimmed its update. So such members do not
-- stay for ever, and no call takes long.
function fn.sweep(floor)
  local member = redis.call('ZRANDMEMBER', keys.repeats)
  local place = string.match(member, '%z([%d-]+)%z')
  if place <= fn.padded(floor) then redis.call('ZREM', keys.repeats, member) end
end
