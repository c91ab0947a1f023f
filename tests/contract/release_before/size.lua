-- Returns the size as Update.size_bytes counts it, and the publisher's id. The history's bytes do not
-- include an entry that was added by hand.
local function size(fields)
  local counted = {topics = true, data = true, id = true, type = true}
  local bytes, id = 0, nil
  for i = 1, #fields, 2 do
    if counted[fields[i]] then bytes = bytes + #fields[i + 1] end
    if fields[i] == 'id' then id = fields[i + 1] end
  end
  return bytes, id
end
