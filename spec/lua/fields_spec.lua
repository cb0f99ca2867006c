-- The table of fields, and that each accessor reads the member it names.

local fields = require "moongate.fields"
local rules = require "moongate.rules"

local function names()
  local out = {}
  for _, field in ipairs(fields.list) do out[#out + 1] = field.name end
  return out
end

describe("moongate.fields", function()
  describe("list", function()
    it("names every field once", function()
      local seen = {}
      for _, name in ipairs(names()) do
        assert.is_nil(seen[name], name)
        seen[name] = true
      end
    end)

    for _, field in ipairs(fields.list) do
      it(("has a type and one line of help for %s"):format(field.name), function()
        assert.truthy(({ String = true, Boolean = true, IP = true, Integer = true })[field.type])
        assert.truthy(#field.help > 10 and not field.help:find("\n"))
      end)
    end
  end)

  describe("schema()", function()
    it("knows names and types without a request", function()
      local tree = rules.parse(fields.schema(), 'http.host eq "a" and ssl and ip.src in {192.0.2.0/24}')
      assert.truthy(tree)
    end)

    it("refuses a field that is not there", function()
      local tree, diagnostic = rules.parse(fields.schema(), 'http.hots eq "a"')
      assert.is_nil(tree)
      assert.equal(1, diagnostic.column)
    end)

    it("is the same each time", function()
      assert.equal(fields.schema(), fields.schema())
    end)
  end)

  describe("bind()", function()
    local bridge = require "moongate.ffi"
    local ffi = bridge.ffi
    local facts = ffi.new("struct moon_facts")
    local schema = fields.bind(facts)
    local kept = {}

    local function set(view, text)
      kept[#kept + 1] = text
      view.data, view.len = text, #text
    end

    local function read(name) return schema.fields[name].access() end

    for _, case in ipairs {
      { "http.host", "http_host" },
      { "http.request.method", "method" },
      { "http.request.uri", "uri" },
      { "http.request.uri.path", "path" },
      { "http.request.uri.query", "query" },
      { "http.user_agent", "user_agent" },
    } do
      it(("reads %s from facts.%s"):format(case[1], case[2]), function()
        set(facts[case[2]], "the value of " .. case[1])
        assert.equal("the value of " .. case[1], read(case[1]))
        set(facts[case[2]], "")
        assert.equal("", read(case[1]))
      end)
    end

    for _, name in ipairs { "issuer_dn", "subject_dn", "issuer_ski", "ski", "serial", "fingerprint_sha256" } do
      it(("reads cf.tls_client_auth.cert_%s"):format(name), function()
        set(facts.certificate[name], "text of " .. name)
        assert.equal("text of " .. name, read("cf.tls_client_auth.cert_" .. name))
      end)
    end

    for _, name in ipairs { "presented", "verified", "revoked" } do
      it(("reads cf.tls_client_auth.cert_%s"):format(name), function()
        for _, value in ipairs { true, false } do
          facts.certificate[name] = value
          assert.equal(value, read("cf.tls_client_auth.cert_" .. name))
        end
      end)
    end

    it("reads ssl", function()
      facts.ssl = true
      assert.is_true(read "ssl")
      facts.ssl = false
      assert.is_false(read "ssl")
    end)

    for _, bytes in ipairs { "\192\0\2\1", ("\32\1"):rep(8) } do
      it(("reads ip.src of %d bytes"):format(#bytes), function()
        ffi.copy(facts.ip, bytes, #bytes)
        facts.ip_len = #bytes
        assert.equal(bytes, read "ip.src")
      end)
    end

    it("reads the ray without the place that the header adds", function()
      set(facts.ray, "0123456789abcdef-MGT")
      assert.equal("0123456789abcdef", read "cf.ray_id")
      set(facts.ray, "short")
      assert.equal("short", read "cf.ray_id")
    end)

    for minor, text in pairs { [0] = "HTTP/1.0", [1] = "HTTP/1.1" } do
      it(("reads http.request.version %s"):format(text), function()
        facts.minor_version = minor
        assert.equal(text, read "http.request.version")
      end)
    end

    it("keeps bytes as they are", function()
      set(facts.path, "/a\0b\255")
      assert.equal("/a\0b\255", read "http.request.uri.path")
    end)

    it("has an accessor for every field of the list", function()
      for _, name in ipairs(names()) do
        local ok, value = pcall(schema.fields[name].access)
        assert.truthy(ok, name)
        assert.is_not_nil(value, name)
      end
    end)
  end)
end)
