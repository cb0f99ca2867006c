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

  describe("failures", function()
    local function guess(address) return ask({ Authorization = "Bearer " .. ("x"):rep(40) }, address) end

    it("are slowed down for an address after twenty in a minute", function()
      for _ = 1, 20 do assert.equal(403, guess("192.0.2.1").status) end
      local answer = guess "192.0.2.1"
      assert.equal(429, answer.status)
      assert.equal(971, code(answer))
      assert.truthy(tonumber(answer.headers["retry-after"]) >= 1)
      assert.equal(403, guess("192.0.2.2").status)
      gate.control.clock = gate.control.clock + 61
      assert.equal(403, guess("192.0.2.1").status)
    end)

    it("never lock out a good token of the same address", function()
      for _ = 1, 30 do guess "192.0.2.1" end
      assert.equal(200, ask({ Authorization = "Bearer " .. gate.owner }, "192.0.2.1").status)
    end)

    it("are not counted when nothing was guessed", function()
      for _ = 1, 30 do assert.equal(400, ask({}, "192.0.2.1").status) end
    end)
  end)
end)
