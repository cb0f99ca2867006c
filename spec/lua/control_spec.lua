-- What the admin API may ask of the core, asked of the real core: a local CA in a temporary directory, no gateway.

local certs = require "spec.support.certs"
local script = require "spec.support.script"
local unit = require "spec.support.unit"

local bridge = require "moongate.ffi"
local C, ffi = bridge.C, bridge.ffi

local function hex(bytes)
  return (bytes:gsub(".", function(c) return ("%02x"):format(c:byte()) end))
end

local function document(overrides)
  local out = { id = "z1", name = "example.com", version = 1, hosts = {}, rules = {} }
  for key, value in pairs(overrides or {}) do out[key] = value end
  return out
end

describe("moongate.control", function()
  local control, struct = script.control()
  local ca = certs.ca("Control Root")
  local leaf = certs.leaf(ca, { cn = "client" })

  describe("small things", function()
    it("now() is the UNIX time with fractions", function()
      local now = control.now()
      assert.truthy(math.abs(now - os.time()) < 3)
    end)

    it("random() gives as many bytes as asked for, never the same", function()
      assert.equal(0, #control.random(0))
      assert.equal(40, #control.random(40))
      assert.not_equal(control.random(16), control.random(16))
    end)

    for _, case in ipairs { -- FIPS 180-4 examples
      { "", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" },
      { "abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" },
    } do
      it(("sha256() of %q"):format(case[1]), function()
        assert.equal(case[2], hex(control.sha256(case[1])))
      end)
    end

    for _, case in ipairs { { "a", "a", true }, { "a", "b", false }, { "a", "aa", false }, { "", "", true }, { "a\0b", "a\0c", false } } do
      it(("equal(%q, %q) is %s"):format(case[1], case[2], tostring(case[3])), function()
        assert.equal(case[3], control.equal(case[1], case[2]))
      end)
    end
  end)

  describe("write_file_atomically()", function()
    local function read(path)
      local file = io.open(path, "rb")
      if not file then return nil end
      local text = file:read("*a")
      file:close()
      return text
    end

    it("writes and replaces, and leaves nothing beside the file", function()
      local path = certs.directory() .. "/atomic/file"
      os.execute("mkdir -p " .. certs.directory() .. "/atomic")
      assert.is_true(control.write_file_atomically(path, "one\0"))
      assert.equal("one\0", read(path))
      assert.is_true(control.write_file_atomically(path, ("x"):rep(300000)))
      assert.equal(300000, #read(path))
      local pipe = io.popen("ls " .. certs.directory() .. "/atomic; stat -c %a " .. path)
      local listing = pipe:read("*a")
      pipe:close()
      assert.equal("file\n600\n", listing)
    end)

    it("says which path and why", function()
      local ok, err = control.write_file_atomically("/nonexistent-directory/file", "x")
      assert.is_nil(ok)
      assert.equal("/nonexistent-directory/file", err.where)
      assert.truthy(err.text:find("No such file"))
    end)
  end)

  describe("secrets", function()
    local path = certs.directory() .. "/control-secrets.key"
    local SECRET = "-----BEGIN PRIVATE KEY-----\nabc\n-----END PRIVATE KEY-----\n"

    it("are refused while no keys are there, as a value", function()
      for _, attempt in ipairs { function() return control.seal("x", "c") end, function() return control.can_open("x", "c") end,
        control.renew_secrets } do
        local result, err = attempt()
        assert.is_nil(result)
        assert.equal("secrets", err.where)
      end
      assert.is_false(control.is_newest("x"))
    end)

    it("come back with their context only", function()
      assert.is_true(control.open_secrets(path, true))
      local sealed = assert(control.seal(SECRET, "t:c:1"))
      assert.is_nil(sealed:find("abc", 1, true))
      assert.equal(SECRET, control.open(sealed, "t:c:1"))
      assert.is_true(control.can_open(sealed, "t:c:1"))
      for _, name in ipairs { "open", "can_open", "reseal" } do
        local plain, err = control[name](sealed, "t:c:2")
        assert.is_nil(plain)
        assert.truthy(tostring(err):find("t:c:2", 1, true))
      end
    end)

    it("are sealed anew with the newest key", function()
      assert.is_true(control.open_secrets(path, false))
      local sealed = assert(control.seal(SECRET, "t:c:1"))
      assert.is_true(control.is_newest(sealed))
      assert.is_true(control.renew_secrets())
      assert.is_false(control.is_newest(sealed))
      local fresh = assert(control.reseal(sealed, "t:c:1"))
      assert.is_true(control.is_newest(fresh))
      assert.equal(SECRET, control.open(fresh, "t:c:1"))
    end)

    it("say what is wrong with their file", function()
      local ok, err = control.open_secrets(certs.directory() .. "/none.key", false)
      assert.is_nil(ok)
      assert.truthy(err.where:find("none.key", 1, true))
    end)
  end)

  describe("the CA of an account", function()
    local CONTEXT, now = "managed_cas:private_key:1", os.time()

    local function made()
      assert(control.open_secrets(certs.directory() .. "/managed-secrets.key", true))
      return assert(control.make_ca("Managed CA", CONTEXT, now))
    end

    it("is made with its key sealed, and signs requests", function()
      local root = made()
      assert.truthy(root.private_key:find("^m1:"))
      assert.truthy(control.open(root.private_key, CONTEXT):find("BEGIN PRIVATE KEY", 1, true))
      local issued = assert(control.issue(root, certs.request { subject = "/CN=pump-17" }.pem, 30, now))
      assert.equal("pump-17", issued.common_name)
      local described = control.certificates(issued.certificate)[1]
      assert.equal("CN=Managed CA", described.issuer)
      assert.equal(now + 30 * 86400, described.not_after)
    end)

    it("signs nothing for a key of another row", function()
      local root = made()
      root.context = "managed_cas:private_key:2"
      local issued, err = control.issue(root, certs.request().pem, 30, now)
      assert.is_nil(issued)
      assert.equal("secrets", err.where)
    end)

    for where, attempt in pairs {
      csr = function(root) return control.issue(root, "x", 30, now) end,
      days = function(root) return control.issue(root, certs.request().pem, 0, now) end,
      name = function() return control.make_ca("", CONTEXT, now) end,
    } do
      it("says what is wrong with the " .. where, function()
        local result, err = attempt(made())
        assert.is_nil(result)
        assert.equal(where, err.where)
      end)
    end
  end)

  describe("certificates()", function()
    it("describes each certificate of a text", function()
      local list = assert(control.certificates(ca.pem .. leaf.pem))
      assert.equal(2, #list)
      assert.is_true(list[1].is_ca)
      assert.is_false(list[2].is_ca)
      assert.is_true(list[1].key_allowed)
      assert.equal("ECDSAWithSHA256", list[1].signature)
      assert.equal("CN=Control Root", list[1].subject)
      assert.equal("CN=Control Root", list[2].issuer)
      assert.equal(64, #list[1].sha256)
      assert.truthy(list[1].serial:match("^%d+$"))
      assert.truthy(list[1].not_before < os.time() + 60 and list[1].not_after > os.time())
    end)

    it("says what is wrong with a text", function()
      local list, err = control.certificates("nonsense")
      assert.is_nil(list)
      assert.truthy(#err.text > 0)
    end)
  end)

  describe("certificate_hosts()", function()
    it("gives the names of the first certificate", function()
      local server = certs.leaf(ca, { eku = "serverAuth", san = "DNS:a.test,DNS:*.b.test" })
      assert.same({ "a.test", "*.b.test" }, control.certificate_hosts(server.chain))
      assert.same({}, control.certificate_hosts(leaf.pem))
    end)

    it("says what is wrong with a text", function()
      local list, err = control.certificate_hosts("nonsense")
      assert.is_nil(list)
      assert.equal("certificates", err.where)
    end)
  end)

  describe("match_key()", function()
    it("accepts the key of the first certificate", function()
      assert.is_true(control.match_key(leaf.pem, leaf.key))
    end)

    it("refuses another's key", function()
      local ok, err = control.match_key(leaf.pem, ca.key)
      assert.is_nil(ok)
      assert.equal("match", err.where)
    end)

    it("refuses a text that is no key", function()
      local ok, err = control.match_key(leaf.pem, "nonsense")
      assert.is_nil(ok)
      assert.equal("private_key", err.where)
    end)
  end)

  describe("section()", function()
    it("builds a zone without hosts and rules", function()
      assert.truthy(control.section(document()))
    end)

    it("builds hosts with trust and origin", function()
      assert.truthy(control.section(document { hosts = {
        { name = "api.example.com", trust = { ca.pem }, origin = { url = "http://127.0.0.1:9", verify = true } },
        { name = "*.example.com", origin = { url = "http://127.0.0.1:9" } },
        { name = "*" },
        { name = "a.b.c.example.com", trust = { ca.pem } },
      } }))
    end)

    for _, case in ipairs {
      { "a rule that does not parse", { rules = { { id = "1", action = "block", expression = "nonsense" } } }, "rules" },
      { "an action that nobody performs", { rules = { { id = "1", action = "rewrite", expression = "true" } } }, "rules" },
      { "a list that is not there", { rules = { { id = "1", action = "block", expression = "ip.src in $office" } } }, "rules" },
      { "an account's rule that does not parse", { account_rules = { { id = "1", action = "block", expression = "nonsense" } } }, "rules" },
      { "a CA that is no certificate", { hosts = { { name = "api.example.com", trust = { "x" } } } }, "trust of api.example.com" },
      { "a CA that is a leaf", { hosts = { { name = "api.example.com", trust = { leaf.pem } } } }, "trust of api.example.com" },
      { "an origin without a scheme", { hosts = { { name = "api.example.com", origin = { url = "127.0.0.1" } } } },
        "origin of api.example.com" },
      { "a host of another domain", { hosts = { { name = "api.example.org" } } }, "" },
    } do
      it(("refuses %s"):format(case[1]), function()
        local section, err = control.section(document(case[2]))
        assert.is_nil(section)
        assert.equal(case[3], err.where:sub(1, #case[3]))
        assert.truthy(#err.text > 0)
      end)
    end

    it("names the rule that is wrong", function()
      local _, err = control.section(document { rules = {
        { id = "1", action = "block", expression = "true" },
        { id = "2", action = "block", expression = "http.hots eq 1" },
      } })
      assert.truthy(err.text:find("rule 2", 1, true))
    end)

    it("carries the rules as text that a worker reads", function()
      local section = assert(control.section(document {
        rules = {
          { id = "1", ref = "r", action = "block", expression = 'http.host eq "\195\164"', description = "left out",
            action_parameters = { response = { status_code = 403, content = "x", content_type = "text/plain" } } },
          { id = "2", action = "execute", expression = "ip.src in $office", action_parameters = { id = "c" } },
        },
        account_rules = { { id = "3", action = "log", expression = "ssl" } },
        rulesets = { c = { { id = "4", action = "block", expression = "ssl" } } },
        lists = { office = { kind = "ip", items = "c0000200c00002ff" } },
      }))
      local view = ffi.new("struct moon_str[1]")
      C.moon_ffi_section_rules(section.handle, view)
      local text = unit.text(view[0])
      assert.is_nil(text:find("left out", 1, true))
      local read = assert(require("moongate.section_rules").reader(require("moongate.fields").schema()):read(text))
      assert.equal("account", read.entries[1].kind)
      local decision = read.entries[2].segments[1].decisions[1]
      assert.same({ "1", "x", 403 }, { decision.id.text, decision.content.text, decision.status })
      assert.equal("c", read.entries[2].segments[1].execute)
      assert.is_true(read.lists.office.contains "\192\0\2\1")
    end)

    it("gives each host an id that is never used twice", function()
      local seen = {}
      for _ = 1, 3 do
        local section = assert(control.section(document { hosts = { { name = "a.example.com" }, { name = "b.example.com" } } }))
        for i = 0, 2 do -- the two and the "*" of every section
          local id = C.moon_section_host(section.handle, i).id
          assert.is_nil(seen[id])
          assert.truthy(id > 0)
          seen[id] = true
        end
      end
    end)

    describe("with a certificate toward its origin", function()
      local CONTEXT = "mtls_certificates:private_key:1"
      local function with(client)
        return control.section(document { hosts = {
          { name = "*", origin = { url = "https://127.0.0.1:9", client_certificate = client } },
        } })
      end
      local function sealed(key)
        assert(control.open_secrets(certs.directory() .. "/section-secrets.key", true))
        return assert(control.seal(key, CONTEXT))
      end

      it("opens the sealed key", function()
        assert(with { certificates = leaf.chain, private_key = sealed(leaf.key), context = CONTEXT })
      end)

      for _, case in ipairs {
        { "another's key", function() return { certificates = leaf.pem, private_key = sealed(ca.key), context = CONTEXT } end,
          "private_key" },
        { "a key of another row", function() return { certificates = leaf.pem, private_key = sealed(leaf.key), context = "other" } end,
          "secrets" },
        { "a key that is not sealed", function() return { certificates = leaf.pem, private_key = leaf.key, context = CONTEXT } end,
          "secrets" },
        { "no key", function() return { certificates = leaf.pem } end, "secrets" },
      } do
        it("refuses " .. case[1] .. ", and says where without showing the key", function()
          local section, err = with(case[2]())
          assert.is_nil(section)
          assert.equal("origin of *: " .. case[3], err.where)
          assert.is_nil(err.text:find(leaf.key:match("\n([^\n]+)\n"), 1, true))
        end)
      end
    end)

    it("gives a host its terms; without any it forwards nothing, resumes sessions and takes plain HTTP and websockets", function()
      local section = assert(control.section(document { hosts = {
        { name = "a.example.com", forward = { cloudflare = true, xfcc = true, fields = false } },
        { name = "b.example.com", resumption = false },
        { name = "c.example.com", https_only = true },
        { name = "d.example.com", websockets = false },
        { name = "e.example.com", resumption = true, https_only = false, websockets = true, forward = {} },
        { name = "f.example.com" },
        { name = "g.example.com", true_client_ip = true },
      } }))
      local seen = {}
      for i = 1, 7 do
        local terms = C.moon_section_host(section.handle, i - 1).terms
        seen[i] = { terms.forward, terms.no_resumption, terms.https_only, terms.no_websockets, terms.true_client_ip }
      end
      assert.same({
        { 9, false, false, false, false }, { 0, true, false, false, false }, { 0, false, true, false, false },
        { 0, false, false, true, false }, { 0, false, false, false, false }, { 0, false, false, false, false },
        { 0, false, false, false, true },
      }, seen)
    end)

    it("shares trust sets, origins and certificates of equal content", function()
      local hosts = {}
      for i = 1, 4 do
        hosts[i] = { name = ("h%d.example.com"):format(i), trust = { ca.pem }, origin = { url = "http://127.0.0.1:9" } }
      end
      local one = assert(control.section(document { hosts = hosts }))
      local two = assert(control.section(document { hosts = hosts }))
      local first, last = C.moon_section_host(one.handle, 0), C.moon_section_host(two.handle, 3)
      assert.equal(first.terms.trust, last.terms.trust)
      assert.equal(first.terms.origin, last.terms.origin)
      assert.equal(first.terms.policy, last.terms.policy)
    end)

    it("tells origins with other addresses, and with names of requests, apart", function()
      local url, hosts = "https://192.0.2.1", {}
      for i, origin in ipairs {
        { url = url }, { url = url, addresses = { "192.0.2.1", "192.0.2.2" } }, { url = url, request_name = true }, { url = url },
      } do
        hosts[i] = { name = ("h%d.example.com"):format(i), origin = origin }
      end
      local section = assert(control.section(document { hosts = hosts }))
      local function origin(i) return C.moon_section_host(section.handle, i).terms.origin end
      assert.not_equal(origin(0), origin(1))
      assert.not_equal(origin(0), origin(2))
      assert.equal(origin(0), origin(3))
      local _, err = control.section(document { hosts = { { name = "a.example.com", origin = { url = url, addresses = { "x" } } } } })
      assert.equal("origin of a.example.com: addresses", err.where)
    end)

    -- How many hosts have which policy: policy → number.
    local function policies_of(hosts)
      local section, sizes = assert(control.section(document { hosts = hosts })), {}
      for i = 0, #hosts - 1 do
        local policy = tostring(C.moon_section_host(section.handle, i).terms.policy)
        sizes[policy] = (sizes[policy] or 0) + 1
      end
      return sizes, section
    end

    it("gives hosts deeper than one label certificates of their own, up to a hundred names each", function()
      local hosts = { { name = "a.example.com" } }
      for i = 1, 350 do hosts[i + 1] = { name = ("h%03d.deep.example.com"):format(i) } end
      local count = 0
      for _, size in pairs((policies_of(hosts))) do
        count = count + 1
        assert.is_true(size <= 100)
      end
      assert.equal(9, count)
    end)

    it("keeps to a hundred names whatever the names are", function()
      local alike = {}
      for round = 1, 4 do -- those that share a certificate with the first one
        local hosts = { { name = "first.deep.example.com" } }
        for i = 1, 239 do hosts[i + 1] = { name = ("r%dh%d.deep.example.com"):format(round, i) } end
        local _, section = policies_of(hosts)
        local policy = C.moon_section_host(section.handle, 0).terms.policy
        for i = 1, 239 do
          if C.moon_section_host(section.handle, i).terms.policy == policy then alike[#alike + 1] = hosts[i + 1] end
        end
      end
      assert.is_true(#alike > 120)
      local most = 0
      for _, size in pairs((policies_of(alike))) do most = math.max(most, size) end
      assert.equal(100, most)
    end)

    it("makes one certificate anew when a host is added to hundreds", function()
      local hosts = {}
      for i = 1, 350 do hosts[i] = { name = ("h%03d.deep.example.com"):format(i * 2) } end
      local before, kept = policies_of(hosts)
      hosts[351] = { name = "h001.deep.example.com" }
      local after = policies_of(hosts)
      local same = 0
      for policy in pairs(after) do same = same + (before[policy] and 1 or 0) end
      assert.equal(7, same)
      assert.truthy(kept)
    end)

    it("keeps names of other domains out of the certificates of the zone's own", function()
      local _, section = policies_of { { name = "a.b.example.com" }, { name = "shop.test", guest = true }, { name = "www.example.com" } }
      local function policy(i) return C.moon_section_host(section.handle, i).terms.policy end
      assert.not_equal(policy(0), policy(1))
      assert.not_equal(policy(2), policy(1))
    end)

    it("does not take a look-alike for a name of the zone", function()
      local section = assert(control.section(document { name = "ex.com", hosts = { { name = "a.ex.com" }, { name = "b.c.ex.com" } } }))
      local shallow, deep = C.moon_section_host(section.handle, 0), C.moon_section_host(section.handle, 1)
      assert.not_equal(shallow.terms.policy, deep.terms.policy)
    end)
  end)

  describe("snapshot()", function()
    it("puts sections together under a number", function()
      local section = assert(control.section(document()))
      local snapshot = assert(control.snapshot(42, { section }))
      assert.equal(42, tonumber(C.moon_ffi_snapshot_generation(snapshot.handle)))
      assert.equal(section.handle, ffi.cast("struct moon_section *", C.moon_ffi_snapshot_section(snapshot.handle, 0)))
      assert.truthy(C.moon_ffi_snapshot_section(snapshot.handle, 1) == nil)
    end)

    it("may be empty", function()
      assert.truthy(control.snapshot(1, {}))
    end)

    it("refuses two sections of one domain", function()
      local snapshot, err = control.snapshot(1, { assert(control.section(document())), assert(control.section(document())) })
      assert.is_nil(snapshot)
      assert.truthy(err.text:find("example.com", 1, true))
    end)

    it("refuses a section with a host that stands twice", function()
      local section = assert(control.section(document { hosts = { { name = "a.example.com" }, { name = "a.example.com" } } }))
      assert.is_nil((control.snapshot(1, { section })))
    end)

    it("keeps its sections alive", function()
      local snapshot = assert(control.snapshot(1, { assert(control.section(document { hosts = { { name = "a.example.com" } } })) }))
      collectgarbage()
      collectgarbage()
      local host = C.moon_snapshot_find(snapshot.handle, unit.str("a.example.com"))
      assert.equal("a.example.com", unit.text(host.name))
    end)
  end)

  describe("without a gateway", function()
    it("publish() refuses", function()
      local ok, err = control.publish(assert(control.snapshot(1, {})))
      assert.is_nil(ok)
      assert.equal("publish", err.where)
      assert.equal("publish: " .. err.text, tostring(err))
    end)

    it("status() tells of no workers", function()
      local status = control.status()
      assert.same({}, status.workers)
      assert.equal(0, status.counters.requests)
    end)
  end)

  it("is a programmer's error before it is attached", function()
    package.loaded["moongate.control"] = nil
    local other = require "moongate.control"
    assert.has_error(function() other.section(document()) end)
    package.loaded["moongate.control"] = control
  end)

  it("keeps the struct that it was given", function()
    assert.truthy(struct.next_host_id > 1)
  end)
end)
