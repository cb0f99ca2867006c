local ffi = require "ffi"
local certs = require "spec.support.certs"
local gate = require "spec.support.gate"
local unit = require "spec.support.unit"

local C = gate.C

local function name_of(host) return host ~= nil and unit.text(host.name) or nil end
local function find(snapshot, name) return C.moon_snapshot_find(snapshot, unit.str(name)) end

-- "section/host" as a lookup found it.
local function found(snapshot, name)
  local host = find(snapshot, name)
  if host == nil then return nil end
  return unit.text(C.moon_section_domain(host.section)) .. "/" .. name_of(host)
end

describe("moon_snapshot_find()", function()
  local snapshot = assert(gate.snapshot(7, {
    assert(gate.section("example.com", {
      { "example.com" }, { "api.example.com" }, { "*.example.com" }, { "*.deep.example.com" }, { "x.deep.example.com" },
    })),
    assert(gate.section("eu.example.com", { { "api.eu.example.com" } })),
    assert(gate.section("plain.test", {})),
    assert(gate.section("wild.test", { { "*.wild.test" } })),
  }))

  for _, case in ipairs {
    { "api.example.com", "example.com/api.example.com", "the exact name" },
    { "example.com", "example.com/example.com", "the section's own name" },
    { "www.example.com", "example.com/*.example.com", "the wildcard one label up" },
    { "a.b.example.com", "example.com/*", "the rest, two labels below a wildcard" },
    { "x.deep.example.com", "example.com/x.deep.example.com", "the exact name before its wildcard" },
    { "y.deep.example.com", "example.com/*.deep.example.com", "the wildcard of a deeper name" },
    { "deep.example.com", "example.com/*.example.com", "the outer wildcard for the name that has one below it" },
    { "api.eu.example.com", "eu.example.com/api.eu.example.com", "the more specific section" },
    { "www.eu.example.com", "eu.example.com/*", "the rest of the more specific section, not a wildcard outside of it" },
    { "eu.example.com", "eu.example.com/*", "the rest of the more specific section for its own name" },
    { "plain.test", "plain.test/*", "the rest of a section without hosts" },
    { "a.b.c.d.plain.test", "plain.test/*", "the rest, however deep" },
    { "wild.test", "wild.test/*", "the rest and never the wildcard for the apex" },
    { "a.wild.test", "wild.test/*.wild.test", "the wildcard" },
    { "test", nil, "nothing above a section" },
    { "notexample.com", nil, "nothing for a name that only ends alike" },
    { "com", nil, "nothing for a bare suffix" },
    { "", nil, "nothing for the empty name" },
    { "[::1]", nil, "nothing for an IPv6 literal" },
    { "192.0.2.1", nil, "nothing for an IPv4 literal" },
    { ("a"):rep(63) .. "." .. ("b"):rep(180) .. ".example.com", nil, "nothing for a name beyond 253 bytes" },
    { "*.example.com", "example.com/*.example.com", "what it is told, character by character" },
  } do
    it(("finds %s for %q"):format(case[3], case[1]:sub(1, 40)), function()
      assert.equal(case[2], found(snapshot, case[1]))
    end)
  end

  it("finds a name of the greatest length", function()
    local name = ("a"):rep(63) .. "." .. ("b"):rep(63) .. "." .. ("c"):rep(63) .. "." .. ("d"):rep(49) .. ".example.com"
    assert.equal(253, #name)
    assert.equal("example.com/*", found(snapshot, name))
  end)

  it("does not answer for other spellings: names come normalised", function()
    assert.equal("example.com/*.example.com", found(snapshot, "API.example.com"))
    assert.is_nil(found(snapshot, "api.example.com."))
    assert.is_nil(found(snapshot, "api.EXAMPLE.com"))
  end)

  it("finds each of ten thousand names", function()
    local hosts = {}
    for i = 1, 10000 do hosts[i] = { ("h%d.many.test"):format(i) } end
    local many = assert(gate.snapshot(1, { assert(gate.section("many.test", hosts)) }))
    for i = 1, 10000 do assert(found(many, ("h%d.many.test"):format(i)) == ("many.test/h%d.many.test"):format(i)) end
    assert.equal("many.test/*", found(many, "h10001.many.test"))
  end)

  it("answers nothing without sections", function()
    assert.is_nil(found(assert(gate.snapshot(1, {})), "a.test"))
  end)
end)

describe("a guest of a section", function()
  local snapshot = assert(gate.snapshot(1, {
    assert(gate.section("saas.test", {
      { "saas.test" }, { "shop.customer.test", guest = true }, { "*.customer.test", guest = true }, { "*.other.test", guest = true },
      { "www.own.test", guest = true }, { "*.own.test", guest = true }, { "own.test", guest = true },
    })),
    assert(gate.section("second.test", { { "a.shop.customer.test", guest = true }, { "a.b.customer.test", guest = true } })),
    assert(gate.section("own.test", { { "api.own.test" } })),
    assert(gate.section("deep.other.test", {})),
  }))

  for _, case in ipairs {
    { "shop.customer.test", "saas.test/shop.customer.test", "the exact name" },
    { "www.customer.test", "saas.test/*.customer.test", "its wildcard" },
    { "customer.test", nil, "nothing for the name below which the wildcard stands" },
    { "x.www.customer.test", nil, "nothing two labels below a wildcard" },
    { "a.shop.customer.test", "second.test/a.shop.customer.test", "the guest of another section" },
    { "a.b.customer.test", "second.test/a.b.customer.test", "an exact name where the wildcard is another's" },
    { "b.customer.test", "saas.test/*.customer.test", "the wildcard for a name above another's" },
    { "www.own.test", "own.test/*", "the section that has the domain, and never its guest elsewhere" },
    { "own.test", "own.test/*", "the section of that very domain" },
    { "api.own.test", "own.test/api.own.test", "the section's own name" },
    { "a.deep.other.test", "deep.other.test/*", "the section below a wildcard" },
    { "deep.other.test", "deep.other.test/*", "the section in a wildcard's place" },
    { "x.other.test", "saas.test/*.other.test", "the wildcard beside a section below it" },
    { "nobody.test", nil, "nothing for other names" },
    { "saas.test", "saas.test/saas.test", "the section's own names as ever" },
    { "any.saas.test", "saas.test/*", "the rest of the section, for its own domain" },
  } do
    it(("is looked up beside sections: %s for %s"):format(case[3], case[1]), function()
      assert.equal(case[2], found(snapshot, case[1]))
    end)
  end

  for _, case in ipairs {
    { "saas.test", "the section's domain" }, { "a.saas.test", "a name below it" }, { "*.saas.test", "a wildcard below it" },
    { "*", "the rest" }, { "A.test", "upper case" }, { "*.*.test", "two stars" }, { "", "the empty name" }, { "[::1]", "an IP literal" },
  } do
    it("cannot be " .. case[2], function()
      local section, diag = gate.section("saas.test", { { case[1], guest = true } })
      assert.is_nil(section)
      assert.equal("hosts", diag.where)
      assert.truthy(diag.text:find("outside of saas.test", 1, true))
    end)
  end

  it("is refused when two sections have it", function()
    local one = assert(gate.section("one.test", { { "shop.test", guest = true } }))
    local two = assert(gate.section("two.test", { { "shop.test", guest = true } }))
    local both, diag = gate.snapshot(1, { one, two })
    assert.is_nil(both)
    assert.same({ where = "hosts", text = '"shop.test" is a guest of both one.test and two.test' }, diag)
  end)

  it("is refused when it stands twice", function()
    local section = assert(gate.section("one.test", { { "shop.test", guest = true }, { "shop.test", guest = true } }))
    local _, diag = gate.snapshot(1, { section })
    assert.equal('"shop.test" stands twice in one.test', diag.text)
  end)

  it("keeps a copy of its metadata", function()
    local text = ("x"):rep(10) .. "{}"
    local section = assert(gate.section("one.test", { { "shop.test", guest = true, metadata = unit.str(text) }, { "b.test", guest = true } }))
    local taken = assert(gate.snapshot(1, { section }))
    collectgarbage()
    assert.equal(text, unit.text(find(taken, "shop.test").terms.metadata))
    assert.equal(0, tonumber(find(taken, "b.test").terms.metadata.len))
  end)

  it("has an id of its own and the terms that it was given", function()
    local trust = gate.trust(require("spec.support.certs").ca("Root").pem)
    local section = assert(gate.section("one.test", { { "shop.test", guest = true, trust = trust, origin = 9000 } }))
    local host = find(assert(gate.snapshot(1, { section })), "shop.test")
    assert.truthy(host.id > 0)
    assert.is_true(host.guest)
    assert.equal(trust, host.terms.trust)
    assert.truthy(host.terms.origin ~= nil)
    assert.truthy(host.terms.policy ~= nil)
  end)
end)

describe("moon_section_add()", function()
  for _, case in ipairs {
    { "other.com", "a name outside of the section" },
    { "xexample.com", "a name that only ends alike" },
    { "com", "a name above the section" },
    { "API.example.com", "upper case" },
    { "api.example.com.", "a trailing dot" },
    { "api..example.com", "an empty label" },
    { ".example.com", "a leading dot" },
    { "*.com", "a wildcard above the section" },
    { "*", "a repeated rest", repeated = true },
    { "*.*.example.com", "two stars" },
    { "a.*.example.com", "a star inside" },
    { "**.example.com", "a doubled star" },
    { "a b.example.com", "a space" },
    { "a\0.example.com", "NUL" },
    { "\228.example.com", "a byte from 0x80 up" },
    { "[::1]", "an IP literal" },
    { "", "the empty name" },
    { ("a"):rep(64) .. ".example.com", "a label of 64 bytes" },
  } do
    it("refuses " .. case[2], function()
      local hosts = case.repeated and { { "*" }, { "*" } } or { { case[1] } }
      local section, diag = gate.section("example.com", hosts)
      if section then section, diag = gate.snapshot(1, { section }) end
      assert.is_nil(section)
      assert.equal("hosts", diag.where)
      assert.truthy(diag.text:find("example.com", 1, true))
    end)
  end

  it("refuses a repeated name when the snapshot is made, and says which", function()
    local section = assert(gate.section("example.com", { { "a.example.com" }, { "b.example.com" }, { "a.example.com" } }))
    local snapshot, diag = gate.snapshot(1, { section })
    assert.is_nil(snapshot)
    assert.same({ where = "hosts", text = '"a.example.com" stands twice in example.com' }, diag)
  end)
end)

describe("moon_section_seal()", function()
  it("gives ids that are never used twice", function()
    local seen = {}
    for _ = 1, 3 do
      local section = assert(gate.section("example.com", { { "a.example.com" }, { "b.example.com" } }))
      for i = 0, 2 do
        local host = C.moon_section_host(section, i)
        assert.is_nil(seen[host.id])
        seen[host.id] = true
      end
      assert.is_true(C.moon_section_host(section, 3) == nil)
    end
  end)

  it("adds a rest without trust and origin", function()
    local section = assert(gate.section("example.com", {}))
    local host = C.moon_section_host(section, 0)
    assert.equal("*", name_of(host))
    assert.is_true(host.terms.trust == nil and host.terms.origin == nil and host.terms.policy ~= nil)
  end)
end)

describe("moon_snapshot_new()", function()
  it("refuses two sections of one domain", function()
    local snapshot, diag = gate.snapshot(1, {
      assert(gate.section("example.com", {})), assert(gate.section("example.org", {})), assert(gate.section("example.com", {})) })
    assert.is_nil(snapshot)
    assert.same({ where = "sections", text = '"example.com" stands twice' }, diag)
  end)

  it("keeps generation, rules and the order of hosts", function()
    local section = assert(gate.section("example.com", { { "b.example.com" }, { "a.example.com" } }, "\0rules\255"))
    local snapshot = assert(gate.snapshot(2 ^ 40, { section }))
    assert.equal(2 ^ 40, tonumber(C.moon_snapshot_generation(snapshot)))
    assert.equal("\0rules\255", unit.text(C.moon_section_rules(C.moon_snapshot_section(snapshot, 0))))
    assert.equal("b.example.com", name_of(C.moon_section_host(section, 0)))
    assert.equal("a.example.com", name_of(C.moon_section_host(section, 1)))
    assert.is_true(C.moon_snapshot_section(snapshot, 1) == nil)
  end)

  it("shares a section between snapshots by counting", function()
    local trust = gate.trust(certs.ca("Shared").pem)
    local section = assert(gate.section("example.com", { { "a.example.com", trust = trust, origin = 9000 } }))
    local first, second = assert(gate.snapshot(1, { section })), assert(gate.snapshot(2, { section }))
    local host = find(first, "a.example.com")
    assert.is_true(host == find(second, "a.example.com"))
    for _, it in ipairs { first, section } do
      ffi.gc(it, nil)
      if it == first then
        C.moon_snapshot_unref(ffi.new("struct moon_snapshot *[1]", it))
      else
        C.moon_section_unref(ffi.new("struct moon_section *[1]", it))
      end
    end
    assert.equal("a.example.com", name_of(find(second, "a.example.com")))
    assert.equal("127.0.0.1", unit.text(find(second, "a.example.com").terms.origin.host))
  end)
end)
