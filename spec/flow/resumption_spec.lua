-- A TLS session that is resumed: it opens nothing that a full handshake would not open at that moment, and hides nothing either.

local certs = require "spec.support.certs"
local gateway = require "spec.support.gateway"
local origin = require "spec.support.origin"

describe("a resumed session", function()
  local gate, behind, ca_a, ca_b, leaves

  setup(function()
    ca_a, ca_b = certs.ca("Tenant A"), certs.ca("Tenant B")
    leaves = { a = certs.leaf(ca_a, { cn = "a" }), b = certs.leaf(ca_b, { cn = "b" }) }
  end)

  before_each(function()
    behind = origin.start()
    gate = gateway.start { origin = behind, config = { workers = 2 } }
    gate:associate(ca_a, { "a.example.com" })
    gate:associate(ca_b, { "b.example.com" })
    gate:set_rules { '(http.host in {"a.example.com" "b.example.com"} and not cf.tls_client_auth.cert_verified)' }
  end)

  after_each(function()
    gate:stop()
    behind:stop()
  end)

  local function host_of(name) return name and name .. ".example.com" end

  -- A session of `name`, after one request, for the next connection to resume.
  local function session_of(name, version)
    local session = gate:connect { host = host_of(name), cert = leaves[name], version = version }
    assert.equal(200, session:get("/first", { host = host_of(name) }).status)
    local kept = session:resumable()
    session:close()
    return kept
  end

  -- Resumes it for `sni` and asks for `name`; no certificate is offered this time.
  local function ask(kept, sni, name, version)
    local session = gate:connect { sni = host_of(sni) or false, host = host_of(name), version = version, resume = kept }
    local answer = session:get("/resumed", { host = host_of(name) })
    local resumed = session:is_resumed()
    session:close()
    return answer.status, resumed
  end

  for _, version in ipairs { "1.2", "1.3" } do
    describe("of TLS " .. version, function()
      for _, case in ipairs {
        -- session of, resumed for, Host
        { "open", "a", "a" }, { "a", "b", "b" }, { "b", "a", "a" }, { "a", "open", "a" }, { "a", nil, "a" }, { "a", nil, "b" },
        { "a", "open", "b" }, { "open", nil, "a" },
      } do
        it(("of %s does not open %s when it is resumed for %s"):format(case[1], case[3], case[2] or "no name"), function()
          local status = ask(session_of(case[1], version), case[2], case[3], version)
          assert.truthy(status == 403 or status == 421, status)
          assert.same({}, behind:requests("/resumed"))
        end)
      end

      it("of a, resumed for a, is answered as a new one would be", function()
        local kept = session_of("a", version)
        local status, resumed = ask(kept, "a", "a", version)
        assert.is_true(resumed)
        assert.equal(200, status)
      end)

      it("shows the rules the same certificate", function()
        local kept = session_of("a", version)
        local first = gate:wait_log { path = "/first" }
        local status, resumed = ask(kept, "a", "a", version)
        assert.is_true(resumed)
        assert.equal(200, status)
        local second = gate:wait_log { path = "/resumed" }
        assert.equal(first.fingerprint, second.fingerprint)
        assert.is_true(second.verified)
      end)

      for _, change in ipairs {
        { "its CA is dissociated", function() gate:associate(ca_a, {}) end },
        { "another CA takes its place", function()
          gate:associate(ca_b, { "b.example.com", "a.example.com" })
          gate:associate(ca_a, {})
        end },
        { "a rule blocks everybody", function() gate:set_rules { 'http.host eq "a.example.com"' } end },
      } do
        it("opens nothing after " .. change[1], function()
          local kept = session_of("a", version)
          change[2]()
          local status = ask(kept, "a", "a", version)
          assert.truthy(status == 403 or status == 421, status)
          assert.same({}, behind:requests("/resumed"))
        end)
      end

      it("is unknown after a restart", function()
        local kept = session_of("a", version)
        gate:restart()
        local _, resumed = ask(kept, "a", "a", version)
        assert.is_false(resumed)
      end)
    end)
  end
end)
