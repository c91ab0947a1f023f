-- Ends subscriptions of a person, or sets how long they are waited for (Registry.leave). The arguments: the
-- digest of the person, and perhaps that of a selector behind it; the page's own name, or nothing; the
-- milliseconds; and what the call before has answered: the time, and the last member that it looked at.
-- Answers with how many there were, the time, and the last member if there may be more.
local at = ARGUMENTS
local prefix, client, after_ms = ARGV[at + 1], ARGV[at + 2], tonumber(ARGV[at + 3])
local since_ms, last = tonumber(ARGV[at + 4]) or math.floor(fn.now_ms()), ARGV[at + 5]
local MOST_ENTRIES = 20
local count = 0

local function leave(name)
  local state = fn.sub(name)
  if not state or (client ~= '' and state.c ~= client) then return false end
  count = count + 1
  if after_ms == 0 then
    fn.end_sub(name, state)
    return true
  elseif state.u then
    fn.set_absence(name, state, since_ms, after_ms)
  else
    state.p = after_ms
    fn.store_sub(name, state)
  end
end

local from = last ~= '' and '(' .. last or '[' .. prefix
local found = redis.call('ZRANGEBYLEX', keys.sub_people, from, '(' .. prefix .. BEHIND, 'LIMIT', 0, MOST_ENTRIES)
for _, member in ipairs(found) do
  local name = fn.name_of_person_member(member)
  -- A twin may have taken the place of one that was ended.
  repeat until not leave(name)
end
fn.close()
return {count, fn.whole(since_ms), #found == MOST_ENTRIES and found[#found] or ''}
