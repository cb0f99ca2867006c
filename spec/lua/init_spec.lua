-- What a policy file gets from require "moongate", and that the types for editors and the manual know all of it.

local certs = require "spec.support.certs"
local policy_state = require "spec.support.policy_state"

local function read(path)
  local file = assert(io.open(path, "rb"))
  local text = file:read("*a")
  file:close()
  return text
end

describe("moongate", function()
  local moongate, face

  before_each(function()
    for _, name in ipairs { "blame", "kv", "registry", "task" } do package.loaded["moongate." .. name] = nil end
    package.loaded["moongate"] = nil
    moongate = require "moongate"
    face = moongate.face { name = "p.lua", directory = certs.directory() }
  end)

  local meta, manual = read "docs/moongate.meta.lua", read "docs/policy-files.md"

  it("is in the types for editors and in the manual, each function of it", function()
    for name, value in pairs(face) do
      if type(value) == "function" then
        assert.truthy(meta:find("function moongate." .. name .. "(", 1, true), name)
        assert.truthy(manual:find("moongate." .. name, 1, true), name)
      end
    end
    for name in pairs(face.kv) do assert.truthy(meta:find("function kv." .. name .. "(", 1, true), name) end
    for name in meta:gmatch("function moongate%.([%w_]+)%(") do assert.is_function(face[name], name) end
  end)

  it("gives each file a table of its own", function()
    local other = moongate.face { name = "q.lua", directory = "." }
    assert.is_false(rawequal(face, other))
    assert.is_false(rawequal(face.kv, other.kv))
  end)

  it("has the version", function() assert.equal(require "moongate.version", face.version) end)

  it("blames the policy's line for a declaration that is wrong", function()
    local chunk = assert(loadstring("local moongate = ...\n\nmoongate.handler('a', 'b')\n", "@policies/a.lua"))
    local ok, err = pcall(chunk, face)
    assert.is_false(ok)
    assert.truthy(err:find("policies/a.lua:3: moongate.handler: ", 1, true) or err:find(":%d+: moongate%.handler: "), err)
  end)

  describe("read_file()", function()
    it("reads relative to the file, and absolute paths", function()
      local path = certs.write("content", ".txt")
      assert.equal("content", face.read_file(path:match("[^/]+$")))
      assert.equal("content", face.read_file(path))
      assert.equal("", face.read_file(certs.write("", ".txt")))
    end)

    it("raises an error for a file that is not there, a directory, and no name", function()
      assert.has_error(function() face.read_file "nothing" end)
      assert.has_error(function() face.read_file "." end)
      assert.has_error(function() face.read_file(nil) end)
    end)

    it("is for the time the file is loaded", function()
      local path = certs.write("content", ".txt")
      require("moongate.registry").close()
      local ok, err = pcall(face.read_file, path)
      assert.is_false(ok)
      assert.truthy(err:find("while the policy file is being loaded", 1, true))
    end)
  end)

  it("log() refuses a level that there is not", function()
    assert.has_error(function() face.log("loud", "x") end)
  end)
end)

describe("moongate.kv", function()
  local kv
  local unit = require "spec.support.unit"
  local C = unit.load "struct moon_kv *moon_kv_new(size_t bytes);"

  before_each(function()
    kv = policy_state.new().kv
    kv.attach(C.moon_kv_new(4 * 1024 * 1024))
  end)

  it("sets, gets, adds and deletes", function()
    kv.set("a", "text")
    kv.set("n", 2, 60)
    assert.equal("text", kv.get "a")
    assert.equal(2, kv.get "n")
    assert.equal(3, kv.incr "n")
    assert.equal(13, kv.incr("n", 10))
    assert.equal(1, kv.incr("new", 1, 60))
    assert.is_true(kv.delete "a")
    assert.is_false(kv.delete "a")
    assert.is_nil(kv.get "a")
  end)

  for _, case in ipairs {
    { "a key that is a number", function(k) k.get(1) end, "the key must be a text" },
    { "a key that is too long", function(k) k.set(("k"):rep(513), "v") end, "longer than 512 bytes" },
    { "a value that is a table", function(k) k.set("k", {}) end, "must be a text or a number" },
    { "no value", function(k) k.set("k", nil) end, "must be a text or a number" },
    { "a value that is too long", function(k) k.set("k", ("v"):rep(65537)) end, "longer than 65536 bytes" },
    { "no time at all", function(k) k.set("k", "v", 0) end, "a number of seconds above 0" },
    { "a time that is a text", function(k) k.incr("k", 1, "60") end, "a number of seconds above 0" },
    { "adding a text", function(k) k.incr("k", "1") end, "must be a number" },
    { "adding to a text", function(k) k.set("k", "v") k.incr("k") end, "is no number" },
  } do
    it("refuses " .. case[1], function()
      local ok, err = pcall(case[2], kv)
      assert.is_false(ok)
      assert.truthy(err:find(case[3], 1, true), err)
    end)
  end
end)
