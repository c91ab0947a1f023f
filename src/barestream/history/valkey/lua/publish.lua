-- The answer is the place, or nothing if a different update has the id.
local id, digest = ARGV[4], ARGV[5]
begin()
if id ~= '' then
  local known = redis.call('HGET', ids, id)
  if known then
    local place, known_digest = string.match(known, '^(%S+) (%S+)$')
    return known_digest == digest and place
  end
end
local place = redis.call('XADD', log, '*', unpack(ARGV, 6))
redis.call('HINCRBY', state, 'bytes', (size({unpack(ARGV, 6)})))
if id ~= '' then redis.call('HSET', ids, id, place .. ' ' .. digest) end
trim(tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]))
return place
