-- The request as policy files see it.

local fields = require "moongate.fields"
local policy_state = require "spec.support.policy_state"

describe("moongate.request", function()
  local state, asked

  before_each(function()
    asked = 0
    state = policy_state.new(function(registry)
      registry.add_field { name = "tenant.name", type = "string", value = function(req)
        asked = asked + 1
        return req.headers["x-tenant"] or "none"
      end }
      registry.add_field { name = "tenant.peer", type = "ip", value = function() return "198.51.100.7" end }
      registry.add_field { name = "bad", type = "integer", value = function() return "seven" end }
    end)
    state:turn { host = "www.example.com", path = "/a/b.txt", uri = "/a/b.txt?q=1", query = "q=1", verified = true,
      fields = { { "X-Tenant", "acme" } } }
  end)

  local function current() return state.task.current() end

  it("gives every field by its name", function()
    local req = current()
    assert.equal("www.example.com", req["http.host"])
    assert.equal("/a/b.txt", req["http.request.uri.path"])
    assert.equal("/a/b.txt?q=1", req["http.request.uri"])
    assert.equal("192.0.2.1", req["ip.src"])
    assert.is_false(req["ssl"])
    assert.is_true(req["cf.tls_client_auth.cert_verified"])
    assert.equal("0123456789abcdef-MGT", req.ray)
  end)

  it("gives them with dots", function()
    local req = current()
    assert.equal("www.example.com", req.http.host)
    assert.equal("/a/b.txt", req.http.request.uri.path)
    assert.equal("q=1", req.http.request.uri.query)
    assert.is_true(req.cf.tls_client_auth.cert_verified)
    assert.equal("192.0.2.1", req.ip.src)
    assert.is_false(req.ssl)
  end)

  it("lets a folder that is a field pass for its text", function()
    local req = current()
    assert.equal("/a/b.txt?q=1", tostring(req.http.request.uri))
    assert.equal("uri /a/b.txt?q=1!", "uri " .. req.http.request.uri .. "!")
  end)

  it("gives a value by dots for every field but those that another one hides", function()
    local req = current()
    for _, field in ipairs(fields.list) do
      assert.has_no_error(function() return req[field.name] end)
    end
  end)

  it("makes no tables for names with dots", function()
    local req = current()
    assert.is_true(rawequal(req.http, req.http))
    assert.is_true(rawequal(req.cf.tls_client_auth, req.cf.tls_client_auth))
  end)

  it("gives the policies' own fields, asked once per request", function()
    local req = current()
    for _ = 1, 3 do assert.equal("acme", req.tenant.name) end
    assert.equal("acme", req["tenant.name"])
    assert.equal(1, asked)
    assert.equal("198.51.100.7", req.tenant.peer)
    state:turn { fields = { { "x-tenant", "other" } } }
    assert.equal("other", current().tenant.name)
    assert.equal(2, asked)
  end)

  it("raises an error that names the field whose value is wrong, and where it is written", function()
    local ok, err = pcall(function() return current().bad end)
    assert.is_false(ok)
    assert.truthy(err:find("request_spec%.lua:%d+: the field bad: expected a value of type Integer, got a string"), err)
  end)

  for _, name in ipairs { "nothing", "http.nothing", "tenant" .. "x" } do
    it("has no member " .. name, function() assert.has_error(function() return current()[name] end) end)
  end

  it("has no field under a node that there is not", function()
    assert.has_error(function() return current().http.request.nothing end)
    assert.has_error(function() return current().http.nothing.at.all end)
  end)

  it("cannot be changed but for its headers", function()
    assert.has_error(function() current().ray = "x" end)
    assert.has_error(function() current().http.host = "x" end)
    current().headers["x-new"] = "1"
    local removed, added = state.request.changes(current())
    assert.same({ "x-new" }, removed)
    assert.same({ "x-new", "1" }, added)
  end)

  it("is the same object during a turn, and another one in the next", function()
    local req = current()
    assert.equal(req, current())
    state:turn {}
    assert.is_false(rawequal(req, current()))
  end)

  it("refuses use when it is not its turn, and works again when it is", function()
    local req = current()
    local headers, serial = req.headers, require("moongate.turn").serial
    state:turn {}
    for _, use in ipairs { function() return req.http.host end, function() return req.ray end, function() return req["http.host"] end,
      function() return headers["x-tenant"] end, function() req.headers["x"] = "y" end } do
      local ok, err = pcall(use)
      assert.is_false(ok)
      assert.truthy(err:find("has ended", 1, true), err)
    end
    assert.equal("request (ended)", tostring(req))
    state:turn { serial = serial, host = "again.example.com" }
    assert.equal("again.example.com", req.http.host)
  end)

  it("refuses use when there is no request at all", function()
    local node = current().http
    require("moongate.turn").serial = 0
    assert.has_error(function() return node.host end)
  end)

  it("keeps its headers as they are once it is on its way", function()
    local req = current()
    local _ = req.headers
    state.request.freeze(req)
    assert.equal("acme", req.headers["x-tenant"])
    local ok, err = pcall(function() req.headers["x-a"] = "b" end)
    assert.is_false(ok)
    assert.truthy(err:find("on its way", 1, true))
  end)

  it("shows nothing of what is inside", function()
    local req = current()
    assert.has_error(function() return next(req) end)
    assert.is_false(getmetatable(req))
    assert.has_error(function() return next(req.http) end)
    assert.is_false(getmetatable(req.http))
  end)

  it("cannot wait for its body outside of a handler", function()
    local ok, err = pcall(function() return current():body() end)
    assert.is_false(ok)
    assert.truthy(err:find("only handlers", 1, true), err)
    ok, err = pcall(function() current():route "http://127.0.0.1" end)
    assert.is_false(ok)
    assert.truthy(err:find("on(\"request\")", 1, true), err)
  end)
end)
