-- Removes a revocation, and returns it; nothing if there is none.
local table_key, due, state = unpack(KEYS)
local id, mark = unpack(ARGV)
local found = redis.call('HGET', table_key, id)
if found then
  redis.call('HDEL', table_key, id)
  redis.call('ZREM', due, id)
  redis.call('HINCRBY', state, 'changes', 1)
  redis.call('HSET', state, 'mark', mark)
end
return found
