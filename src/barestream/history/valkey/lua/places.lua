-- The functions are in one table, and what a script has asked for once is in another: a function that
-- refers to many locals takes Lua longer to make than to run.
local fn, memo = {}, {}

-- A place is a string "ms-seq". Its numbers may have more digits than Lua's numbers can represent.
function fn.padded(place)
  local ms, seq = string.match(place, '^(%d+)%-(%d+)$')
  return string.rep('0', 15 - #ms) .. ms .. '-' .. string.rep('0', 20 - #seq) .. seq
end

function fn.unpadded(place)
  local ms, seq = string.match(place, '^0*(%d+)%-0*(%d+)$')
  return ms .. '-' .. seq
end

function fn.is_after(place, other)
  -- Until the year 2286, the milliseconds have 13 digits.
  if #place == #other and string.byte(place, 14) == 45 and string.byte(other, 14) == 45 then
    return place > other
  end
  local ms, seq = string.match(place, '^(%d+)%-(%d+)$')
  local other_ms, other_seq = string.match(other, '^(%d+)%-(%d+)$')
  if ms ~= other_ms then return #ms > #other_ms or (#ms == #other_ms and ms > other_ms) end
  return #seq > #other_seq or (#seq == #other_seq and seq > other_seq)
end

function fn.later(place, other)
  if fn.is_after(place, other) then return place end
  return other
end

function fn.ms_of(place)
  return tonumber(string.match(place, '^%d+'))
end
