-- An entry beside the log, as one string: a line with its times and places and with the lengths of its
-- fields, and then the fields.
function fn.packed(head, fields)
  local numbers = {head}
  for _, field in ipairs(fields) do numbers[#numbers + 1] = #field end
  return table.concat(numbers, ' ') .. '\n' .. table.concat(fields)
end
