-- Answers with the number of updates, the bytes that they and the index take by the weights, and the age of the
-- oldest update in milliseconds.
fn.load()
local oldest = redis.call('XRANGE', keys.log, '-', '+', 'COUNT', 1)[1]
local age_ms = oldest and math.max(0, fn.now_ms() - fn.ms_of(oldest[1])) or 0
return {log.length, math.ceil(fn.held_bytes()), math.ceil(age_ms)}
