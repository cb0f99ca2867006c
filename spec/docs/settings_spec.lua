-- The names and defaults of the configuration file, which three places know: lua/config.lua checks them, core/app/settings.c
-- hands them on, core/gate/options.c has them for programs without a file.

local bridge = require "moongate.ffi"
local config = require "moongate.config"

local C, ffi = bridge.C, bridge.ffi

-- Settings of the control plane, which never reach the gate.
local NOT_FOR_THE_GATE = { client_cas_per_account = true }
local FACTOR = { limits = 1, timeouts = 1000 }

local function read(path)
  local file = assert(io.open(path, "rb"))
  local text = file:read("*a")
  file:close()
  return text
end

ffi.cdef "void moon_options_init(struct moon_options *options);"

describe("the configuration", function()
  local source = read("core/app/settings.c")
  local checked = config.development("data")
  local options = ffi.new("struct moon_options")
  C.moon_options_init(options)

  for group, factor in pairs(FACTOR) do
    local macro = group == "limits" and "LIMIT" or "TIMEOUT"
    local handed_on = {}
    for name in source:gmatch(macro .. "%(([%l_]+)") do handed_on[name] = true end

    for name, default in pairs(checked[group]) do
      if not NOT_FOR_THE_GATE[name] then
        it(("hands %s.%s on, and has one default for it"):format(group, name), function()
          assert.is_true(handed_on[name])
          assert.equal(default * factor, tonumber(options[group][name]))
        end)
      end
    end

    it(("checks every name of %s that is handed on"):format(group), function()
      assert.truthy(next(handed_on))
      for name in pairs(handed_on) do
        if name ~= "member" then assert.is_not_nil(checked[group][name], name) end
      end
    end)
  end
end)
