local harness = require "spec.rules.harness"
local rules = require "moongate.rules"

describe("moongate.rules.document", function()
  local request = { values = {} }
  local schema = harness.schema(harness.scheme, request)

  local function document(list)
    for i, expression in ipairs(list) do
      list[i] = { expression = expression, action = "block" }
    end
    return assert(rules.document(schema, list))
  end

  it("touches only a host's own rules and the general ones", function()
    local list = {}
    for i = 1, 500 do
      list[i] = ('http.host eq "h%d.example" and ssl'):format(i)
    end
    list[501] = "cf.waf.score gt 50"
    list[502] = '(http.host in {"h7.example" "h8.example"} or http.host eq "h9.example") and ssl'
    list[503] = 'not http.host eq "h1.example" and ssl'
    list[504] = 'http.host eq "a" and http.host eq "h7.example"'
    local d = document(list)
    assert.same({ 7, 501, 502, 503 }, d:candidates { ["http.host"] = "h7.example" })
    assert.same({ 501, 503 }, d:candidates { ["http.host"] = "zzz" })
    assert.same({ 9, 501, 502, 503 }, d:candidates { ["http.host"] = "h9.example" })
    assert.is_nil(d:candidates {})
    assert.same({ 501, 503, 504 }, d:candidates { ["http.host"] = "a" })
  end)

  it("gives every host what all rules would have given it", function()
    math.randomseed(20)
    local hosts = { "a", "b", "c", "d" }
    local function term()
      local kind = math.random(6)
      local host = hosts[math.random(#hosts)]
      if kind == 1 then
        return ('http.host eq "%s"'):format(host)
      elseif kind == 2 then
        return ('http.host in {"%s" "%s"}'):format(host, hosts[math.random(#hosts)])
      elseif kind == 3 then
        return ('http.host ne "%s"'):format(host)
      elseif kind == 4 then
        return "ssl"
      elseif kind == 5 then
        return ('not http.host eq "%s"'):format(host)
      end
      return ('http.host wildcard "%s*"'):format(host)
    end
    local words = { " and ", " or ", " xor " }
    for _ = 1, 60 do
      local list = {}
      for i = 1, 8 do
        list[i] = "(" .. term() .. words[math.random(3)] .. term() .. ")" .. words[math.random(3)] .. term()
      end
      local d = document(list)
      local plain = assert(d:specialise())
      for _, host in ipairs { "a", "b", "c", "d", "e" } do
        for _, ssl in ipairs { true, false } do
          request.values = { ["http.host"] = host, ssl = ssl }
          local expected = plain.run()
          assert.equal(expected, assert(d:specialise { constants = { ["http.host"] = host } }).run())
        end
      end
    end
  end)

  it("names the fields that its rules mention", function()
    local d = document { 'ssl and any(lower(http.request.headers.names[*])[*] eq "a") or http.request.headers["x"][0] eq "b"', "true" }
    assert.same({ ssl = true, ["http.request.headers.names"] = true, ["http.request.headers"] = true, ["true"] = true }, d:field_names())
  end)

  it("refuses a list that the host does not have, at its place", function()
    local d = document { "ssl", "ssl and http.host in $none" }
    local ruleset, diag, index = d:specialise { find_list = function() return nil end }
    assert.is_nil(ruleset)
    assert.equal(2, index)
    assert.equal('list "none" does not exist', diag.message)
    assert.equal(9, diag.column)
  end)

  it("asks a list at run time, so that its members may change", function()
    local members = { a = true }
    request.values = { ["http.host"] = "a" }
    local ruleset = assert(document({ "http.host in $l" }):specialise { find_list = function(name, kind)
      assert.same({ "l", "String" }, { name, kind })
      return function(value) return members[value] == true end
    end })
    assert.equal(1, ruleset.run())
    members.a = nil
    assert.equal(0, ruleset.run())
  end)
end)
