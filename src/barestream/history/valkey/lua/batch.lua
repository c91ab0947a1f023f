-- Publishes successive updates of a producer to one topic: all that it has not published before, or none.
-- The answer is how many these were, the place of the last one that was added (empty if none was), and its
-- position (fn.position_of). Or it is an error: STALE with the newest epoch; NEWEPOCH; GAP with the number
-- that was expected and the one that came; UNKNOWNRUN; TOOMANY; or one of those of publish.lua, followed by
-- the number of the update in the batch.
local at = ARGUMENTS
local name, topic, topics_json = ARGV[at + 1], ARGV[at + 2], ARGV[at + 3]
local epoch, first, count = tonumber(ARGV[at + 4]), tonumber(ARGV[at + 5]), tonumber(ARGV[at + 6])
local is_run, status, lease = ARGV[at + 7] == '1', ARGV[at + 8], fn.read_lease(at + 9)
at = at + 12

local state = fn.producer(name)
local is_new = not state

local run = state and fn.run_of(state)

local function refusal()
  if is_run or (state and state.run) then
    -- A run's producer has no other epoch.
    if not run or epoch > run.fence then return 'UNKNOWNRUN' end
    -- It asks whether the run is still its own.
    local is_renewal = count == 0 and first == state.next
    if is_renewal and run.status ~= 'running' then return 'UNKNOWNRUN' end
  end
  if state and epoch < state.epoch then return string.format('STALE %.0f', state.epoch) end
  if state and epoch > state.epoch then return first ~= 0 and 'NEWEPOCH' or nil end
  local expected = state and state.next or 0
  if first > expected then return string.format('GAP %.0f %.0f', expected, first) end
  if is_new and not fn.has_room_for_producer() then return 'TOOMANY' end
end

local err = refusal()
if err then return redis.error_reply(err) end
if is_new or epoch > state.epoch then
  state = state or {}
  state.epoch, state.next = epoch, 0
end
local repeats = math.min(count, state.next - first)
local had_ended = fn.has_ended(state)

-- An update without id, digest, keep, end and retry has a letter, its type if there is one, and its data.
-- The letter is d without a type, t with one, and D and T if the update is private.
local STEPS = {d = 2, D = 2, t = 3, T = 3}

local function read()
  for number = 1, count do
    local steps = STEPS[ARGV[at]]
    if steps then
      if number > repeats then
        updates[number] = at
        budget.units = budget.units + 2
      end
      at = at + steps
    elseif number > repeats then
      at = fn.read_update(number, at)
    else
      at = at + tonumber(ARGV[at]) + 1
    end
  end
end

local function check()
  -- Those that change nothing but the log need to look for the end of the topic only once.
  local plain = {entry = {topics = {topic}}}
  local has_checked = false
  for number = repeats + 1, count do
    local update = updates[number]
    local refused
    if type(update) == 'table' then
      refused = fn.check(number, update)
    elseif not has_checked or ending[topic] then
      refused = fn.end_of(plain)
      has_checked = true
    end
    if refused then return refused .. ' ' .. number end
  end
  if run and run.status ~= 'running' then return 'UNKNOWNRUN' end
end

local lanes = {}

-- Adds the plain updates from a number on that are all public or all private. Returns the number of the
-- next update and the place of the last one.
local function add_plain(number)
  local is_private = string.byte(ARGV[updates[number]]) < 97
  local short, long = is_private and 'D' or 'd', is_private and 'T' or 't'
  local places, bytes = {}, 0
  while type(updates[number]) == 'number' do
    local i = updates[number]
    local shape = ARGV[i]
    local place
    if shape == short then
      local data = ARGV[i + 1]
      bytes = bytes + #data
      if is_private then
        place = redis.call('XADD', keys.log, '*', 'v', '1', 'topics', topics_json, 'data', data, 'private', '1')
      else
        place = redis.call('XADD', keys.log, '*', 'v', '1', 'topics', topics_json, 'data', data)
      end
    elseif shape == long then
      local kind, data = ARGV[i + 1], ARGV[i + 2]
      bytes = bytes + #kind + #data
      if is_private then
        place = redis.call('XADD', keys.log, '*', 'v', '1', 'topics', topics_json, 'data', data, 'type', kind, 'private', '1')
      else
        place = redis.call('XADD', keys.log, '*', 'v', '1', 'topics', topics_json, 'data', data, 'type', kind)
      end
    else
      break
    end
    places[#places + 1] = place
    number = number + 1
  end
  log.length = log.length + #places
  log.bytes = log.bytes + bytes + #places * #topics_json
  if log.is_indexed then
    local lane = (is_private and '-' or '+') .. topic
    fn.enter_all(lane, places)
    index.indexed = places[#places]
    lanes[#lanes + 1] = lane
  end
  return number, places[#places]
end

local added, ends = nil, false
if repeats < count then
  fn.load()
  read()
  fn.prepare()
  err = check()
  if err then
    fn.save()
    return redis.error_reply(err)
  end
  local number = repeats + 1
  while number <= count do
    local update = updates[number]
    if type(update) == 'number' then
      number, added = add_plain(number)
      state.last_id = '#' .. added
    else
      if update.answer == number then
        fn.add(number, lanes)
        added = update.place
        ends = ends or update.end_ms ~= nil
      end
      state.last_id = update.id ~= '' and update.id or '#' .. update.place
      number = number + 1
    end
  end
  fn.cap_all(lanes)
  fn.tidy()
  fn.save()
end

-- Whether the topic has ended.
local function is_over()
  local value = redis.call('HGET', keys.ends, topic)
  return value and fn.ended_until(value) > fn.now_ms()
end

state.next = math.max(state.next, first + count)
fn.note_end(state, ends or (had_ended and not added))
if lease and not added and not state.run and (had_ended or is_over()) then lease = nil end
if ends then fn.end_run(state, status) end
if ends or (run and run.status ~= 'running') then
  lease = nil
elseif run then
  lease = lease or fn.lease_of(state)
end
state.topics = lease and topics_json or nil
fn.store_producer(name, state, lease, is_new)
return {count - repeats, added or '', unpack(fn.position_of(state))}
