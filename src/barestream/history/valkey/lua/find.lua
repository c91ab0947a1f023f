-- The answer has only place, topics and privacy. With the data of an update that the client may not
-- read, the answer would take longer, and a client could find out that the id exists.
begin()
local known = redis.call('HGET', ids, ARGV[1])
local place = known and string.match(known, '^%S+')
local row = place and redis.call('XRANGE', log, place, place)[1]
if not row then return {} end
local found = {}
for i = 1, #row[2], 2 do found[row[2][i]] = row[2][i + 1] end
return {place, found.topics or '[]', found.private or '0'}
