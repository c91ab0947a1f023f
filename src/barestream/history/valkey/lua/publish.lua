-- Publishes updates in their order: either all or none of them ('all'), or each by itself ('each').
-- Each answer is the place of the update or, for a retry, that of the earliest one with its id.
-- Or it is an error: ENDED with the number of the topic that has ended; KEPTFULL; or AGAIN, if the
-- script has to be called again, because what is to be removed first takes more steps. With 'all' the
-- answer is one error, followed by the number of the update.
fn.load()
local is_whole = ARGV[ARGUMENTS + 1] == 'all'
local errors = {}
-- If all or none are published, their lanes lose places after the last one was added.
local capped_later = is_whole and {}
local at, count = ARGUMENTS + 2, 0
while ARGV[at] do
  count = count + 1
  at = fn.read_update(count, at)
end
budget.units = budget.units - 2

fn.prepare()
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
  if update.answer == number then fn.add(number, capped_later) end
  local err, answer = errors[number], update.answer
  answers[number] = err and redis.error_reply(err) or updates[answer] and updates[answer].place or answer
end
if is_whole then fn.cap_all(capped_later) end
fn.tidy()
fn.save()
return answers
