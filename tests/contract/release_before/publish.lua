-- The answer is the place of the update or, for a retry, that of the earliest one with its id.
local id, digest, fields = ARGV[4], ARGV[5], {unpack(ARGV, 6)}
local floor = begin()
local earliest, newest_digest
if id ~= '' then
  earliest, newest_digest = settle(id, floor)
  if newest_digest == digest then return earliest end
  if earliest then fields[#fields + 1], fields[#fields + 2] = 'again', '1' end
end
local place = redis.call('XADD', log, '*', unpack(fields))
redis.call('HINCRBY', state, 'bytes', (size(fields)))
if id ~= '' then redis.call('HSET', ids, id, (earliest or place) .. ' ' .. digest) end
if earliest then
  -- Before the second update the id has no member.
  if not first_member(id, '') then add_member(id, earliest, newest_digest) end
  add_member(id, place, digest)
end
trim(tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]))
return place
