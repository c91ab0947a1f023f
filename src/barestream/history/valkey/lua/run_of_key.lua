-- Answers with the newest run of a key, or with nothing.
local run = fn.run(ARGV[ARGUMENTS + 1])
return run and fn.answer_of(run)
