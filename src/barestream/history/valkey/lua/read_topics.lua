-- Reads the entries of some topics, in the order of their places and each once; no others are read.
-- The answer is that of read.lua, and the newest place of the history. It is empty while the index
-- does not have all entries. A Valkey that refuses to write answers if the index is true.
local at = ARGUMENTS
local after, most_events = ARGV[at + 1], tonumber(ARGV[at + 2])
local most_bytes, has_rights = tonumber(ARGV[at + 3]), ARGV[at + 4] == '1'
if not fn.load_indexed() then return {} end

-- Each topic is given with a 1 before it if its private updates are covered, else with a 0.
local names, lists_of = {}, {keys.every}
local floor = index.blind
for i = at + 5, #ARGV do
  local topic = string.sub(ARGV[i], 2)
  local is_covered = string.sub(ARGV[i], 1, 1) == '1'
  names[#names + 1] = '+' .. topic
  lists_of[#lists_of + 1] = PREFIX .. '+' .. topic
  if is_covered then names[#names + 1] = '-' .. topic end
  if is_covered or has_rights then lists_of[#lists_of + 1] = PREFIX .. '-' .. topic end
  if has_rights and not is_covered then floor = fn.later(floor, index.gone_several) end
end
for _, name in ipairs(names) do
  floor = fn.later(floor, fn.floor_of(name))
end

-- Of each list with places that follow: its key, the number of its next place to ask for, and some of
-- them, the last first.
local CHUNK = 16
local lists = {}
local start = fn.later(after, log.floor)

local function fill(list)
  local some = redis.call('LRANGE', list.key, list.from, list.from + CHUNK - 1)
  list.from = list.from + #some
  list.places = {}
  for i = #some, 1, -1 do list.places[#list.places + 1] = some[i] end
  list.first = some[1] and fn.padded(some[1])
end

if most_events > 0 then
  for _, key in ipairs(lists_of) do
    local last = redis.call('LINDEX', key, -1)
    if last and fn.is_after(last, start) then
      local list = {key = key, from = fn.position(key, start)}
      fill(list)
      lists[#lists + 1] = list
    end
  end
end

local function next_place()
  local first
  for _, list in ipairs(lists) do
    if list.first and (not first or list.first < first) then first = list.first end
  end
  if not first then return end
  for _, list in ipairs(lists) do
    if list.first == first then
      list.places[#list.places] = nil
      if #list.places == 0 then
        fill(list)
      else
        list.first = fn.padded(list.places[#list.places])
      end
    end
  end
  return fn.unpadded(first)
end

local rows, bytes, is_all = {}, 0, 0
while #rows < most_events and bytes < most_bytes do
  local place = next_place()
  if not place then
    is_all = 1
    break
  end
  local row = redis.call('XRANGE', keys.log, place, place)[1]
  if row then rows[#rows + 1], bytes = row, bytes + fn.size(row[2]) end
end
return {floor, rows, is_all, fn.is_known(after) and 1 or 0, index.indexed}
