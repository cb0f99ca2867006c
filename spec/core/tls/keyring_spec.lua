-- The keys for secrets: where they come from, what opens with which, what is refused.

local ffi = require "ffi"
local certs = require "spec.support.certs"
local tls = require "spec.support.cdef_tls"

local C = tls.C
local VARIABLE = "MOONGATE_SECRETS_KEY"
local REFUSED = -20003
local A, B = "QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUE=", "QkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkI="

local function read(path)
  local file = io.open(path, "rb")
  local text = file and file:read("*a")
  if file then file:close() end
  return text
end

describe("tls.keyring", function()
  local path, rings

  before_each(function()
    C.unsetenv(VARIABLE)
    path, rings = certs.write("", ".keys"), {}
    os.remove(path)
  end)
  after_each(function()
    C.unsetenv(VARIABLE)
    for _, ring in ipairs(rings) do C.moon_keyring_close(ring) end
  end)

  local function write(text, mode)
    local file = assert(io.open(path, "wb"))
    file:write(text)
    file:close()
    os.execute(("chmod %s '%s'"):format(mode or "600", path))
  end

  local function open(may_make)
    local ring, diag = ffi.new("struct moon_keyring *[1]"), tls.diag()
    local rc = C.moon_keyring_open(ring, path, may_make or false, diag)
    if rc ~= 0 then
      assert.is_true(ring[0] == nil)
      return nil, tls.told(diag)
    end
    rings[#rings + 1] = ring
    return ring[0]
  end

  local function seal(ring, plain, context)
    local buf = ffi.gc(ffi.new("struct moon_buf"), C.moon_buf_free)
    C.moon_buf_init(buf, 96 * 1024)
    assert.equal(0, C.moon_keyring_seal(ring, buf, tls.str(plain), tls.str(context or "t:c:1"), tls.diag()))
    return ffi.string(buf.data + buf.start, buf.len)
  end

  local function unseal(ring, sealed, context)
    local room, len, diag = ffi.new("char[?]", 64 * 1024), ffi.new("size_t[1]"), tls.diag()
    local rc = C.moon_keyring_unseal(ring, room, len, tls.str(sealed), tls.str(context or "t:c:1"), diag)
    if rc == 0 then return ffi.string(room, len[0]) end
    assert.equal(REFUSED, rc)
    return nil, tls.told(diag)
  end

  describe("its file", function()
    it("is made with a fresh key that only the owner can read", function()
      open(true)
      local key = read(path):match("\n([%w+/=]+)\n$")
      assert.equal(44, #key)
      local pipe = io.popen("stat -c %a " .. path)
      assert.equal("600\n", pipe:read("*a"))
      pipe:close()
      os.remove(path)
      open(true)
      assert.not_equal(key, read(path):match("\n([%w+/=]+)\n$"))
    end)

    it("is refused as missing when something is sealed already", function()
      local ring, where, text = open(false)
      assert.is_nil(ring)
      assert.equal(path, where)
      assert.truthy(text:find("missing", 1, true))
      assert.is_nil(read(path))
    end)

    it("opens what was sealed before it was read again", function()
      local sealed = seal(open(true), "secret")
      assert.equal("secret", unseal(open(false), sealed))
    end)

    for title, case in pairs {
      ["nothing in it"] = { "# only words\n\n", "no key" },
      ["a key that is too short"] = { "QUFB\n", "key 1 is not" },
      ["a key that is too long"] = { A:gsub("=", "QQ==") .. "\n", "key 1 is not" },
      ["a second line that is no key"] = { A .. "\n" .. ("!"):rep(43) .. "=\n", "key 2 is not" },
      ["five keys"] = { (A .. "\n"):rep(5), "more than 4" },
      ["readers beside its owner"] = { A .. "\n", "mode 0644", "644" },
    } do
      it("is refused with " .. title .. ", without a word of what stands in it", function()
        write(case[1], case[3])
        local ring, where, text = open(true)
        assert.is_nil(ring)
        assert.equal(path, where)
        assert.truthy(text:find(case[2], 1, true), text)
        assert.is_nil(text:find("QUFB", 1, true))
      end)
    end

    it("may have comments and CRLF", function()
      write("# ours\r\n" .. B .. "\r\n\r\n  " .. A .. "  \r\n")
      assert.truthy(open(false))
    end)
  end)

  describe("the environment", function()
    it("goes before the file, which is not made then", function()
      C.setenv(VARIABLE, A, 1)
      assert.equal("x", unseal(open(true), seal(open(true), "x")))
      assert.is_nil(read(path))
    end)

    it("may hold several keys: the first seals, all open", function()
      C.setenv(VARIABLE, A, 1)
      local old = seal(open(), "x")
      C.setenv(VARIABLE, B .. "," .. A, 1)
      local ring = open()
      assert.equal("x", unseal(ring, old))
      assert.is_false(C.moon_keyring_is_newest(ring, tls.str(old)))
      local new = seal(ring, "x")
      assert.is_true(C.moon_keyring_is_newest(ring, tls.str(new)))
      C.setenv(VARIABLE, B, 1)
      assert.equal("x", unseal(open(), new))
    end)

    it("is refused when it holds no key, without a word of it", function()
      C.setenv(VARIABLE, "hunter2", 1)
      local ring, where, text = open(true)
      assert.is_nil(ring)
      assert.equal(VARIABLE, where)
      assert.is_nil(text:find("hunter2", 1, true))
    end)

    it("is not renewed here", function()
      C.setenv(VARIABLE, A, 1)
      local from_environment = ffi.new("bool[1]")
      assert.equal(REFUSED, C.moon_keyring_renew(open(), from_environment, tls.diag()))
      assert.is_true(from_environment[0])
    end)
  end)

  describe("sealed texts", function()
    it("name their key and hold base64 only", function()
      write(A .. "\n")
      local ring = open()
      local one, two = seal(ring, "the secret"), seal(ring, "the secret")
      assert.truthy(one:find("^m1:%x%x%x%x%x%x%x%x%x%x%x%x%x%x%x%x:[%w+/]+=*$"))
      assert.equal(one:sub(1, 20), two:sub(1, 20))
      assert.not_equal(one, two)
    end)

    for _, size in ipairs { 0, 1, 2, 3, 64 * 1024 } do
      it(("give back %d bytes"):format(size), function()
        local ring = open(true)
        assert.equal(("s"):rep(size), unseal(ring, seal(ring, ("s"):rep(size))))
      end)
    end

    it("have an end: 64 KiB", function()
      local buf = ffi.gc(ffi.new("struct moon_buf"), C.moon_buf_free)
      C.moon_buf_init(buf, 96 * 1024)
      assert.equal(-20002, C.moon_keyring_seal(open(true), buf, tls.str(("s"):rep(64 * 1024 + 1)), tls.str "c", tls.diag()))
    end)

    it("open for nobody else", function()
      local ring = open(true)
      local plain, where, text = unseal(ring, seal(ring, "secret", "t:c:1"), "t:c:2")
      assert.is_nil(plain)
      assert.equal("secrets", where)
      assert.truthy(text:find("t:c:2 cannot be opened", 1, true))
    end)

    it("tell which key is missing, and where it was looked for", function()
      write(A .. "\n")
      local sealed = seal(open(), "secret")
      write(B .. "\n")
      local plain, _, text = unseal(open(), sealed)
      assert.is_nil(plain)
      assert.truthy(text:find(sealed:sub(4, 19), 1, true))
      assert.truthy(text:find(path, 1, true))
    end)

    for title, spoil in pairs {
      ["empty"] = function() return "" end,
      ["plain text"] = function() return "-----BEGIN PRIVATE KEY-----" end,
      ["cut off"] = function(text) return text:sub(1, -5) end,
      ["of another form"] = function(text) return "m2" .. text:sub(3) end,
      ["without its key's name"] = function(text) return "m1:" .. text:sub(21) end,
      ["head only"] = function(text) return text:sub(1, 20) end,
      ["no base64"] = function(text) return text:sub(1, -9) .. "!!!!!!!!" end,
      ["too long"] = function(text) return text .. ("A"):rep(100000) end,
      ["changed"] = function(text) return text:sub(1, 30) .. (text:sub(31, 31) == "A" and "B" or "A") .. text:sub(32) end,
    } do
      it("are refused when they are " .. title, function()
        local ring = open(true)
        local plain, where = unseal(ring, spoil(seal(ring, "secret")))
        assert.is_nil(plain)
        assert.equal("secrets", where)
      end)
    end
  end)

  describe("renew()", function()
    local function renew(ring) return C.moon_keyring_renew(ring, ffi.new("bool[1]"), tls.diag()) end

    it("puts a fresh key in front and keeps three former ones", function()
      local ring = open(true)
      local texts = {}
      for round = 1, 5 do
        texts[round] = seal(ring, "round " .. round)
        assert.equal(0, renew(ring))
      end
      local again = open(false)
      assert.is_nil((unseal(again, texts[1])))
      assert.is_nil((unseal(again, texts[2])))
      for round = 3, 5 do assert.equal("round " .. round, unseal(again, texts[round])) end
      assert.is_false(C.moon_keyring_is_newest(again, tls.str(texts[5])))
      assert.equal(4, select(2, read(path):gsub("\n[%w+/]+=", "")))
    end)

    it("reaches a ring that was read before, when it seals and when it opens", function()
      local running, beside = open(true), open(false)
      assert.equal(0, renew(beside))
      local new = seal(beside, "new")
      assert.equal("new", unseal(running, new))
      assert.equal(0, renew(beside))
      assert.is_true(C.moon_keyring_is_newest(beside, tls.str(seal(running, "x"))))
    end)

    it("leaves the keys as they are when the file vanishes or is spoilt beside us", function()
      local ring = open(true)
      local sealed = seal(ring, "kept")
      write "nonsense"
      assert.equal("kept", unseal(ring, seal(ring, "kept")))
      os.remove(path)
      assert.equal("kept", unseal(ring, sealed))
    end)
  end)
end)
