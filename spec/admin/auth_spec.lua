local support = require "spec.support.admin"

describe("moongate.admin.auth", function()
  local gate

  before_each(function() gate = assert(support.start()) end)
  after_each(function() gate:close() end)

  local function ask(headers, address)
    return gate:call("GET", "/accounts", nil, { token = false, headers = headers, address = address })
  end
  local function code(answer) return answer.body.errors[1] and answer.body.errors[1].code end
  local function chain(answer) return answer.body.errors[1].error_chain and answer.body.errors[1].error_chain[1].code end

  describe("credentials", function()
    for _, case in ipairs {
      { "none", {}, 400, 9106 },
      { "Basic", { Authorization = "Basic eDp5" }, 400, 6003, 6111 },
      { "a bearer without a token", { Authorization = "Bearer " }, 400, 6003, 6111 },
      { "two words after Bearer", { Authorization = "Bearer a b" }, 400, 6003, 6111 },
      { "a bare word", { Authorization = ("x"):rep(40) }, 400, 6003, 6111 },
      { "stray characters", { Authorization = "Bearer " .. ("x"):rep(39) .. "!" }, 403, 10001 },
      { "an unknown token", { Authorization = "Bearer " .. ("x"):rep(40) }, 403, 9109 },
      { "a token that is too short", { Authorization = "Bearer x" }, 403, 9109 },
      { "a key without an e-mail", { ["X-Auth-Key"] = ("a"):rep(37) }, 400, 6003, 6102 },
      { "an e-mail that is none", { ["X-Auth-Key"] = ("a"):rep(37), ["X-Auth-Email"] = "x" }, 400, 6003, 6102 },
      { "an e-mail without a key", { ["X-Auth-Email"] = "a@b.test" }, 400, 6003, 6103 },
      { "a short key", { ["X-Auth-Key"] = "a", ["X-Auth-Email"] = "a@b.test" }, 400, 6003, 6103 },
      { "an unknown key pair", { ["X-Auth-Key"] = ("a"):rep(37), ["X-Auth-Email"] = "a@b.test" }, 403, 9103 },
      { "a user service key alone", { ["X-Auth-User-Service-Key"] = "v1.0-x" }, 400, 6003, 6111 },
    } do
      it(("of the form %s give %d with %d"):format(case[1], case[3], case[4]), function()
        local answer = ask(case[2])
        assert.equal(case[3], answer.status)
        assert.equal(case[4], code(answer))
        assert.equal(case[5], chain(answer))
      end)
    end

    it("may write the scheme in any case", function()
      assert.equal(200, ask({ Authorization = "bearer " .. gate.owner }).status)
      assert.equal(200, ask({ Authorization = "BEARER " .. gate.owner }).status)
    end)

    it("count as a token when a key is there too", function()
      assert.equal(200, ask({ Authorization = "Bearer " .. gate.owner, ["X-Auth-Key"] = "x", ["X-Auth-Email"] = "y" }).status)
    end)
  end)

  describe("a token", function()
    local function bearer(token) return ask({ Authorization = "Bearer " .. token }) end

    it("has forty to eighty characters of the alphabet, 256 bits more than what is stored of it in the clear", function()
      assert.truthy(#gate.owner >= 40 and #gate.owner <= 80)
      assert.truthy((#gate.owner - 8) * 6 >= 256)
      assert.is_nil(gate.owner:find("[^0-9A-Za-z_-]"))
    end)

    it("is found nowhere in the store's files", function()
      gate.app.store.connection:script("PRAGMA wal_checkpoint(TRUNCATE)")
      for _, suffix in ipairs { "", "-wal", "-shm" } do
        local file = io.open(gate.directory .. "/data/moongate.db" .. suffix, "rb")
        if file then
          local bytes = file:read("*a")
          file:close()
          assert.is_nil(bytes:find(gate.owner, 1, true))
          assert.is_nil(bytes:find(gate.owner:sub(9), 1, true))
        end
      end
    end)

    it("is refused when one character differs, at either end", function()
      local function flip(character) return character == "a" and "b" or "a" end
      assert.equal(403, bearer(flip(gate.owner:sub(1, 1)) .. gate.owner:sub(2)).status)
      assert.equal(403, bearer(gate.owner:sub(1, -2) .. flip(gate.owner:sub(-1))).status)
      assert.equal(403, bearer(gate.owner .. "a").status)
    end)

    it("is refused when it is disabled, expired or not yet valid", function()
      assert.equal(403, bearer(gate:token { status = "disabled" }).status)
      local token = gate:token { expires_on = "2026-02-02T02:40:00Z" }
      assert.equal(403, bearer(token).status)
      gate.control.clock = gate.control.clock - 1
      assert.equal(200, bearer(token).status)
      gate.app.store:write(function(tx) return tx:run("UPDATE tokens SET not_before = '2026-02-02T02:40:00Z'") end)
      assert.equal(403, bearer(token).status)
    end)

    it("may do nothing when its policies cannot be read", function()
      gate.app.store:write(function(tx) return tx:run("UPDATE tokens SET policies = '{'") end)
      assert.equal(403, bearer(gate.owner).status)
    end)

    it("stops working at once when it is revoked", function()
      local auth = require "moongate.admin.auth"
      gate.app.store:write(function(tx)
        assert.equal(1, auth.revoke(tx, "spec"))
        return true
      end)
      assert.equal(403, bearer(gate.owner).status)
    end)

    it("has its last use noted, at most once a minute, without a new generation", function()
      local function last_used() return gate.app.store:read(function(tx) return tx:one("SELECT last_used_on FROM tokens").last_used_on end) end
      local generation = gate.control.generation
      bearer(gate.owner)
      assert.equal("2026-02-02T02:40:00Z", last_used())
      gate.control.clock = gate.control.clock + 30
      bearer(gate.owner)
      assert.equal("2026-02-02T02:40:00Z", last_used())
      gate.control.clock = gate.control.clock + 31
      bearer(gate.owner)
      assert.equal("2026-02-02T02:41:01Z", last_used())
      assert.equal(generation, gate:call("GET", "/moongate/status").body.result.generation)
    end)

    it("that an account owns reaches nothing outside it", function()
      local foreign = gate:account "other"
      local token = gate:token { account_id = foreign }
      assert.equal(403, gate:call("GET", "/accounts/" .. gate.account_id, nil, { token = token }).status)
      assert.equal(200, gate:call("GET", "/accounts/" .. foreign, nil, { token = token }).status)
      assert.equal(1, #gate:call("GET", "/accounts", nil, { token = token }).body.result)
    end)
  end)

  describe("a global key", function()
    local auth = require "moongate.admin.auth"

    local function with_user(work)
      return gate.app.store:write(function(tx) return work(tx, tx:one("SELECT id FROM users").id) end)
    end
    local function with_key(key, email)
      return ask { ["X-Auth-Key"] = key, ["X-Auth-Email"] = email or "admin@localhost" }
    end

    it("may do everything, together with the e-mail in any case", function()
      local key = with_user(function(tx, id) return auth.issue_global_key(tx, gate.control, id) end)
      assert.truthy(#key >= 37 and #key <= 60 and not key:find("[^0-9A-Za-z_-]"))
      assert.equal(200, with_key(key).status)
      assert.equal(200, with_key(key, "Admin@Localhost").status)
      local headers = { ["X-Auth-Key"] = key, ["X-Auth-Email"] = "admin@localhost" }
      local function call(method, path, body)
        return gate:call(method, path, body, { token = false, headers = headers }).status
      end
      assert.equal(200, call("POST", "/zones", { name = "heron.test" }))
      assert.equal(200, call("GET", "/user"))
      assert.equal(200, call("POST", "/accounts", { name = "other" }))
    end)

    it("is unknown with another e-mail, with another character, and before there is one", function()
      local key = ("k"):rep(40)
      assert.equal(9103, code(with_key(key)))
      assert.is_true(with_user(function(tx, id) return auth.set_global_key(tx, gate.control, id, key) end))
      assert.equal(200, with_key(key).status)
      for _, answer in ipairs { with_key(key, "other@localhost"), with_key(("k"):rep(39) .. "l"), with_key(key .. "k") } do
        assert.equal(403, answer.status)
        assert.equal(9103, code(answer))
      end
    end)

    it("takes the place of the one before", function()
      local one = with_user(function(tx, id) return auth.issue_global_key(tx, gate.control, id) end)
      local two = with_user(function(tx, id) return auth.issue_global_key(tx, gate.control, id) end)
      assert.equal(403, with_key(one).status)
      assert.equal(200, with_key(two).status)
    end)

    it("is not in the store", function()
      local key = with_user(function(tx, id) return auth.issue_global_key(tx, gate.control, id) end)
      local row = gate.app.store:read(function(tx) return tx:one("SELECT * FROM users") end)
      for _, value in pairs(row) do assert.not_equal(key, value) end
    end)

    for _, key in ipairs { "", ("k"):rep(36), ("k"):rep(61), ("k"):rep(39) .. " ", ("k"):rep(39) .. "ä" } do
      it(("is not given when it is %q"):format(key), function()
        local ok, reason
        with_user(function(tx, id)
          ok, reason = auth.set_global_key(tx, gate.control, id, key)
        end)
        assert.is_nil(ok)
        assert.truthy(reason:find("37 to 60", 1, true))
      end)
    end

    it("is given to nobody who does not exist", function()
      gate.app.store:write(function(tx)
        assert.is_nil((auth.set_global_key(tx, gate.control, ("0"):rep(32), ("k"):rep(40))))
      end)
    end)

    it("counts as a failure when it is wrong", function()
      local answer
      for _ = 1, 101 do answer = with_key(("k"):rep(40)) end
      assert.equal(429, answer.status)
    end)
  end)

  describe("requests", function()
    local function start(config)
      gate:close()
      gate = assert(support.start { config = { admin = config } })
    end
    local function get(token, address)
      return gate:call("GET", "/accounts", nil, { token = token, address = address or "198.51.100.7" })
    end

    it("are counted down in the headers", function()
      start { requests = 3 }
      local answer = get()
      assert.equal("3", answer.headers["x-ratelimit-limit"])
      assert.equal("2", answer.headers["x-ratelimit-remaining"])
      assert.equal("Mon, 02 Feb 2026 02:45:00 GMT", answer.headers["x-ratelimit-reset"])
      local refused = gate:call("GET", "/zones/x", nil, { address = "198.51.100.7" })
      assert.equal(404, refused.status)
      assert.equal("1", refused.headers["x-ratelimit-remaining"])
      assert.is_nil(ask({}).headers["x-ratelimit-limit"])
    end)

    it("from the machine itself are not counted", function()
      start { requests = 2, requests_per_second = 2 }
      for _, address in ipairs { "127.0.0.1", "127.9.9.9", "::1" } do
        for _ = 1, 5 do
          local answer = get(nil, address)
          assert.equal(200, answer.status)
          assert.is_nil(answer.headers["x-ratelimit-limit"])
        end
      end
    end)

    it("have no such headers without a limit", function()
      assert.is_nil(get().headers["x-ratelimit-limit"])
    end)

    it("of all tokens of the user count together, and one too many shuts the user out for five minutes", function()
      start { requests = 4 }
      local second = gate:token { "Zone Read" }
      for _ = 1, 2 do
        assert.equal(200, get().status)
        assert.equal(200, get(second, "192.0.2.1").status)
      end
      gate.control.clock = gate.control.clock + 200
      for _, token in ipairs { gate.owner, second } do
        local answer = get(token)
        assert.equal(429, answer.status)
        assert.equal(971, code(answer))
        assert.equal("300", answer.headers["retry-after"])
        assert.equal("0", answer.headers["x-ratelimit-remaining"])
      end
      gate.control.clock = gate.control.clock + 299
      assert.equal(429, get().status)
      gate.control.clock = gate.control.clock + 1
      assert.equal(200, get().status)
    end)

    it("of an account's tokens count for the account", function()
      start { requests = 2 }
      local one, two = gate:token { account_id = gate.account_id }, gate:token { account_id = gate.account_id }
      assert.equal(200, get(one).status)
      assert.equal(200, get(two).status)
      assert.equal(429, get(one).status)
      assert.equal(200, get().status)
    end)

    it("of one address are counted by the second", function()
      start { requests_per_second = 2 }
      for _ = 1, 2 do assert.equal(200, get(nil, "192.0.2.1").status) end
      local answer = get(nil, "192.0.2.1")
      assert.equal(429, answer.status)
      assert.equal("1", answer.headers["retry-after"])
      assert.equal(200, get(nil, "192.0.2.2").status)
      gate.control.clock = gate.control.clock + 1
      assert.equal(200, get(nil, "192.0.2.1").status)
    end)

    it("have the documented limits when the configuration names none", function()
      start {}
      assert.equal("1200", get().headers["x-ratelimit-limit"])
      assert.equal(200, gate.app.app.limiter.requests_per_second)
    end)

    it("that fail have the limit of the configuration", function()
      start { failures_per_minute = 2 }
      local function guess() return ask({ Authorization = "Bearer " .. ("x"):rep(40) }).status end
      assert.equal(403, guess())
      assert.equal(403, guess())
      assert.equal(429, guess())
    end)
  end)

  describe("failures", function()
    local function guess(address) return ask({ Authorization = "Bearer " .. ("x"):rep(40) }, address) end

    it("are slowed down for an address after a hundred in a minute", function()
      for _ = 1, 100 do assert.equal(403, guess("192.0.2.1").status) end
      local answer = guess "192.0.2.1"
      assert.equal(429, answer.status)
      assert.equal(971, code(answer))
      assert.truthy(tonumber(answer.headers["retry-after"]) >= 1)
      assert.equal(403, guess("192.0.2.2").status)
      gate.control.clock = gate.control.clock + 61
      assert.equal(403, guess("192.0.2.1").status)
    end)

    it("never lock out a good token of the same address", function()
      for _ = 1, 130 do guess "192.0.2.1" end
      assert.equal(200, ask({ Authorization = "Bearer " .. gate.owner }, "192.0.2.1").status)
    end)

    it("are not counted when nothing was guessed", function()
      for _ = 1, 130 do assert.equal(400, ask({}, "192.0.2.1").status) end
    end)
  end)
end)
