-- The answer is 1 if there may be more to do. A Valkey that accepts no updates answers if there is
-- nothing to do.
fn.load()
budget.units = 200
local before = fn.packed_index()
local is_caught_up = log.is_indexed or fn.catch_up()
fn.tidy()
if log.is_new or fn.packed_index() ~= before then fn.save() end
local is_due = index.due_ms > 0 and index.due_ms <= fn.now_ms() and is_caught_up
return (budget.units <= 0 or not is_caught_up or fn.is_stale() or is_due) and 1 or 0
