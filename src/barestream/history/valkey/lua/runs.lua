-- The newest run of a key is a map (cmsgpack): id, topic, fence, runner, started_ms, status; expires_ms,
-- for how long it is known after its end; and until_ms, until when it is known if it has ended. Those
-- that have ended are in a sorted set by that time.
function fn.run(key)
  local run = fn.unpacked(redis.call('HGET', keys.runs, key))
  if run and not (run.until_ms and run.until_ms <= fn.now_ms()) then return run end
end

-- Returns a run as scripts answer with it.
function fn.answer_of(run)
  local fence, started_ms = string.format('%.0f', run.fence), string.format('%.0f', run.started_ms)
  return {run.id, run.topic, fence, run.runner, started_ms, run.status}
end

-- Returns the run of a producer, unless another has its key, or its time is over.
function fn.run_of(state)
  local run = state.run and fn.run(state.run)
  if run and run.id == state.id then return run end
end

-- Notes how the run of a producer has ended, if it is running.
function fn.end_run(state, status)
  local run = fn.run_of(state)
  if not run or run.status ~= 'running' then return end
  run.status, run.until_ms = status, math.floor(fn.now_ms() + run.expires_ms)
  redis.call('HSET', keys.runs, state.run, cmsgpack.pack(run))
  redis.call('ZADD', keys.runs_ended, string.format('%.0f', run.until_ms), state.run)
end
