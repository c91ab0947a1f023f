-- Answers with a producer's position: epoch, next and last_id; or with nothing.
local state = fn.producer(ARGV[ARGUMENTS + 1])
return state and {state.epoch, state.next, state.last_id}
