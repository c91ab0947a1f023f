-- Answers with a producer's position (fn.position_of), or with nothing.
local state = fn.producer(ARGV[ARGUMENTS + 1])
return state and fn.position_of(state)
