-- An id that several updates have has a member for each of them: the id, the place and the digest,
-- with a NUL between them, which no id contains. All scores are 0, so the members are in the order of
-- their bytes. Places are padded with zeros, so that this is also their order.
local function padded(place)
  local ms, seq = string.match(place, '^(%d+)%-(%d+)$')
  return string.rep('0', 15 - #ms) .. ms .. '-' .. string.rep('0', 20 - #seq) .. seq
end

local function unpadded(place)
  local ms, seq = string.match(place, '^0*(%d+)%-0*(%d+)$')
  return ms .. '-' .. seq
end

-- The number of members is asked for once.
local number
local function members()
  number = number or redis.call('ZCARD', repeats)
  return number
end

local function add_member(id, place, digest)
  local member = id .. '\0' .. padded(place) .. '\0' .. digest
  number = members() + redis.call('ZADD', repeats, 0, member)
end

local function remove_members(id, upto)
  local to = '(' .. id .. '\0' .. padded(upto) .. '\1'
  number = members() - redis.call('ZREMRANGEBYLEX', repeats, '[' .. id .. '\0', to)
end

-- Returns the padded place and the digest of the id's first member at a padded place or later.
local function first_member(id, from)
  local start = '[' .. id .. '\0' .. from
  local range = redis.call('ZRANGE', repeats, start, '(' .. id .. '\1', 'BYLEX', 'LIMIT', 0, 1)
  if range[1] then return string.match(range[1], '%z([%d-]+)%z(.+)$') end
end

-- Returns the place of the earliest update with the id, and the digest of the newest one. Updates up
-- to a place do not count, except where no other has the id. An older release leaves members of
-- trimmed updates, removes the id from ids with the first of its updates, and then may add a new
-- update to ids without a member. So the members and ids are brought into agreement here.
local function settle(id, upto)
  local known = redis.call('HGET', ids, id)
  local place, digest
  if known then place, digest = string.match(known, '^(%S+) (%S+)$') end
  if members() == 0 then return place, digest end
  remove_members(id, upto)
  if not first_member(id, '') then return place, digest end
  if place and padded(place) > padded(upto) and first_member(id, padded(place)) ~= padded(place) then
    add_member(id, place, digest)
  end
  if not digest then
    local to = '[' .. id .. '\0'
    local last = redis.call('ZRANGE', repeats, '(' .. id .. '\1', to, 'BYLEX', 'REV', 'LIMIT', 0, 1)
    digest = string.match(last[1], '%z([^%z]+)$')
  end
  local earliest = unpadded((first_member(id, '')))
  if earliest ~= place then redis.call('HSET', ids, id, earliest .. ' ' .. digest) end
  return earliest, digest
end

-- Returns by how much the number of ids shrinks with the entry at this place, the oldest one.
local function forget(id, place)
  if members() == 0 then return redis.call('HDEL', ids, id) end
  local earliest = settle(id, place)
  if not earliest or padded(earliest) > padded(place) then return 0 end
  return redis.call('HDEL', ids, id)
end

-- Removes one member at random if an older release has trimmed its update. So such members do not
-- stay for ever, and no call takes long.
local function sweep(floor)
  if members() == 0 then return end
  local member = redis.call('ZRANDMEMBER', repeats)
  local place = string.match(member, '%z([%d-]+)%z')
  if place <= padded(floor) then redis.call('ZREM', repeats, member) end
end
