local certs = require "spec.support.certs"
local support = require "spec.support.admin"

describe("moongate.admin.crl_refresh", function()
  local gate, ca, base, now
  local root = certs.ca("Root")
  local URL = "http://lists.test/root.crl"

  local function list(options)
    local given = { this_update = now - 100, next_update = now + 100000 }
    for key, value in pairs(options or {}) do given[key] = value end
    local pem, path = certs.crl(given.ca or root, given)
    return given.der and certs.openssl("crl -outform DER -in " .. path) or pem
  end

  before_each(function()
    now = os.time()
    gate = assert(support.start())
    gate.control.clock = now
    local zone = gate:zone "heron.test"
    ca = gate:upload_ca(root.pem)
    gate:call("PUT", "/zones/" .. zone.id .. "/certificate_authorities/hostname_associations",
      { hostnames = { "a.heron.test" }, mtls_certificate_id = ca.id })
    base = ("/accounts/%s/mtls_certificates/%s/moongate/crl"):format(gate.account_id, ca.id)
  end)
  after_each(function() gate:close() end)

  local function answer_with(text, status)
    function gate.control.answer_outgoing() return { status = status or 200, body = text } end
  end
  local function put(body)
    body.url = body.url or URL
    return gate:call("PUT", base, body)
  end
  local function shown() return gate:call("GET", base).body.result end
  local function later(seconds)
    gate.control.clock = gate.control.clock + seconds
    gate.app:tick()
  end
  local function served() return gate.control.served["heron.test"].trust_options.crls[1] end
  local function iso(seconds) return os.date("!%Y-%m-%dT%H:%M:%S.000000Z", seconds) end
  local function count(text)
    local lines = 0
    for _, line in ipairs(gate.log) do
      if line:find(text, 1, true) then lines = lines + 1 end
    end
    return lines
  end

  describe("a list with an address", function()
    for title, options in pairs { PEM = {}, DER = { der = true } } do
      it("is fetched before it is stored, in " .. title, function()
        answer_with(list(options))
        local answer = put { refresh_minutes = 30 }
        assert.equal(200, answer.status)
        local made = answer.body.result
        assert.equal("url", made.source)
        assert.equal(URL, made.url)
        assert.equal(30, made.refresh_minutes)
        assert.equal(iso(now), made.last_refresh)
        assert.equal(URL, gate.control.requests[1].url)
        assert.is_true(#served().text > 100)
      end)
    end

    it("is fetched every hour unless the body says otherwise", function()
      answer_with(list())
      assert.equal(60, put({}).body.result.refresh_minutes)
    end)

    for title, case in pairs {
      ["a status"] = { "status 404", "/url", function() answer_with("", 404) end },
      ["no answer"] = { "nobody there", "/url", function()
        function gate.control.answer_outgoing() return nil, { where = "", text = "nobody there" } end
      end },
      ["something else"] = { "no PEM block", "/url", function() answer_with "<html>" end },
      ["another CA's list"] = { "another name", "/url", function() answer_with(list { ca = certs.ca "Other" }) end },
      ["a list that has ended"] = { "it ended at", "/url", function() answer_with(list { next_update = now - 10 }) end },
      ["both a list and an address"] = { "not both", "/crl", function() end, { crl = "x" } },
      ["an hour of four minutes"] = { "at least 5", "/refresh_minutes", function() end, { refresh_minutes = 4 } },
    } do
      it("is refused with " .. title .. ", and nothing changes", function()
        case[3]()
        local answer = put(case[4] or {})
        assert.equal(400, answer.status)
        assert.equal(21087, answer.body.errors[1].code)
        assert.equal(case[2], answer.body.errors[1].source.pointer)
        assert.truthy(answer.body.errors[1].message:find(case[1], 1, true), answer.body.errors[1].message)
        assert.equal(404, gate:call("GET", base).status)
      end)
    end

    it("is refused with minutes and no address", function()
      assert.equal("/refresh_minutes", gate:call("PUT", base, { crl = list(), refresh_minutes = 60 }).body.errors[1].source.pointer)
    end)

    it("becomes an uploaded one with the next PUT", function()
      answer_with(list())
      put {}
      assert.equal("upload", gate:call("PUT", base, { crl = list() }).body.result.source)
      later(7200)
      assert.equal(1, #gate.control.requests)
    end)
  end)

  describe("in time", function()
    it("the list is fetched anew and served, and not before", function()
      answer_with(list())
      put { refresh_minutes = 30 }
      local before = served()
      answer_with(list { revoked = { "0A" }, this_update = now - 50 })
      later(29 * 60)
      assert.equal(0, shown().entries)
      later(61)
      assert.equal(1, shown().entries)
      assert.equal(iso(gate.control.clock), shown().last_refresh)
      assert.not_equal(before.digest, served().digest)
      assert.is_true(gate:logged "was fetched anew: 1 entries")
      later(30)
      assert.equal(2, #gate.control.requests)
    end)

    it("a list that has not changed is published no second time", function()
      answer_with(list())
      put { refresh_minutes = 30 }
      local publications = gate.control.publications
      later(1801)
      assert.equal(2, #gate.control.requests)
      assert.equal(publications, gate.control.publications)
      assert.equal(iso(gate.control.clock), shown().last_refresh)
    end)

    it("it is fetched shortly before it ends, if that is sooner", function()
      answer_with(list { next_update = now + 3000 })
      put { refresh_minutes = 600 }
      later(2600)
      assert.equal(1, #gate.control.requests)
      later(101)
      assert.equal(2, #gate.control.requests)
    end)

    for title, case in pairs {
      ["no answer"] = { "it cannot be fetched: nobody there", function()
        function gate.control.answer_outgoing() return nil, { where = "", text = "nobody there" } end
      end },
      ["a status"] = { "it cannot be fetched: the answer has status 500", function() answer_with("", 500) end },
      ["another CA's list"] = { "it was issued under another name", function() answer_with(list { ca = certs.ca "Other" }) end },
      ["an older list"] = { "is older than the stored one", function() answer_with(list { this_update = now - 500 }) end },
      ["a list that has ended"] = { "it ended at", function() answer_with(list { this_update = now - 50, next_update = now + 10 }) end },
    } do
      it("with " .. title .. " the stored list stays, and it is tried again soon", function()
        answer_with(list { revoked = { "0A" } })
        put { refresh_minutes = 30 }
        local before = served()
        case[2]()
        later(1801)
        assert.equal(before.digest, served().digest)
        assert.equal(1, shown().entries)
        assert.truthy(shown().last_error:find(case[1], 1, true), shown().last_error)
        assert.equal(iso(now), shown().last_refresh)
        local times = #gate.control.requests
        later(599)
        assert.equal(times, #gate.control.requests)
        later(31)
        assert.equal(times + 1, #gate.control.requests)
        assert.equal(1, count "stays as it is")
        answer_with(list { revoked = { "0A", "0B" }, this_update = now - 50 })
        later(631)
        assert.equal(2, shown().entries)
        assert.equal(require("moongate.json").null, shown().last_error)
      end)
    end

    it("an address where nobody answers keeps no other list waiting, and is asked once at a time", function()
      local other = certs.ca("Other")
      local other_base = ("/accounts/%s/mtls_certificates/%s/moongate/crl"):format(gate.account_id, gate:upload_ca(other.pem).id)
      answer_with(list())
      put { refresh_minutes = 30 }
      answer_with(list { ca = other })
      gate:call("PUT", other_base, { url = "http://lists.test/other.crl", refresh_minutes = 30 })
      local waiting = {}
      function gate.control.task(work) assert(coroutine.resume(coroutine.create(work))) end
      function gate.control.answer_outgoing(request)
        if request.url ~= URL then return { status = 200, body = list { ca = other, revoked = { "0A" }, this_update = now - 50 } } end
        waiting[#waiting + 1] = coroutine.running()
        return coroutine.yield()
      end
      later(1801)
      later(31)
      assert.equal(1, gate:call("GET", other_base).body.result.entries)
      assert.equal(1, #waiting)
      assert(coroutine.resume(waiting[1], { status = 200, body = list { revoked = { "0A", "0B" }, this_update = now - 50 } }))
      assert.equal(2, shown().entries)
      later(1801)
      assert.equal(2, #waiting)
    end)

    it("a list that was taken away meanwhile stays away", function()
      answer_with(list())
      put { refresh_minutes = 30 }
      function gate.control.answer_outgoing()
        gate:call("DELETE", base)
        return { status = 200, body = list { revoked = { "0A" }, this_update = now - 50 } }
      end
      later(1801)
      assert.equal(404, gate:call("GET", base).status)
      assert.is_nil(gate.control.served["heron.test"].trust_options)
    end)

    it("a list that cannot be served is not stored, and not tried again at once", function()
      answer_with(list())
      put { refresh_minutes = 30 }
      answer_with(list { revoked = { "0A" }, this_update = now - 50 })
      function gate.control.refuse_section() return { where = "trust", text = "not today" } end
      later(1801)
      gate.control.refuse_section = nil
      assert.equal(0, shown().entries)
      assert.truthy(shown().last_error:find("not today", 1, true))
      later(31)
      assert.equal(2, #gate.control.requests)
    end)
  end)

  describe("a list near its end", function()
    for title, case in pairs {
      ["hard"] = { false, "nothing under the CA verifies" }, ["soft"] = { true, "it is still looked at" },
    } do
      it("that is " .. title .. " is told of at three quarters of its life, and once when it has ended", function()
        gate:call("PUT", base, { crl = list { this_update = now, next_update = now + 4000 }, soft = case[1] })
        later(2990)
        assert.equal(0, count "three quarters")
        later(31)
        later(31)
        assert.equal(1, count "warn the revocation list of CN=Root")
        assert.equal(1, count "three quarters")
        later(1000)
        later(31)
        assert.equal(1, count(case[2]))
        assert.is_true(shown().stale)
        gate:call("PUT", base, { crl = list { this_update = now + 1000, next_update = now + 9000 }, soft = case[1] })
        later(31)
        assert.equal(1, count "three quarters")
      end)
    end

    it("without an end is not told of", function()
      -- The openssl command writes none without an end: what the store says of one.
      gate:call("PUT", base, { crl = list() })
      gate.app.store:write(function(tx) return tx:run("UPDATE revocation_lists SET next_update = NULL") end)
      later(10 * 365 * 86400)
      assert.equal(0, count "three quarters")
      assert.is_false(shown().stale)
    end)
  end)
end)
