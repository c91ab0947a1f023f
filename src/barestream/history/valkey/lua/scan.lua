-- Returns the time, the next cursor, and some of the ends or kept values: topics and packed entries.
fn.load()
if log.is_new then return {'0', '0', {}} end
local found = redis.call('HSCAN', ARGV[1] == 'ends' and keys.ends or keys.kept, ARGV[2], 'COUNT', 50)
return {string.format('%.0f', math.floor(fn.now_ms())), found[1], found[2]}
