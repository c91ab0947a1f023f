-- The size is that of size_bytes; an entry that was added by hand was never counted.
local function size(fields)
  local counted = {topics = true, data = true, id = true, type = true}
  local bytes, id = 0, nil
  for i = 1, #fields, 2 do
    if counted[fields[i]] then bytes = bytes + #fields[i + 1] end
    if fields[i] == 'id' then id = fields[i + 1] end
  end
  return bytes, id
end
