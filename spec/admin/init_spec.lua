local support = require "spec.support.admin"

local NOWHERE = ("0"):rep(32)

describe("moongate.admin", function()
  local gate, zone

  setup(function()
    gate = assert(support.start())
    zone = gate:zone "heron.test"
  end)
  teardown(function() gate:close() end)

  local function code(answer) return answer.body.errors[1] and answer.body.errors[1].code end

  describe("the envelope", function()
    it("has all four keys on success, and the documented headers", function()
      local answer = gate:call("GET", "/zones/" .. zone.id)
      assert.equal(200, answer.status)
      assert.is_true(answer.body.success)
      assert.truthy(answer.raw:find('"errors":[]', 1, true))
      assert.truthy(answer.raw:find('"messages":[]', 1, true))
      assert.equal("application/json", answer.headers["content-type"])
      assert.equal("no-store", answer.headers["cache-control"])
    end)

    it("has a null result and no result_info on failure", function()
      local json = require "moongate.json"
      local answer = gate:call("GET", "/zones/" .. NOWHERE)
      assert.is_false(answer.body.success)
      assert.equal(json.null, answer.body.result)
      assert.truthy(answer.raw:find('"messages":[]', 1, true))
      assert.is_nil(answer.body.result_info)
    end)
  end)

  describe("routing", function()
    for _, case in ipairs {
      { "an unknown path", "GET", "/nowhere" },
      { "a trailing slash", "GET", "/zones/" },
      { "the base path alone", "GET", "" },
      { "a doubled slash", "GET", "//zones" },
      { "a broken percent escape", "GET", "/zones/%zz" },
      { "an encoded NUL", "GET", "/zones/%00" },
    } do
      it("answers 404 with 7000 to " .. case[1], function()
        local answer = gate:call(case[2], case[3])
        assert.equal(404, answer.status)
        assert.equal(7000, code(answer))
      end)
    end

    it("answers 404 with 7000 outside the base path", function()
      local answer = gate:call("GET", "/zones", nil, { base = "" })
      assert.equal(404, answer.status)
      assert.equal(7000, code(answer))
    end)

    it("answers 405 with 7001 and Allow to another method", function()
      local answer = gate:call("PATCH", "/moongate/status")
      assert.equal(405, answer.status)
      assert.equal(7001, code(answer))
      assert.equal("GET", answer.headers["allow"])
    end)

    it("accepts an empty query and a body on GET", function()
      assert.equal(200, gate:call("GET", "/zones?", "null").status)
    end)

    it("decodes path segments once", function()
      local encoded = zone.id:gsub("^.", function(c) return ("%%%02x"):format(c:byte()) end)
      assert.equal(200, gate:call("GET", "/zones/" .. encoded).status)
    end)
  end)

  describe("every route", function()
    local admin = require "moongate.admin"
    local permissions = require "moongate.admin.permissions"

    local function target(route)
      return (route.path:gsub("{(.-)}", function(name)
        if name == "zone_id" then return zone.id end
        if name == "account_id" then return gate.account_id end
        if name == "certificate_id" then return "5d1c0f0a-77a3-4a53-9c3f-0a9b1c2d3e4f" end
        if name == "phase" then return "http_request_firewall_custom" end
        return "a.heron.test"
      end))
    end

    for _, route in ipairs(admin.routes()) do
      local title = route.method .. " " .. route.path
      it("refuses " .. title .. " without a token", function()
        local answer = gate:call(route.method, target(route), nil, { token = false })
        assert.equal(route.verifies == "account" and 401 or 400, answer.status)
        assert.equal(route.verifies == "account" and 1001 or 9106, code(answer))
      end)

      it("refuses " .. title .. " with an unknown token", function()
        local answer = gate:call(route.method, target(route), nil, { token = ("x"):rep(40), address = "192.0.2." .. #title })
        assert.equal(route.verifies and 401 or 403, answer.status)
        assert.equal(route.verifies and 1000 or 9109, code(answer))
      end)

      local level = route.permission.level
      if level ~= "any" and not (route.method == "GET" and route.path == "/zones") then
        it("refuses " .. title .. " to a token with every other permission", function()
          local others = {}
          for _, group in ipairs(permissions.list) do
            if not route.permission.allow[group.id] then others[#others + 1] = group.name end
          end
          local answer = gate:call(route.method, target(route), {}, { token = gate:token(others) })
          assert.equal(403, answer.status)
          assert.equal(level == "user" and 9109 or 10000, code(answer))
        end)

        it("lets " .. title .. " pass with each permission that is enough", function()
          for id in pairs(route.permission.allow) do
            local token = gate:token { permissions.by_id[id].name }
            local answer = gate:call(route.method, target(route), "not json", { token = token })
            assert.is_true(answer.status == 204 or code(answer) ~= 10000)
            if route.method == "DELETE" and route.path == "/zones/{zone_id}" then zone = gate:zone "heron.test" end
          end
        end)
      end
    end
  end)

  describe("the order of checks", function()
    it("looks at the path before the credentials", function()
      assert.equal(7000, code(gate:call("GET", "/nowhere", nil, { token = false })))
    end)

    it("looks at the method before the credentials", function()
      assert.equal(7001, code(gate:call("PUT", "/accounts", nil, { token = false })))
    end)

    it("looks at the credentials before the form of ids", function()
      assert.equal(9106, code(gate:call("GET", "/zones/abc", nil, { token = false })))
    end)

    it("looks at the form of ids before the permission", function()
      local answer = gate:call("GET", "/zones/abc", nil, { token = gate:token { "DNS Read" } })
      assert.equal(404, answer.status)
      assert.equal(7003, code(answer))
      assert.equal("Could not route to /client/v4/zones/abc, perhaps your object identifier is invalid?",
        answer.body.errors[1].message)
    end)

    it("looks at the permission before existence, so that foreign ids stay unknown", function()
      local token = gate:token { policies = { { effect = "allow",
        permission_groups = { { id = "c8fed203ed3043cba015a93ad1616f1f" } },
        resources = { ["com.cloudflare.api.account.zone." .. zone.id] = "*" } } } }
      assert.equal(200, gate:call("GET", "/zones/" .. zone.id, nil, { token = token }).status)
      local answer = gate:call("GET", "/zones/" .. NOWHERE, nil, { token = token })
      assert.equal(403, answer.status)
      assert.equal(10000, code(answer))
    end)

    it("looks at existence before the body", function()
      local answer = gate:call("PUT", "/zones/" .. NOWHERE .. "/certificate_authorities/hostname_associations", "not json")
      assert.equal(404, answer.status)
      assert.equal(7003, code(answer))
    end)

    it("looks at the body before the object", function()
      local answer = gate:call("PUT", "/zones/" .. zone.id .. "/certificate_authorities/hostname_associations",
        { hostnames = 7, mtls_certificate_id = "5d1c0f0a-77a3-4a53-9c3f-0a9b1c2d3e4f" })
      assert.equal(400, answer.status)
      assert.equal(1400, code(answer))
    end)

    it("answers 9109 to an unknown zone itself", function()
      local answer = gate:call("GET", "/zones/" .. NOWHERE)
      assert.equal(404, answer.status)
      assert.equal(9109, code(answer))
      assert.equal("Invalid zone identifier", answer.body.errors[1].message)
    end)

    it("answers 7003 to an unknown account", function()
      assert.equal(7003, code(gate:call("GET", "/accounts/" .. NOWHERE)))
    end)
  end)

  describe("bodies", function()
    local function post(body, headers) return gate:call("POST", "/zones", body, { headers = headers }) end

    for _, case in ipairs {
      { "nothing", "" },
      { "half an object", '{"name":' },
      { "a second value", '{"name":"a.test"} {}' },
      { "a key twice", '{"name":"a.test","name":"b.test"}' },
      { "invalid UTF-8", '{"name":"a\255.test"}' },
      { "a NUL in a string", '{"name":"a\\u0000.test"}' },
      { "33 levels", ('{"x":'):rep(33) .. "1" .. ("}"):rep(33) },
      { "a depth bomb", ("["):rep(500000) },
      { "an array where an object is needed", "[]" },
      { "null where an object is needed", "null" },
    } do
      it("refuses " .. case[1] .. " as malformed", function()
        local answer = post(case[2])
        assert.equal(400, answer.status)
        assert.equal(6007, code(answer))
      end)
    end

    for _, case in ipairs {
      { "tokens", "/user/tokens", 1198 }, { "mTLS certificates", "/accounts/%s/mtls_certificates", 1400 },
      { "rulesets", "/accounts/%s/rulesets", nil },
    } do
      it("calls a body that is no object malformed in the words of " .. case[1], function()
        for _, body in ipairs { "[]", "null", "7", '"x"' } do
          local answer = gate:call("POST", case[2]:format(gate.account_id), body)
          assert.equal(400, answer.status)
          assert.equal(case[3], code(answer))
        end
      end)
    end

    it("refuses more than 1 MiB with 413", function()
      local answer = post('{"name":"' .. ("x"):rep(1024 * 1024) .. '"}')
      assert.equal(413, answer.status)
      assert.equal(10413, code(answer))
    end)

    for _, kind in ipairs { "multipart/form-data; boundary=x", "application/x-www-form-urlencoded" } do
      it("refuses " .. kind, function()
        local answer = post("name=a.test", { ["Content-Type"] = kind })
        assert.equal(400, answer.status)
        assert.equal(6003, code(answer))
        assert.equal(6105, answer.body.errors[1].error_chain[1].code)
      end)
    end

    it("reads JSON whatever textual type it claims", function()
      local made = post('{"name":"plain.test"}', { ["Content-Type"] = "text/plain;charset=UTF-8" })
      assert.equal(200, made.status)
      gate:call("DELETE", "/zones/" .. made.body.result.id)
    end)

    it("collects all mistakes, each with its pointer", function()
      local answer = gate:call("POST", ("/accounts/%s/mtls_certificates"):format(gate.account_id), { name = 7 })
      local pointers = {}
      for index, err in ipairs(answer.body.errors) do pointers[index] = err.source.pointer end
      assert.same({ "/ca", "/certificates", "/name" }, pointers)
    end)
  end)

  describe("a write", function()
    it("is served when it is answered, by a new generation", function()
      local before = gate.control.generation
      local made = gate:zone "served.test"
      assert.equal(before + 1, gate.control.generation)
      assert.equal(made.id, gate.control.served["served.test"].id)
      gate:call("DELETE", "/zones/" .. made.id)
      assert.is_nil(gate.control.served["served.test"])
    end)

    it("changes nothing when it cannot be served, and says why", function()
      local before, published = gate:call("GET", "/moongate/status").body.result.generation, gate.control.publications
      gate.control.refuse_section = function() return { where = "trust set", text = "it is broken" } end
      local answer = gate:call("POST", "/zones", { name = "broken.test" })
      gate.control.refuse_section = nil
      assert.equal(400, answer.status)
      assert.equal(21004, code(answer))
      assert.truthy(answer.body.errors[1].message:find("trust set: it is broken", 1, true))
      assert.equal(before, gate:call("GET", "/moongate/status").body.result.generation)
      assert.equal(published, gate.control.publications)
      assert.equal(0, gate:call("GET", "/zones?name=broken.test").body.result_info.total_count)
    end)

    it("changes nothing when the snapshot cannot be built", function()
      gate.control.refuse_snapshot = function() return { where = "snapshot", text = "no" } end
      local answer = gate:call("POST", "/zones", { name = "broken.test" })
      gate.control.refuse_snapshot = nil
      assert.equal(21004, code(answer))
      assert.equal(0, gate:call("GET", "/zones?name=broken.test").body.result_info.total_count)
    end)

    it("says that it is stored when the workers do not follow", function()
      gate.control.refuse_publish = function() return { where = "worker 2", text = "it does not answer" } end
      local answer = gate:call("POST", "/zones", { name = "late.test" })
      gate.control.refuse_publish = nil
      assert.equal(503, answer.status)
      assert.equal(21003, code(answer))
      assert.equal("1", answer.headers["retry-after"])
      local found = gate:call("GET", "/zones?name=late.test").body.result[1]
      assert.equal("late.test", found.name)
      gate:call("DELETE", "/zones/" .. found.id)
    end)

    it("rebuilds the sections of changed zones only", function()
      gate:zone "one.test"
      local two = gate:zone "two.test"
      local before = gate.control.sections
      gate:call("PUT", "/zones/" .. two.id .. "/moongate/origins/*", { url = "http://127.0.0.1:9000" })
      assert.equal(before + 1, gate.control.sections)
    end)

    it("leaves a row in the audit log, with the generation it made", function()
      local made = gate:zone "audited.test"
      gate.app.store:read(function(tx)
        local row = tx:one("SELECT * FROM audit ORDER BY id DESC LIMIT 1")
        assert.equal("POST /zones", row.action)
        assert.equal("/client/v4/zones", row.object)
        assert.equal("127.0.0.1", row.address)
        assert.equal(gate.control.generation, row.generation)
        return true
      end)
      gate:call("DELETE", "/zones/" .. made.id)
    end)

    it("leaves none when it is refused", function()
      local function rows()
        return gate.app.store:read(function(tx) return tx:one("SELECT count(*) AS n FROM audit").n end)
      end
      local before = rows()
      gate:call("POST", "/zones", { name = "not a name" })
      assert.equal(before, rows())
    end)
  end)

  context("when the store fails", function()
    local function with_failure(kind)
      local store = gate.app.store
      gate.app.app.store = {
        read = function(_, work) return store:read(work) end,
        write = function() return nil, { store = kind, text = "spec" } end,
      }
      local answer = gate:call("POST", "/zones", { name = "unlucky.test" })
      gate.app.app.store = store
      return answer
    end

    it("answers 503 with Retry-After when it cannot be reached", function()
      local answer = with_failure "busy"
      assert.equal(503, answer.status)
      assert.equal("5", answer.headers["retry-after"])
    end)

    it("answers 507 when the disk is full", function()
      assert.equal(507, with_failure("full").status)
    end)
  end)

  it("answers 500 with 10013 to a bug, logs it, and shows nothing of it", function()
    local status = gate.control.status
    gate.control.status = function() error("secret detail") end
    local answer = gate:call("GET", "/moongate/status")
    gate.control.status = status
    assert.equal(500, answer.status)
    assert.equal(10013, code(answer))
    assert.is_nil(answer.raw:find("secret detail", 1, true))
    assert.is_true(gate:logged "secret detail")
  end)

  it("never logs a token", function()
    gate:call("GET", "/zones", nil, { token = ("leak"):rep(10) })
    assert.is_false(gate:logged(("leak"):rep(10)))
    assert.is_false(gate:logged(gate.owner))
  end)
end)
