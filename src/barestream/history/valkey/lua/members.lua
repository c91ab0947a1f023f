-- How many members the sorted set of repeated ids has (repeats.lua).
function fn.members()
  memo.members = memo.members or redis.call('ZCARD', keys.repeats)
  return memo.members
end
