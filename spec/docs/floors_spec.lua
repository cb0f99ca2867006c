-- The import arrows of the tree, and that the script which watches them sees a wrong one.

local SCRIPT = "cmake/check_floors.lua"

local function run(root)
  local pipe = assert(io.popen(("luajit %s '%s' 2>&1; echo status=$?"):format(SCRIPT, root)))
  local text = pipe:read("*a")
  pipe:close()
  local output, status = text:match("^(.*)status=(%d+)%s*$")
  return tonumber(status), output
end

local function tree(files)
  local pipe = assert(io.popen("mktemp -d"))
  local root = pipe:read("*l")
  pipe:close()
  for path, text in pairs(files) do
    assert(os.execute(("mkdir -p '%s/%s'"):format(root, path:match("^(.*)/"))) == 0)
    local file = assert(io.open(root .. "/" .. path, "wb"))
    file:write(text)
    file:close()
  end
  return root
end

local function check(path, text)
  local root = tree { [path] = text }
  local status, output = run(root)
  os.execute(("rm -rf '%s'"):format(root))
  return status, output
end

describe("check_floors", function()
  it("finds no wrong arrow in this tree", function()
    local status, output = run(".")
    assert.equal("", output)
    assert.equal(0, status)
  end)

  it("refuses a folder without sources", function()
    local root = tree { ["docs/a.txt"] = "" }
    local status = run(root)
    os.execute(("rm -rf '%s'"):format(root))
    assert.equal(2, status)
  end)

  for _, case in ipairs {
    { "core/base/a.c", '#include "net/stream.h"', "base must not use net" },
    { "core/tls/a.h", '#include "http/head.h"', "tls must not use http" },
    { "core/tls/a.c", "#include <uv.h>", "tls must not use <uv.h>" },
    { "core/http/a.c", "# include <openssl/ssl.h>", "http must not use <openssl/ssl.h>" },
    { "core/net/a.c", "#include <llhttp.h>", "net must not use <llhttp.h>" },
    { "core/gate/a.c", "#include <lua.h>", "gate must not use <lua.h>" },
    { "core/gate/a.c", "#include <lauxlib.h>", "gate must not use <lauxlib.h>" },
    { "core/gate/a.c", '#include "script/phases.h"', "gate must not use script" },
    { "core/script/a.c", '#include "app/run.h"', "script must not use app" },
    { "core/script/a.c", '#include "run.h"', "does not name its floor" },
    { "core/attic/a.c", "int x;", "is no floor" },
    { "rules/a.lua", 'local x = require "moongate.json"', "rules/ must not use lua/" },
    { "rules/a.lua", 'local x = require("moongate.admin.auth")', "rules/ must not use admin/" },
    { "rules/a.lua", 'local x = require "ffi"', 'must not require "ffi"' },
    { "lua/a.lua", "local x = require 'moongate.admin'", "lua/ must not use admin/" },
    { "lua/a.lua", 'local ok, x = pcall(require, "ffi")', 'must not require "ffi"' },
    { "admin/a.lua", 'local x = require "ffi"', 'must not require "ffi"' },
    { "admin/a.lua", 'local x = require "moongate.cli"', "admin/ must not use cli/" },
  } do
    it(("refuses %s in %s"):format(case[2], case[1]), function()
      local status, output = check(case[1], "\n" .. case[2] .. "\n")
      assert.equal(1, status)
      assert.truthy(output:find(case[1] .. ":", 1, true))
      assert.truthy(output:find(case[3], 1, true), output)
    end)
  end

  for _, case in ipairs {
    { "core/tls/a.c", '#include "base/str.h"\n#include <openssl/ssl.h>' },
    { "core/script/a.c", '#include "gate/facts.h"\n#include <lua.h>' },
    { "core/app/a.c", '#include "script/vm.h"' },
    { "rules/a.lua", '-- as require "ffi" would\nlocal x = require "moongate.rules.parse"' },
    { "lua/ffi.lua", 'local x = require "ffi"' },
    { "admin/a.lua", 'local x = require "moongate.rules"\nlocal y = require "moongate.json"' },
    { "cli/a.lua", 'local x = require "moongate.admin.store"\nlocal y = require "argparse"' },
  } do
    it(("accepts %s in %s"):format(case[2]:gsub("\n", " and "), case[1]), function()
      local status, output = check(case[1], case[2] .. "\n")
      assert.equal("", output)
      assert.equal(0, status)
    end)
  end

  it("names the line", function()
    local _, output = check("core/base/a.c", '\n\n#include "gate/facts.h"\n')
    assert.truthy(output:find("core/base/a.c:3: ", 1, true))
  end)
end)
