-- Answers whether a reader at a place may have missed something: updates after it have left the
-- history, or the history has not given it (fn.is_known). It looks at no more than that takes,
-- because each worker asks at each read.
local log, state, place = KEYS[1], KEYS[2], ARGV[1]
local values = redis.call('HMGET', state, 'floor', 'index')
local gone = values[1]
if not gone then return 1 end
if values[2] then
  local index = cmsgpack.unpack(values[2])
  gone = fn.later(gone, fn.later(index['gone+'], index['gone-']))
end
if gone == place then return 0 end
if fn.is_after(gone, place) or #redis.call('XRANGE', log, place, place) == 0 then return 1 end
return 0
