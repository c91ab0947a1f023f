-- The parts of an entry that the history and its index need: the size as Update.size_bytes counts it,
-- the publisher's id, the kind, and the topics, each once. An entry that reports lost updates, or that
-- cannot be read, has no topics: every reader gets it. The history's bytes do not include an entry
-- that was added by hand.
local COUNTED = {topics = true, data = true, id = true, type = true}

function fn.topics_of(found)
  local form = tonumber(found.v or '1')
  if not found.topics or not found.data or not form or form > 1 then return {} end
  local only = string.match(found.topics, '^%["([^"\\]*)"%]$')
  if only then return {only} end
  local is_json, written = pcall(cjson.decode, found.topics)
  if not is_json or type(written) ~= 'table' then return {} end
  local topics, seen = {}, {}
  for _, topic in ipairs(written) do
    if type(topic) ~= 'string' then return {} end
    if not seen[topic] then topics[#topics + 1], seen[topic] = topic, true end
  end
  return topics
end

function fn.size(fields)
  local bytes = 0
  for i = 1, #fields, 2 do
    if COUNTED[fields[i]] then bytes = bytes + #fields[i + 1] end
  end
  return bytes
end

function fn.parsed(fields)
  local found, bytes = {}, 0
  for i = 1, #fields, 2 do
    local name, value = fields[i], fields[i + 1]
    found[name] = value
    if COUNTED[name] then bytes = bytes + #value end
  end
  local kind = found.private == '1' and '-' or '+'
  local topics, json = fn.topics_of(found), found.topics
  return {bytes = bytes, id = found.id, kind = kind, topics = topics, topics_json = json}
end

function fn.entry_at(place)
  local row = redis.call('XRANGE', keys.log, place, place)[1]
  return row and fn.parsed(row[2])
end
