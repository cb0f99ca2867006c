-- Small files: read whole within a ceiling, replaced whole or not at all.

local ffi = require "ffi"
local tls = require "spec.support.cdef_tls" -- declares the diagnostic
local unit = require "spec.support.unit"

local C = unit.load { "base/file.h" }
local REFUSED, SYSTEM = -20003, -20010

local function shell(command)
  local pipe = assert(io.popen(command .. " 2>&1"))
  local text = pipe:read("*a")
  pipe:close()
  return (text:gsub("%s+$", ""))
end

describe("moon_file", function()
  local directory, path, diag, buf

  before_each(function()
    directory = shell "mktemp -d"
    path = directory .. "/file"
    diag = tls.diag()
    buf = ffi.gc(ffi.new("struct moon_buf[1]"), C.moon_buf_free)
  end)
  after_each(function() os.execute("rm -rf '" .. directory .. "'") end)

  local function write(text, mode)
    local file = assert(io.open(path, "wb"))
    file:write(text)
    file:close()
    os.execute(("chmod %s '%s'"):format(mode or "600", path))
  end

  local function read(ceiling, is_secret)
    local exists = ffi.new("bool[1]")
    C.moon_buf_init(buf, ceiling)
    local rc = C.moon_file_read(path, is_secret or false, buf, exists, diag)
    return rc, exists[0], buf[0].len > 0 and ffi.string(buf[0].data + buf[0].start, buf[0].len) or ""
  end

  describe("read()", function()
    for _, size in ipairs { 0, 1, 4095, 4096, 4097, 9999, 10000 } do
      it(("gives all %d bytes of a file within the ceiling"):format(size), function()
        write(("x"):rep(size))
        local rc, exists, text = read(10000)
        assert.same({ 0, true, size }, { rc, exists, #text })
      end)
    end

    it("refuses a file one byte beyond the ceiling", function()
      write(("x"):rep(10001))
      assert.equal(REFUSED, (read(10000)))
      assert.equal(path, ffi.string(diag.where))
      assert.truthy(ffi.string(diag.text):find("longer than 10000", 1, true))
    end)

    it("tells that there is no file", function()
      assert.same({ 0, false, "" }, { read(10) })
    end)

    for _, case in ipairs { { "604", REFUSED }, { "640", REFUSED }, { "620", REFUSED }, { "600", 0 }, { "400", 0 } } do
      it(("answers %d to a secret with mode %s"):format(case[2], case[1]), function()
        write("secret", case[1])
        assert.equal(case[2], (read(100, true)))
      end)
    end

    it("refuses a directory, and a path through a file", function()
      os.execute(("mkdir '%s'"):format(path))
      assert.equal(REFUSED, (read(100)))
      os.execute(("rmdir '%s'"):format(path))
      write ""
      path = path .. "/below"
      assert.equal(SYSTEM, (read(100)))
    end)
  end)

  describe("replace()", function()
    local function replace(text, mode) return C.moon_file_replace(path, unit.str(text), mode or 384, diag) end

    for mode, number in pairs { ["600"] = 384, ["644"] = 420 } do
      it("makes a file with mode " .. mode .. " and leaves nothing beside it", function()
        assert.equal(0, replace("one\0two", number))
        assert.same({ 0, true, "one\0two" }, { read(100) })
        assert.equal(mode, shell(("stat -c %%a '%s'"):format(path)))
        assert.equal("file", shell(("ls '%s'"):format(directory)))
      end)
    end

    it("replaces the whole of what was there", function()
      write(("x"):rep(5000))
      assert.equal(0, replace "short")
      assert.same({ 0, true, "short" }, { read(100) })
    end)

    it("changes nothing when it cannot", function()
      write "kept"
      os.execute(("mkdir '%s.d'"):format(path))
      path = path .. ".d"
      assert.equal(SYSTEM, replace "text") -- a directory is not replaced by a file
      assert.equal("file\nfile.d", shell(("ls '%s'"):format(directory)))
      path = directory .. "/none/file"
      assert.equal(SYSTEM, replace "text")
      assert.equal(path, ffi.string(diag.where))
    end)
  end)
end)
