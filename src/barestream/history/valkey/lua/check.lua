-- Checks updates one after the other, before the first of them is added. What those before an update
-- change is in these tables: of each id the earliest update (a place, or the number of an update of
-- this script) and the newest digest; the topics that end; and the kept values.
local known, ending, sizes = {}, {}, {}
local values, value_bytes

-- The topics of which a script has not removed all that they had before they were forgotten. Later
-- updates of this script with such a topic have to wait too.
local unready = {}

function fn.known_of(id)
  if not known[id] then
    local earliest, digest = fn.settle(id, log.floor)
    known[id] = {earliest = earliest, digest = digest}
  end
  return known[id]
end

-- Returns an error, which names the topic that has ended by its number, or nil.
function fn.end_of(update)
  local topics = update.entry.topics
  for i, topic in ipairs(topics) do
    if unready[topic] then return 'AGAIN' end
    if ending[topic] then return 'ENDED ' .. i end
  end
  if index.ends == 0 then return end
  for i, value in ipairs(redis.call('HMGET', keys.ends, unpack(topics))) do
    if value and fn.ended_until(value) > fn.now_ms() then
      return 'ENDED ' .. i
    elseif value and not fn.forget_topic(topics[i]) then
      unready[topics[i]] = true
      return 'AGAIN'
    end
  end
end

-- Counts an update's kept value, and returns an error if there is no room for it.
function fn.no_room(update)
  local topic = update.entry.topics[1]
  values, value_bytes = values or index.kept, value_bytes or index.kept_bytes
  local before = sizes[topic] or fn.kept_bytes_of(topic) or 0
  local after = update.keep_ms == 0 and 0 or update.entry.bytes
  local number = values + (after > 0 and 1 or 0) - (before > 0 and 1 or 0)
  local bytes = value_bytes + after - before
  if after > 0 and (number > most.kept_values or bytes > most.kept_bytes) then
    local is_due = index.due_ms > 0 and index.due_ms <= fn.now_ms() and #fn.due(keys.kept_due, 1) > 0
    return is_due and 'AGAIN' or 'KEPTFULL'
  end
  values, value_bytes, sizes[topic] = number, bytes, after
end

-- Returns an error, or nil. An update that is a retry gets the answer's source: a place, or a number.
function fn.check(number, update)
  local of_id = update.id ~= '' and fn.known_of(update.id)
  if of_id and of_id.digest == update.digest then
    update.answer = of_id.earliest
    return
  end
  local err = fn.end_of(update) or (update.keep_ms and fn.no_room(update))
  if err then return err end
  if update.end_ms then ending[update.entry.topics[1]] = true end
  update.answer = number
  if of_id then
    update.earliest, update.earlier_digest = of_id.earliest, of_id.digest
    known[update.id] = {earliest = of_id.earliest or number, digest = update.digest}
  end
end
