local explain_changes = require "moongate.explain_changes"
local given = require "moongate.given"
local rules = require "moongate.rules"

local CERT = "cf.tls_client_auth.cert_"
local request = { values = {} }
local schema = given.new_schema(given.builtin_fields(), request)

-- The labels of the changes that turn an expression, for a request with these values of certificate fields.
local function find(expression, certificate)
  local values = {}
  for name, field in pairs(schema.fields) do
    request.values = {}
    if field.access then values[name] = field.access() end
  end
  for name, value in pairs(certificate or {}) do values[name:find(".", 1, true) and name or CERT .. name] = value end
  local ruleset = assert(rules.compile(schema, { { expression = expression, action = "block" } }))
  local runs = 0
  local changes, is_read = explain_changes.find(schema, { assert(rules.parse(schema, expression)) }, values, function(changed)
    request.values, runs = changed, runs + 1
    return { key = tostring(ruleset.run()) }
  end)
  local labels = {}
  for i, change in ipairs(changes) do labels[i] = change.label end
  return labels, is_read, changes, runs
end

local NONE, UNVERIFIED, VERIFIED, REVOKED = "no client certificate", "a certificate that is not verified", "a verified certificate",
  "a verified certificate that is revoked"
local GOOD = { presented = true, verified = true, issuer_ski = "A5", subject_dn = "CN=x" }

describe("moongate.explain_changes", function()
  for _, case in ipairs {
    { "not cf.tls_client_auth.cert_verified", nil, { VERIFIED, REVOKED } },
    { "not cf.tls_client_auth.cert_verified", GOOD, { NONE, UNVERIFIED } },
    { "cf.tls_client_auth.cert_revoked", GOOD, { REVOKED } },
    { "not cf.tls_client_auth.cert_verified or cf.tls_client_auth.cert_revoked", nil, { VERIFIED } },
    { "cf.tls_client_auth.cert_presented", nil, { UNVERIFIED, VERIFIED, REVOKED } },
    { 'cf.tls_client_auth.cert_issuer_ski ne "A5"', GOOD, { NONE, "cf.tls_client_auth.cert_issuer_ski is another" } },
    { 'cf.tls_client_auth.cert_issuer_ski eq "B6"', GOOD, { 'cf.tls_client_auth.cert_issuer_ski is "B6"' } },
    { 'lower(cf.tls_client_auth.cert_subject_dn) contains "pump"', GOOD, { 'cf.tls_client_auth.cert_subject_dn is "pump"' } },
    { 'starts_with(cf.tls_client_auth.cert_subject_dn, "CN=p")', GOOD, { 'cf.tls_client_auth.cert_subject_dn is "CN=p"' } },
    { 'cf.tls_client_auth.cert_subject_dn wildcard "cn=pump-*"', GOOD, { 'cf.tls_client_auth.cert_subject_dn is "cn=pump-"' } },
    { 'any(mg.cert.san.dns[*] eq "a.acme")', GOOD, { 'mg.cert.san.dns is "a.acme"' } },
    { 'cf.tls_client_auth.cert_subject_dn in {"CN=p" "CN=q"}', GOOD,
      { 'cf.tls_client_auth.cert_subject_dn is "CN=p"', 'cf.tls_client_auth.cert_subject_dn is "CN=q"' } },
    { 'not cf.tls_client_auth.cert_verified or cf.tls_client_auth.cert_issuer_ski ne "B6"', nil,
      { VERIFIED .. ' whose cf.tls_client_auth.cert_issuer_ski is "B6"', REVOKED .. ' whose cf.tls_client_auth.cert_issuer_ski is "B6"' } },
    { "cf.tls_client_auth.cert_verified and not cf.tls_client_auth.cert_verified", nil, {} },
  } do
    it(("finds what turns %s %s"):format(case[1], case[2] and "with a verified certificate" or "without a certificate"), function()
      local labels, is_read = find(case[1], case[2])
      assert.same(case[3], labels)
      assert.is_true(is_read)
    end)
  end

  it("knows when the certificate plays no part", function()
    local labels, is_read, _, runs = find('http.host eq "a" and ssl')
    assert.same({ {}, false, 0 }, { labels, is_read, runs })
  end)

  it("names the fields that differ and no others", function()
    local _, _, changes = find("not cf.tls_client_auth.cert_verified", { presented = true })
    assert.same({ [CERT .. "verified"] = true }, changes[1].set)
    _, _, changes = find("cf.tls_client_auth.cert_verified", GOOD)
    assert.same({
      [CERT .. "presented"] = false, [CERT .. "verified"] = false, [CERT .. "issuer_ski"] = "", [CERT .. "subject_dn"] = "",
    }, changes[1].set)
  end)

  it("tries no more than it should, however much a rule names", function()
    local names = {}
    for i = 1, 300 do names[i] = ('"%03d"'):format(i) end
    local labels, _, _, runs = find(("cf.tls_client_auth.cert_serial in {%s}"):format(table.concat(names, " ")), GOOD)
    assert.equal(24, #labels)
    assert.is_true(runs <= 60, runs)
  end)
end)
