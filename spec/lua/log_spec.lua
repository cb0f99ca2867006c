-- Log lines from Lua: to stderr before a channel is attached, to the channel after.

local script = require "spec.support.script"
local bridge = require "moongate.ffi"

describe("moongate.log", function()
  local log

  before_each(function()
    package.loaded["moongate.log"] = nil
    log = require "moongate.log"
  end)

  local function with_stderr(work)
    local written, real = {}, io.stderr
    rawset(io, "stderr", { write = function(_, ...) written[#written + 1] = table.concat { ... } end })
    local ok, err = pcall(work)
    rawset(io, "stderr", real)
    assert(ok, err)
    return table.concat(written)
  end

  it("writes errors and warnings as plain text before a channel is attached", function()
    local text = with_stderr(function()
      log.line("error", "store", "it is gone", "/path")
      log.line("warn", "store", "it is slow")
      log.line("info", "store", "it is fine")
    end)
    assert.equal("moongate: store: it is gone: /path\nmoongate: store: it is slow\n", text)
  end)

  it("writes through the channel once attached, escaped", function()
    local target = script.log()
    log.attach(bridge, target.channel)
    local text = with_stderr(function()
      log.line("error", "store", "it is \"gone\"\n", "detail\0\1")
      log.line("debug", "store", "quiet")
      log.writer("admin")("warn", "from a module")
    end)
    assert.equal("", text)
    local lines = target.lines()
    assert.truthy(lines:find('"level":"error","subject":"store","what":"it is \\"gone\\"\\u000a","detail":"detail\\u0000\\u0001"', 1, true), lines)
    assert.truthy(lines:find('"level":"debug","subject":"store","what":"quiet"}', 1, true))
    assert.truthy(lines:find('"level":"warn","subject":"admin","what":"from a module"}', 1, true))
  end)

  it("is a programmer's error with a level that is none", function()
    assert.has_error(function() log.line("loud", "store", "x") end)
  end)
end)
