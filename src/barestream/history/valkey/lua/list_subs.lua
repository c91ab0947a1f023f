-- Reads some subscriptions. The arguments: what (all, topic, person, one, counts), a digest of the selector, the
-- person or the id, and what the call before has answered. Answers with the newest place of the history; for counts, with
-- the number of members and of subscriptions; else with what the next call needs, empty if there is none,
-- and for each subscription its texts, the page's own name, and whether it is a twin.
local what, digest, after = ARGV[ARGUMENTS + 1], ARGV[ARGUMENTS + 2], ARGV[ARGUMENTS + 3]
local MOST_ENTRIES = 100

local function newest_place()
  local row = redis.call('XREVRANGE', keys.log, '+', '-', 'COUNT', 1)[1]
  if row then return row[1] end
  fn.load()
  return fn.gone()
end

local place, names, following = newest_place(), {}, ''
if what == 'counts' then
  local number = redis.call('ZLEXCOUNT', keys.sub_topics, '[' .. digest, '(' .. digest .. BEHIND)
  return {place, tonumber(redis.call('HGET', keys.sub_members, digest) or '0'), number}
elseif what == 'one' then
  names[1] = digest
elseif what == 'topic' or what == 'person' then
  local of_topic = what == 'topic'
  local key = of_topic and keys.sub_topics or keys.sub_people
  local from = after ~= '' and '(' .. after or '[' .. digest
  local found = redis.call('ZRANGEBYLEX', key, from, '(' .. digest .. BEHIND, 'LIMIT', 0, MOST_ENTRIES)
  for i, member in ipairs(found) do
    names[i] = of_topic and string.sub(member, 25) or fn.name_of_person_member(member)
  end
  if #found == MOST_ENTRIES then following = found[#found] end
else
  local found = redis.call('HSCAN', keys.sub_states, after ~= '' and after or '0', 'COUNT', MOST_ENTRIES)
  if found[1] ~= '0' then following = found[1] end
  for i = 1, #found[2], 2 do names[#names + 1] = found[2][i] end
end
local rows = {}
if #names > 0 then
  local texts = redis.call('HMGET', keys.subs, unpack(names))
  local states = redis.call('HMGET', keys.sub_states, unpack(names))
  for i, name in ipairs(names) do
    if texts[i] and states[i] then
      rows[#rows + 1] = {texts[i], cmsgpack.unpack(states[i]).c, #name > 16 and 1 or 0}
    end
  end
end
return {place, following, rows}
