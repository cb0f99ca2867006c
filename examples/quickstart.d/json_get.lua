-- json_get.lua PATH… — reads a JSON document from standard input and prints what stands at each path, such as result.0.id,
-- one line each; an empty line where there is nothing. For examples/quickstart.
local document = require("dkjson").decode(io.read("*a"), 1, nil)

for _, path in ipairs(arg) do
  local value = document
  for key in path:gmatch("[^.]+") do
    if type(value) == "table" then
      local index = tonumber(key)
      if index then value = value[index + 1] else value = value[key] end
    else
      value = nil
    end
  end
  print(value == nil and "" or tostring(value))
end
