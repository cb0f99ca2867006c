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
