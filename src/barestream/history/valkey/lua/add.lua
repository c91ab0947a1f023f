-- Reads updates from a script's arguments, and adds them to the history once they are checked.
local updates = {}

-- Reads an update from its arguments: their number, its id and digest, the milliseconds of keep and of
-- end (or nothing), and its fields. Returns where the next one begins.
function fn.read_update(number, at)
  local to = at + tonumber(ARGV[at])
  local update = {
    id = ARGV[at + 1],
    digest = ARGV[at + 2],
    keep_ms = tonumber(ARGV[at + 3]),
    end_ms = tonumber(ARGV[at + 4]),
    fields = {unpack(ARGV, at + 5, to)},
  }
  update.entry = fn.parsed(update.fields)
  updates[number] = update
  budget.units = budget.units + 2 + math.floor(#update.entry.topics / 4)
  return to + 1
end

-- Does what comes before updates are checked: it brings the index on, and lets go of kept values whose time
-- is over.
function fn.prepare()
  if not log.is_indexed then fn.catch_up() end
  if index.due_ms > 0 and index.due_ms <= fn.now_ms() then fn.expire_kept() end
end

-- Adds an update that is new. With a list of lanes, its lanes lose places later (fn.index).
function fn.add(number, capped_later)
  local update = updates[number]
  local fields, entry, id = update.fields, update.entry, update.id
  local earliest = update.earliest
  if earliest then fields[#fields + 1], fields[#fields + 2] = 'again', '1' end
  local place = redis.call('XADD', keys.log, '*', unpack(fields))
  update.place = place
  log.length, log.bytes = log.length + 1, log.bytes + entry.bytes
  if id ~= '' then
    fn.named()
    if earliest then
      earliest = updates[earliest] and updates[earliest].place or earliest
      -- Before the second update the id has no member.
      if not fn.first_member(id, '') then fn.add_member(id, earliest, update.earlier_digest) end
      fn.add_member(id, place, update.digest)
    end
    local is_new = redis.call('HSET', keys.ids, id, (earliest or place) .. ' ' .. update.digest)
    memo.ids = memo.ids + is_new
  end
  local topic = entry.topics[1]
  if update.keep_ms then fn.keep(topic, update.keep_ms, place, entry.bytes, fields) end
  if update.end_ms then fn.finish(topic, update.end_ms, place, entry) end
  if log.is_indexed then fn.index(place, entry, capped_later) end
end
