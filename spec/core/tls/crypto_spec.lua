-- The primitives, and that the environment has no say.

local ffi = require "ffi"
local tls = require "spec.support.cdef_tls"
local certs = require "spec.support.certs"
local unit = require "spec.support.unit"

local C = tls.C

describe("tls.crypto", function()
  describe("sha256()", function()
    local function hex_of(text)
      local digest = ffi.new("unsigned char[32]")
      C.moon_sha256(digest, tls.str(text))
      return (ffi.string(digest, 32):gsub(".", function(c) return ("%02x"):format(c:byte()) end))
    end

    it("knows the value of FIPS 180", function()
      assert.equal("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad", hex_of("abc"))
    end)

    for _, text in ipairs { "", "a\0b", ("x"):rep(1000) } do
      it(("of %q is that of the openssl command"):format(text:sub(1, 8)), function()
        assert.equal(certs.openssl("dgst -sha256 -r " .. certs.write(text)):match("^%x+"), hex_of(text))
      end)
    end
  end)

  describe("random()", function()
    it("fills all of the room, and never twice with the same", function()
      local function draw(size)
        local room = ffi.new("unsigned char[?]", size + 1)
        C.moon_random(room, size)
        assert.equal(0, room[size])
        return ffi.string(room, size)
      end
      assert.not_equal(draw(16), draw(16))
      local long = draw(10000)
      assert.is_nil(long:find(("%z"):rep(8)))
      assert.not_equal(long:sub(1, 4096), long:sub(4097, 8192))
    end)
  end)

  describe("equal_constant_time()", function()
    it("compares bytes", function()
      assert.is_true(C.moon_equal_constant_time("secret", "secret", 6))
      assert.is_false(C.moon_equal_constant_time("secret", "secreT", 6))
      assert.is_true(C.moon_equal_constant_time("secret", "secreT", 5))
      assert.is_true(C.moon_equal_constant_time("", "", 0))
    end)
  end)

  describe("seal() and open()", function()
    local KEY, OTHER = ("k"):rep(32), ("o"):rep(32)

    local function seal(plain, context, key)
      local room = ffi.new("unsigned char[?]", #plain + 28)
      C.moon_seal(room, key or KEY, tls.str(plain), tls.str(context or ""))
      return ffi.string(room, #plain + 28)
    end
    local function open(sealed, context, key)
      local room = ffi.new("unsigned char[?]", math.max(#sealed, 1))
      if not C.moon_open(room, key or KEY, tls.str(sealed), tls.str(context or "")) then
        return nil, ffi.string(room, #sealed)
      end
      return ffi.string(room, #sealed - 28)
    end

    for _, plain in ipairs { "", "x", "a\0b", ("0123456789abcdef"):rep(2), ("long"):rep(5000) } do
      it(("give back %d bytes"):format(#plain), function()
        assert.equal(plain, open(seal(plain, "t:c:1"), "t:c:1"))
      end)
    end

    it("never make the same text twice, nor one that shows the secret", function()
      local one, two = seal("the secret", "a"), seal("the secret", "a")
      assert.not_equal(one, two)
      assert.not_equal(one:sub(1, 12), two:sub(1, 12))
      assert.is_nil(one:find("secret", 1, true))
    end)

    it("know a text of the standard (NIST, 256-bit key, test case 16)", function()
      local function bytes(text) return (text:gsub("%x%x", function(c) return string.char(tonumber(c, 16)) end)) end
      local sealed = bytes("cafebabefacedbaddecaf888522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa8cb08e48590dbb3d"
        .. "a7b08b1056828838c5f61e6393ba7a0abcc9f66276fc6ece0f4e1768cddf8853bb2d551b")
      assert.equal(bytes("d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39"),
        open(sealed, bytes "feedfacedeadbeeffeedfacedeadbeefabaddad2",
          bytes "feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308"))
    end)

    for title, spoil in pairs {
      ["another key"] = function(sealed) return sealed, "ctx", OTHER end,
      ["another context"] = function(sealed) return sealed, "ctz" end,
      ["no context"] = function(sealed) return sealed, "" end,
      ["one bit of the nonce changed"] = function(sealed) return string.char(bit.bxor(sealed:byte(), 1)) .. sealed:sub(2), "ctx" end,
      ["one bit of the text changed"] = function(sealed)
        return sealed:sub(1, 12) .. string.char(bit.bxor(sealed:byte(13), 128)) .. sealed:sub(14), "ctx"
      end,
      ["one bit of the tag changed"] = function(sealed)
        return sealed:sub(1, -2) .. string.char(bit.bxor(sealed:byte(-1), 1)), "ctx"
      end,
      ["a byte missing"] = function(sealed) return sealed:sub(1, -2), "ctx" end,
      ["27 bytes"] = function(sealed) return sealed:sub(1, 27), "ctx" end,
      ["nothing"] = function() return "", "ctx" end,
    } do
      it("open nothing with " .. title .. ", and leave nothing of the secret", function()
        local plain, room = open(spoil(seal("the secret text", "ctx")))
        assert.is_nil(plain)
        assert.is_nil(room:find("secret", 1, true))
        assert.equal(0, tonumber(C.ERR_peek_last_error()))
      end)
    end
  end)

  describe("init()", function()
    it("ignores the configuration file and forgets what the environment says", function()
      -- a configuration that would make every TLS context fail to be what we ask for
      local configuration = certs.write("openssl_conf=a\n[a]\nssl_conf=b\n[b]\nsystem_default=c\n[c]\nMaxProtocol=TLSv1.2\n"
        .. "CipherString=NULL\nOptions=SessionTicket\n")
      local program = certs.write(([[
        local ffi = require "ffi"
        ffi.cdef "void moon_crypto_init(void); void *SSL_CTX_new(const void *); const void *TLS_server_method(void); long SSL_CTX_ctrl(void *, int, long, void *);"
        local C = ffi.load(%q, true)
        C.moon_crypto_init()
        C.moon_crypto_init()
        local ctx = C.SSL_CTX_new(C.TLS_server_method())
        print(os.getenv("OPENSSL_CONF"), os.getenv("SSL_CERT_FILE"), os.getenv("OPENSSL_MODULES"),
          tonumber(C.SSL_CTX_ctrl(ctx, 131, 0, nil)))
      ]]):format(unit.library()), ".lua")
      local pipe = io.popen(("OPENSSL_CONF=%s SSL_CERT_FILE=/x OPENSSL_MODULES=/x luajit %s 2>&1"):format(configuration, program))
      local told = pipe:read("*a")
      pipe:close()
      assert.equal("nil\tnil\tnil\t0\n", told) -- SSL_CTRL_GET_MAX_PROTO_VERSION: none was set
    end)
  end)
end)
