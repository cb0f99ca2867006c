local support = require "spec.support.admin"

describe("moongate.admin.custom_hostname_proof", function()
  local gate, zone, base

  before_each(function()
    gate = assert(support.start())
    zone = gate:zone "heron.test"
    base = "/zones/" .. zone.id
    gate:call("PUT", base .. "/moongate/custom_hostnames", { ownership_checks = true })
    gate.control.answer_outgoing = function() return nil, { where = "", text = "connection refused" } end
  end)
  after_each(function() gate:close() end)

  local function make(hostname, of)
    local answer = gate:call("POST", ("/zones/%s/custom_hostnames"):format(of or zone.id), { hostname = hostname, ssl = { method = "http", type = "dv" } })
    assert(answer.status == 201, answer.raw)
    return answer.body.result
  end
  local function get(one) return gate:call("GET", ("%s/custom_hostnames/%s"):format(base, one.id)).body.result end
  local function later(seconds)
    gate.control.clock = gate.control.clock + seconds
    gate.app:tick()
  end
  local function is_served(name)
    for _, host in ipairs(gate.control.served["heron.test"].hosts) do
      if host.name == name then return true end
    end
    return false
  end
  local function answer_with(status, body)
    gate.control.answer_outgoing = function() return { status = status, body = body } end
  end

  it("finds the token at the hostname's address, and serves it", function()
    local one = make "shop.test"
    answer_with(200, "\n " .. one.ownership_verification_http.http_body .. " \r\n")
    later(30)
    local request = gate.control.requests[1]
    assert.equal(one.ownership_verification_http.http_url, request.url)
    assert.equal("Moongate Custom Hostname Verification", request.headers["User-Agent"])
    local after = get(one)
    assert.same({ "active", "active" }, { after.status, after.ssl.status })
    assert.is_nil(after.verification_errors)
    assert.is_nil(after.ownership_verification)
    assert.is_true(is_served "shop.test")
    assert.is_true(gate:logged "shop.test is proven")
  end)

  it("finds the token in DNS, and serves it", function()
    local one = make "shop.test"
    gate.control.answer_texts = function() return { "v=spf1", one.ownership_verification.value } end
    later(30)
    assert.same({ "_cf-custom-hostname.shop.test" }, gate.control.lookups)
    assert.equal("active", get(one).status)
    assert.is_true(is_served "shop.test")
  end)

  for title, case in pairs {
    ["no answer"] = { function() end, "no answer: connection refused" },
    ["another status"] = { function(one) answer_with(404, one.ownership_verification_http.http_body) end, "status 404" },
    ["a redirect"] = { function(one) answer_with(302, one.ownership_verification_http.http_body) end, "status 302" },
    ["another text"] = { function() answer_with(200, "hello") end, "another text" },
    ["more than the token"] = { function(one) answer_with(200, one.ownership_verification_http.http_body .. " x") end, "another text" },
    ["the token of another hostname"] = { function() answer_with(200, make("b.test").ownership_verification_http.http_body) end, "another text" },
  } do
    it(("takes %s for no proof, and says so"):format(title), function()
      local one = make "shop.test"
      case[1](one)
      gate.control.answer_texts = function() return nil, { where = "", text = "no resolver has answered in time" } end
      later(30)
      local after = get(one)
      assert.equal("pending", after.status)
      assert.truthy(after.verification_errors[2]:find(case[2], 1, true))
      assert.truthy(after.verification_errors[3]:find("in time", 1, true))
      assert.is_false(is_served "shop.test")
    end)
  end

  it("looks less and less often, and at once after a PATCH", function()
    local one = make "shop.test"
    local function looks_after(seconds)
      local before = #gate.control.requests
      later(seconds)
      return #gate.control.requests - before
    end
    assert.equal(1, looks_after(30))
    assert.equal(0, looks_after(30))
    assert.equal(1, looks_after(40))
    assert.equal(0, looks_after(60))
    assert.equal(1, looks_after(61))
    gate:call("PATCH", ("%s/custom_hostnames/%s"):format(base, one.id), { ssl = { method = "http", type = "dv" } })
    assert.equal(1, looks_after(30))
  end)

  it("gives up after a month of looking, until a PATCH", function()
    local one = make "shop.test"
    gate.app.store:write(function(tx) return tx:run("UPDATE custom_hostnames SET attempts = 720") end)
    later(30)
    assert.equal(0, #gate.control.requests)
    gate:call("PATCH", ("%s/custom_hostnames/%s"):format(base, one.id), { ssl = { method = "http", type = "dv" } })
    later(30)
    assert.equal(1, #gate.control.requests)
  end)

  it("looks at nothing in zones without checks, and at nothing that is blocked or proven", function()
    make("other.test", gate:zone("stork.test").id)
    local one = make "shop.test"
    gate:call("PUT", ("%s/moongate/custom_hostnames/%s/status"):format(base, one.id), { status = "blocked" })
    local two = make "two.test"
    gate:call("PUT", ("%s/moongate/custom_hostnames/%s/status"):format(base, two.id), { status = "active" })
    later(30)
    assert.equal(0, #gate.control.requests)
  end)

  it("proves a hostname that another zone has taken meanwhile, and leaves it waiting", function()
    local one = make "shop.test"
    make("shop.test", gate:zone("stork.test").id)
    answer_with(200, one.ownership_verification_http.http_body)
    later(30)
    local after = get(one)
    assert.equal("pending", after.status)
    assert.truthy(after.verification_errors[1]:find("Another zone", 1, true))
    later(4000)
    assert.equal(1, #gate.control.requests)
  end)

  it("forgets one that is deleted while it waits", function()
    local one = make "shop.test"
    gate.control.answer_outgoing = function()
      gate:call("DELETE", ("%s/custom_hostnames/%s"):format(base, one.id))
      return { status = 200, body = one.ownership_verification_http.http_body }
    end
    later(30)
    assert.is_false(is_served "shop.test")
  end)

  it("says what cannot be served, and looks again later", function()
    local one = make "shop.test"
    answer_with(200, one.ownership_verification_http.http_body)
    gate.control.refuse_section = function() return { where = "hosts", text = "out of luck" } end
    later(30)
    gate.control.refuse_section = nil
    assert.truthy(get(one).verification_errors[1]:find("out of luck", 1, true))
    later(100)
    assert.equal("active", get(one).status)
  end)
end)
