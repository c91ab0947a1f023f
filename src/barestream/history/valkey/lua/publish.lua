-- Publishes updates in their order: either all or none of them ('all'), or each by itself ('each').
-- Each answer is the place of the update or, for a retry, that of the earliest one with its id.
-- Or it is an error: ENDED with the number of the topic that has ended; KEPTFULL; or AGAIN, if the
-- script has to be called again, because what is to be removed first takes more steps. With 'all' the
-- answer is one error, followed by the number of the update.
fn.load()
local is_whole = ARGV[ARGUMENTS + 1] == 'all'
local updates, errors = {}, {}
-- If all or none are published, their lanes lose places after the last one was added.
local capped_later = is_whole and {}
local at = ARGUMENTS + 2
while ARGV[at] do
  local to = at + tonumber(ARGV[at])
  local update = {
    id = ARGV[at + 1],
    digest = ARGV[at + 2],
    keep_ms = tonumber(ARGV[at + 3]),
    end_ms = tonumber(ARGV[at + 4]),
    fields = {unpack(ARGV, at + 5, to)},
  }
  update.entry = fn.parsed(update.fields)
  updates[#updates + 1] = update
  budget.units = budget.units + 2 + math.floor(#update.entry.topics / 4)
  at = to + 1
end
budget.units = budget.units - 2

local function add(number)
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

if not log.is_indexed then fn.catch_up() end
if index.due_ms > 0 and index.due_ms <= fn.now_ms() then fn.expire_kept() end
for number, update in ipairs(updates) do
  local err = fn.check(number, update)
  if err and is_whole then
    fn.save()
    return redis.error_reply(err .. ' ' .. number)
  end
  errors[number] = err
end
local answers = {}
for number, update in ipairs(updates) do
  if update.answer == number then add(number) end
  local err, answer = errors[number], update.answer
  answers[number] = err and redis.error_reply(err) or updates[answer] and updates[answer].place or answer
end
for _, lane in ipairs(capped_later or {}) do
  local length = redis.call('LLEN', PREFIX .. lane)
  if length > most.topic_events then fn.cap(lane, length) end
end
fn.tidy()
fn.save()
return answers
