-- Answers with the newest run of a key, or with nothing.
local run = fn.run(ARGV[ARGUMENTS + 1])
if not run then return false end
return {run.id, run.topic, string.format('%.0f', run.fence), run.runner, string.format('%.0f', run.started_ms), run.status}
