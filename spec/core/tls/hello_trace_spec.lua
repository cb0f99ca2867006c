-- Fingerprints of ClientHellos that are put together here byte by byte. The expected hashes are computed from the written-out
-- texts by the openssl command, and for two clients taken from the published descriptions of JA3 and JA4.

local ffi = require "ffi"
local tls = require "spec.support.cdef_tls"
local certs = require "spec.support.certs"

local C = tls.C

local function u16(number) return string.char(math.floor(number / 256), number % 256) end
local function vector(width, body)
  return (width == 1 and "" or width == 3 and "\0" or "") .. (width == 1 and string.char(#body) or u16(#body)) .. body
end
local function numbers(list)
  local out = {}
  for i, number in ipairs(list) do out[i] = u16(number) end
  return table.concat(out)
end
local function extension(kind, body) return u16(kind) .. vector(2, body or "") end

-- { version, ciphers, extensions (bytes) }
local function hello(options)
  local body = u16(options.version or 0x0303) .. ("r"):rep(32) .. vector(1, ("s"):rep(32)) .. vector(2, numbers(options.ciphers or {}))
    .. vector(1, "\0") .. (options.extensions and vector(2, table.concat(options.extensions)) or "")
  return "\1" .. vector(3, body)
end

local function trace(message)
  local raw = C.moon_hello_trace_new(tls.str(message))
  if raw == nil then return nil end
  return ffi.gc(raw, function(it) C.moon_hello_trace_free(ffi.new("struct moon_hello_trace *[1]", it)) end)
end
local function ja3(message) return tls.text(C.moon_hello_trace_ja3(trace(message))) end
local function ja4(message) return tls.text(C.moon_hello_trace_ja4(trace(message))) end
local function digest(kind, text) return (certs.openssl(("dgst -%s -r %s"):format(kind, certs.write(text))):match("^(%x+)")) end
local function sha1_base64(bytes) return (certs.openssl("dgst -sha1 -binary " .. certs.write(bytes) .. " | base64"):gsub("%s", "")) end

describe("tls.hello_trace", function()
  -- a browser as JA4's description has it
  local CIPHERS = { 0x1301, 0x1302, 0x1303, 0xc02b, 0xc02f, 0xc02c, 0xc030, 0xcca9, 0xcca8, 0xc013, 0xc014, 0x009c, 0x009d, 0x002f, 0x0035 }
  local SIGNATURES = { 0x0403, 0x0804, 0x0401, 0x0503, 0x0805, 0x0501, 0x0806, 0x0601 }
  local function browser(change)
    local parts = {
      [0x0000] = vector(2, "\0" .. vector(2, "a.test")), [0x000a] = vector(2, numbers { 0x001d, 0x0017, 0x0018 }), [0x000b] = vector(1, "\0"),
      [0x000d] = vector(2, numbers(SIGNATURES)), [0x0010] = vector(2, vector(1, "h2") .. vector(1, "http/1.1")),
      [0x002b] = vector(1, numbers { 0x0304, 0x0303 }),
    }
    local order = { 0x001b, 0x0000, 0x0033, 0x0010, 0x4469, 0x0017, 0x002d, 0x000d, 0x0005, 0x0023, 0x0012, 0x002b, 0xff01, 0x000b,
      0x000a, 0x0015 }
    local ciphers = { unpack(CIPHERS) }
    if change then change(parts, order, ciphers) end
    local extensions = {}
    for i, kind in ipairs(order) do extensions[i] = extension(kind, parts[kind]) end
    return hello { ciphers = ciphers, extensions = extensions }
  end

  describe("ja4", function()
    it("is the published one of a browser", function()
      assert.equal("t13d1516h2_8daaf6152771_e5627efa2ab1", ja4(browser()))
    end)

    it("does not change with the order of ciphers and extensions, nor with GREASE", function()
      assert.equal("t13d1516h2_8daaf6152771_e5627efa2ab1", ja4(browser(function(parts, order, ciphers)
        table.insert(order, 1, 0x1a1a)
        table.insert(order, 0xfafa)
        order[3], order[9] = order[9], order[3]
        table.insert(ciphers, 1, 0x0a0a)
        ciphers[4], ciphers[7] = ciphers[7], ciphers[4]
        parts[0x002b] = vector(1, numbers { 0x7a7a, 0x0303, 0x0304 })
        parts[0x000d] = vector(2, numbers { 0x2a2a, unpack(SIGNATURES) })
      end)))
    end)

    for _, case in ipairs {
      { "no server name", function(_, order) table.remove(order, 2) end, "^t13i1515h2_" },
      { "TLS 1.2 by its own field", function(_, order) table.remove(order, 12) end, "^t12d1515h2_" },
      { "no protocols", function(_, order) table.remove(order, 4) end, "^t13d151500_" },
      { "http/1.1 first", function(parts) parts[0x0010] = vector(2, vector(1, "http/1.1")) end, "^t13d1516h1_" },
      { "a protocol of one character", function(parts) parts[0x0010] = vector(2, vector(1, "x")) end, "^t13d1516xx_" },
      { "a protocol of other bytes", function(parts) parts[0x0010] = vector(2, vector(1, "\171\205")) end, "^t13d1516ad_" },
      { "a malformed protocol list", function(parts) parts[0x0010] = "\255" end, "^t13d151600_" },
      { "another order of signatures", function(parts) parts[0x000d] = vector(2, numbers { 0x0804, 0x0403 }) end,
        "^t13d1516h2_8daaf6152771_" },
    } do
      it("tells of " .. case[1], function()
        local text = ja4(browser(case[2]))
        assert.matches(case[3], text)
        assert.not_equal("t13d1516h2_8daaf6152771_e5627efa2ab1", text)
      end)
    end

    it("without signatures ends with the hash of the extensions alone", function()
      local message = hello { ciphers = { 0x1301 }, extensions = { extension(0x0017), extension(0x0005) } }
      assert.equal(("t12i010200_%s_%s"):format(digest("sha256", "1301"):sub(1, 12), digest("sha256", "0005,0017"):sub(1, 12)), ja4(message))
    end)

    it("has zeros for what is not there, and stops counting at 99", function()
      assert.equal("t12i000000_000000000000_000000000000", ja4(hello {}))
      local many = {}
      for i = 1, 120 do many[i] = i end
      assert.matches("^t12i990000_", ja4(hello { ciphers = many }))
    end)

    for version, name in pairs { [0x0301] = "10", [0x0302] = "11", [0x0300] = "s3", [0x0002] = "s2", [0x1234] = "00" } do
      it(("names version 0x%04x %s"):format(version, name), function()
        assert.equal("t" .. name, ja4(hello { version = version }):sub(1, 3))
      end)
    end
  end)

  describe("ja3", function()
    it("is the published one of its example", function()
      -- 769,47-53-5-10-49161-49162-49171-49172-50-56-19-4,0-10-11,23-24-25,0
      assert.equal("ada70206e40642a3e4461f35503241d5", ja3(hello {
        version = 769, ciphers = { 47, 53, 5, 10, 49161, 49162, 49171, 49172, 50, 56, 19, 4 },
        extensions = { extension(0, vector(2, "\0" .. vector(2, "a.test"))), extension(10, vector(2, numbers { 23, 24, 25 })),
          extension(11, vector(1, "\0")) },
      }))
    end)

    it("is the published one of a client without extensions", function()
      assert.equal("de350869b8c85de67a350c8d186f11e6", ja3(hello { version = 769,
        ciphers = { 4, 5, 10, 9, 100, 98, 3, 6, 19, 18, 99 } }))
    end)

    it("takes no notice of GREASE, but of the order", function()
      local plain = hello { ciphers = { 1, 2 }, extensions = { extension(10, vector(2, numbers { 29 })) } }
      local greased = hello { ciphers = { 0x0a0a, 1, 0xeaea, 2 },
        extensions = { extension(0x3a3a), extension(10, vector(2, numbers { 0x4a4a, 29 })) } }
      assert.equal(ja3(plain), ja3(greased))
      assert.not_equal(ja3(plain), ja3(hello { ciphers = { 2, 1 }, extensions = { extension(10, vector(2, numbers { 29 })) } }))
    end)
  end)

  describe("ciphers and extensions", function()
    local message = hello { ciphers = { 0x0a0a, 0x1301, 0xc02b }, extensions = { extension(0x1a1a), extension(0x0017), extension(0xff01, "\0") } }

    it("are hashed as they were received", function()
      local it = trace(message)
      assert.equal(sha1_base64("\10\10\19\1\192\43"), tls.text(C.moon_hello_trace_ciphers(it)))
      assert.equal(sha1_base64("\26\26\0\23\255\1"), tls.text(C.moon_hello_trace_extensions(it, false)))
      assert.equal(sha1_base64("\26\26\23\0\1\255"), tls.text(C.moon_hello_trace_extensions(it, true)))
    end)

    it("are written once", function()
      local it = trace(message)
      assert.equal(C.moon_hello_trace_ja4(it).data, C.moon_hello_trace_ja4(it).data)
      assert.equal(C.moon_hello_trace_ciphers(it).data, C.moon_hello_trace_ciphers(it).data)
    end)
  end)

  describe("new()", function()
    it("refuses every beginning of a message, and bytes behind it", function()
      local whole = browser()
      for len = 0, #whole - 1 do assert.is_nil(trace(whole:sub(1, len)), len) end
      assert.is_nil(trace(whole .. "x"))
      assert.truthy(trace(whole))
    end)

    it("refuses another message, an odd list of ciphers and lists beyond its limit", function()
      assert.is_nil(trace("\2" .. browser():sub(2)))
      local odd = "\1" .. vector(3, "\3\3" .. ("r"):rep(32) .. "\0" .. vector(2, "\1\2\3") .. "\1\0")
      assert.is_nil(trace(odd))
      local many = {}
      for i = 1, 512 do many[i] = i end
      assert.truthy(trace(hello { ciphers = many }))
      many[513] = 513
      assert.is_nil(trace(hello { ciphers = many }))
    end)
  end)
end)
