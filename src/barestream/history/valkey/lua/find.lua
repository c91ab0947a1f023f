-- The answer has only place, topics, privacy and form. With the data of an update that the client may
-- not read, the answer would take longer, and a client could find out that the id exists. The script
-- writes nothing to a history that exists: a Valkey that accepts no updates answers it too.
local id, from, most = ARGV[1], fn.padded(ARGV[2]), tonumber(ARGV[3])
local floor = fn.padded(fn.begin())
if from < floor then from = floor end
-- No update has such an id, but it could be the beginning of a member.
if string.find(id, '%z') then return {} end
local places = {}
local start = '(' .. id .. '\0' .. from .. '\1'
local range = redis.call('ZRANGE', keys.repeats, start, '(' .. id .. '\1', 'BYLEX', 'LIMIT', 0, most)
local known = redis.call('HGET', keys.ids, id)
local known_place = known and fn.padded(string.match(known, '^%S+'))
for _, member in ipairs(range) do
  places[#places + 1] = string.match(member, '%z([%d-]+)%z')
  if places[#places] == known_place then known_place = nil end
end
-- An id that was used once has no member. An update that an older release added under a repeated id
-- has none either; it is the newest.
if known_place and known_place > from and #places < most then
  places[#places + 1] = known_place
end
local rows = {}
for _, each in ipairs(places) do
  local place = fn.unpadded(each)
  local row = redis.call('XRANGE', keys.log, place, place)[1]
  if row then
    local found = {}
    for i = 1, #row[2], 2 do found[row[2][i]] = row[2][i + 1] end
    rows[#rows + 1] = {place, found.topics or '[]', found.private or '0', found.v or '1'}
  end
end
return rows
