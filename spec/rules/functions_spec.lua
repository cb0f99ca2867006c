-- What each function answers stands in cases/12-functions.jsonl; here is what holds for all of them.

local functions = require "moongate.rules.functions"
local functions_host = require "moongate.rules.functions_host"
local harness = require "spec.rules.harness"
local rules = require "moongate.rules"
local regex = require "moongate.rules.regex"

describe("moongate.rules.functions", function()
  local crypto = { sha256 = function() return ("\0"):rep(32) end, hmac_sha256 = function() return ("\0"):rep(32) end }
  local known = functions_host.builtin(crypto, regex)

  it("are all there", function()
    for name in ([[lower upper len starts_with ends_with concat substring cidr cidr6 url_decode decode_base64 encode_base64 sha256
      lookup_json_string lookup_json_integer has_key has_value join split remove_bytes remove_query_args regex_replace
      wildcard_replace to_string uuidv4 is_timed_hmac_valid_v0]]):gmatch "%S+" do
      assert.is_table(known[name], name)
    end
  end)

  for name, def in pairs(known) do
    it(name .. " describes itself", function()
      assert.equal(name, def.name)
      assert.is_string(def.help)
      assert.is_true(def.resolve ~= nil or def.returns ~= nil and def.call ~= nil)
      local is_optional = false
      for _, param in ipairs(def.params) do
        assert.is_true(not is_optional or param.optional, "a required parameter behind an optional one")
        is_optional = param.optional or false
      end
    end)
  end

  it("use the host's hashes", function()
    local seen
    local own = functions_host.builtin({
      sha256 = function(message) seen = message return ("\171"):rep(32) end,
      hmac_sha256 = function(key) seen = key return ("\0"):rep(32) end,
    })
    assert.equal(("\171"):rep(32), own.sha256.call "x")
    assert.equal("x", seen)
    assert.equal("abababab-abab-4bab-abab-abababababab", own.uuidv4.call "seed")
    own.is_timed_hmac_valid_v0.call("key", "/a1700000000-" .. ("A"):rep(44), 60, 1700000000)
    assert.equal("key", seen)
    assert.is_nil(own.regex_replace)
  end)

  it("share the function that the generator calls", function()
    assert.equal("lower", functions.lower.name)
  end)

  it("answer a host's own function, missing results included", function()
    local types = require "moongate.rules.types"
    local schema = rules.new_schema {
      fields = { { name = "host", type = "String", access = function() return "a.b.c" end } },
      functions = { {
        name = "label", params = { { types = { types.string } }, { types = { types.integer } } }, returns = types.string, may_miss = true,
        call = function(s, n)
          local i = 0
          for part in s:gmatch "[^.]+" do
            if i == n then
              return part
            end
            i = i + 1
          end
        end,
      } },
    }
    local function verdict(expression)
      return assert(rules.compile(schema, { { expression = expression, action = "block" } })).run() == 1
    end
    assert.is_true(verdict 'label(host, 1) eq "b"')
    assert.is_false(verdict 'label(host, 5) ne "b"')
    assert.is_true(verdict 'not label(host, 5) ne "b"')
  end)

  it("may be called once or nested but a replacement only once", function()
    local schema = harness.schema(harness.scheme, { values = {} })
    assert.is_table((rules.parse(schema, 'lower(lower(http.host)) eq "a" and lower(http.host) eq "a"')))
    local _, diag = rules.parse(schema, 'wildcard_replace(http.host, "*", "a") eq "a" or regex_replace(http.host, "a", "b") eq "b"')
    assert.matches("only one call", diag.message)
    assert.equal(49, diag.column)
  end)
end)
