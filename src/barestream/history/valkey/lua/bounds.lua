-- The bounds of the history are the first arguments of each script that may change the index.
local most = {
  events = tonumber(ARGV[1]),
  bytes = tonumber(ARGV[2]),
  ms = tonumber(ARGV[3]),
  topic_events = tonumber(ARGV[4]),
  topic_ms = tonumber(ARGV[5]),
  topics = tonumber(ARGV[6]),
  kept_values = tonumber(ARGV[7]),
  kept_bytes = tonumber(ARGV[8]),
}
local ARGUMENTS = 8

-- How much work a script may still do, so that no call blocks Valkey for long: a unit is about what it
-- takes to remove an update of one topic.
local budget = {units = 100}
function fn.spend(lanes_number)
  budget.units = budget.units - 1 - math.floor(lanes_number / 8)
end
