local certs = require "spec.support.certs"
local support = require "spec.support.admin"

describe("moongate.admin.resources.mtls_certificates", function()
  local gate, path, root, issuing

  setup(function()
    root = certs.ca("Device Root", { subject = "/C=NO/ST=Oslo/O=Heron Ltd/CN=Device Root" })
    issuing = certs.ca("Issuing", { issuer = root })
  end)

  before_each(function()
    gate = assert(support.start())
    path = ("/accounts/%s/mtls_certificates"):format(gate.account_id)
  end)
  after_each(function() gate:close() end)

  local function upload(body) return gate:call("POST", path, body) end
  local function first(answer) return answer.body.errors[1] end

  describe("upload", function()
    it("answers with the object as documented", function()
      gate.control.clock = 1767225600.123456
      local answer = upload { ca = true, certificates = root.pem, name = "device-ca" }
      assert.equal(200, answer.status)
      local result = answer.body.result
      assert.truthy(result.id:find("^%x+%-%x+%-4%x+%-[89ab]%x+%-%x+$"))
      assert.equal(36, #result.id)
      assert.equal("device-ca", result.name)
      assert.is_true(result.ca)
      assert.equal("CN=Device Root,O=Heron Ltd,ST=Oslo,C=NO", result.issuer)
      assert.equal("ECDSAWithSHA256", result.signature)
      assert.truthy(result.serial_number:find("^%d+$"))
      assert.equal("custom", result.type)
      assert.truthy(result.uploaded_on:find("^2026%-01%-01T00:00:00%.12345%dZ$"))
      assert.equal(result.uploaded_on, result.updated_at)
      assert.truthy(result.expires_on:find("^%d%d%d%d%-%d%d%-%d%dT%d%d:%d%d:%d%dZ$"))
      assert.is_nil(answer.raw:find("private_key", 1, true))
    end)

    for title, case in pairs {
      ["ends in a month and a day"] = { 31, false }, ["ends within a month"] = { 29, true },
    } do
      it("of a CA that " .. title .. (case[2] and " says so" or " says nothing"), function()
        local short = certs.ca("Short", { not_after = os.time() + case[1] * 86400 })
        gate.control.clock = os.time()
        local answer = upload { ca = true, certificates = certs.ca("Long", { days = 90 }).pem .. short.pem }
        assert.equal(200, answer.status)
        assert.equal(case[2] and 1 or 0, #answer.body.messages)
        if case[2] then
          assert.equal(21104, answer.body.messages[1].code)
          assert.truthy(answer.body.messages[1].message:find("certificate 2 (CN=Short) ends at", 1, true))
        end
      end)
    end

    it("keeps the text byte for byte: comments, order, CRLF", function()
      local text = ("# our root\n" .. issuing.pem .. "\nand its parent\n" .. root.pem .. "\n\n"):gsub("\n", "\r\n")
      local made = upload { ca = true, certificates = text }
      assert.equal(200, made.status)
      assert.equal(text, gate:call("GET", path .. "/" .. made.body.result.id).body.result.certificates)
    end)

    it("is described by the first certificate of a bundle", function()
      local made = upload { ca = true, certificates = issuing.pem .. root.pem }
      assert.equal("CN=Device Root,O=Heron Ltd,ST=Oslo,C=NO", made.body.result.issuer)
    end)

    for _, case in ipairs { { "left out", nil }, { "an empty text", "" } } do
      it("has no name when it is " .. case[1], function()
        local made = upload { ca = true, certificates = root.pem, name = case[2], private_key = "" }
        assert.equal(200, made.status)
        assert.is_nil(made.body.result.name)
      end)
    end

    it("accepts a leaf with its key, which nobody sees again", function()
      local leaf = certs.leaf(root, { cn = "worker" })
      local made = upload { ca = false, certificates = leaf.chain, private_key = leaf.key }
      assert.equal(200, made.status)
      assert.is_false(made.body.result.ca)
      local secret = leaf.key:match("\n([^\n]+)\n")
      assert.is_nil(made.raw:find(secret, 1, true))
      local pipe = io.popen("grep -c -a -F '" .. secret .. "' " .. gate.directory .. "/data/*")
      assert.is_nil(pipe:read("*a"):find(":[1-9]"))
      pipe:close()
    end)

    local leaf, other = certs.leaf(nil, { cn = "leaf" }), certs.leaf(nil, { cn = "other" })
    for _, case in ipairs {
      { "no `ca`", function() return { certificates = root.pem } end, 1400 },
      { "`ca` as text", function() return { ca = "true", certificates = root.pem } end, 1400 },
      { "no certificates", function() return { ca = true } end, 1400 },
      { "empty certificates", function() return { ca = true, certificates = "" } end, 1400 },
      { "certificates as a number", function() return { ca = true, certificates = 1 } end, 1400 },
      { "text that is no PEM", function() return { ca = true, certificates = "hello" } end, 1408 },
      { "a private key among the certificates", function() return { ca = true, certificates = root.pem .. root.key } end, 1408 },
      { "a broken block", function() return { ca = true, certificates = (root.pem:gsub("\nM", "\n!", 1)) } end, 1408 },
      { "a leaf as a CA", function() return { ca = true, certificates = leaf.pem } end, 1411 },
      { "a bundle with a leaf in it", function() return { ca = true, certificates = root.pem .. leaf.pem } end, 1411 },
      { "an Ed25519 CA", function() return { ca = true, certificates = certs.ca("ed", { key = "Ed25519" }).pem } end, 1447 },
      { "an RSA key of 1024 bits", function() return { ca = true, certificates = certs.ca("small", { key = "RSA 1024" }).pem } end, 1447 },
      { "an expired CA", function()
        return { ca = true, certificates = certs.ca("old", { not_before = 1500000000, not_after = 1600000000 }).pem }
      end, 1409 },
      { "a leaf without its key", function() return { ca = false, certificates = leaf.pem } end, 2106 },
      { "a leaf with an unreadable key", function() return { ca = false, certificates = leaf.pem, private_key = "x" } end, 2106 },
      { "a leaf with another's key", function() return { ca = false, certificates = leaf.pem, private_key = other.key } end, 2200 },
      { "a CA as a leaf", function() return { ca = false, certificates = root.pem, private_key = root.key } end, 2101 },
      { "two leaves", function() return { ca = false, certificates = leaf.pem .. other.pem, private_key = leaf.key } end, 2101 },
      { "a CA with another's key", function() return { ca = true, certificates = root.pem, private_key = other.key } end, 2200 },
    } do
      it(("refuses %s with %d"):format(case[1], case[3]), function()
        local answer = upload(case[2]())
        assert.equal(400, answer.status)
        assert.equal(case[3], first(answer).code)
        assert.equal(0, gate:call("GET", path).body.result_info.total_count)
      end)
    end

    it("accepts a CA with its own key", function()
      assert.equal(200, upload { ca = true, certificates = root.pem, private_key = root.key }.status)
    end)

    it("answers 1400 to malformed JSON", function()
      assert.equal(1400, first(upload "{").code)
    end)

    it("refuses the same certificates again, in whatever order", function()
      upload { ca = true, certificates = root.pem .. issuing.pem, name = "a" }
      local answer = upload { ca = true, certificates = "again\n" .. issuing.pem .. root.pem, name = "b" }
      assert.equal(400, answer.status)
      assert.equal(1471, first(answer).code)
      assert.equal("Certificate already exists", first(answer).message)
    end)

    it("refuses a name that is taken", function()
      upload { ca = true, certificates = root.pem, name = "device-ca" }
      local answer = upload { ca = true, certificates = issuing.pem, name = "device-ca" }
      assert.equal(1471, first(answer).code)
      assert.equal("Certificate name already exists", first(answer).message)
    end)

    it("lets any number go without a name", function()
      upload { ca = true, certificates = root.pem }
      assert.equal(200, upload { ca = true, certificates = issuing.pem }.status)
    end)

    it("refuses the sixth CA, counts no leaves, and frees a place at a delete", function()
      local cas = {}
      for index = 1, 6 do cas[index] = certs.ca("CA " .. index) end
      local leaf_of = certs.leaf(root, { cn = "leaf" })
      assert.equal(200, upload { ca = false, certificates = leaf_of.pem, private_key = leaf_of.key }.status)
      local id
      for index = 1, 5 do id = upload { ca = true, certificates = cas[index].pem }.body.result.id end
      local answer = upload { ca = true, certificates = cas[6].pem }
      assert.equal(400, answer.status)
      assert.equal(1489, first(answer).code)
      assert.equal("Hit maximum CA cert allocation.", first(answer).message)
      assert.equal(200, gate:call("DELETE", path .. "/" .. id).status)
      assert.equal(200, upload { ca = true, certificates = cas[6].pem }.status)
    end)

    it("takes its quota from the configuration", function()
      gate:close()
      gate = assert(support.start { config = { limits = { client_cas_per_account = 1 } } })
      path = ("/accounts/%s/mtls_certificates"):format(gate.account_id)
      assert.equal(200, upload { ca = true, certificates = root.pem }.status)
      assert.equal(1489, first(upload { ca = true, certificates = issuing.pem }).code)
    end)
  end)

  describe("list", function()
    local function names(query)
      local list = {}
      for index, one in ipairs(gate:call("GET", path .. query).body.result) do list[index] = one.name end
      return list
    end

    before_each(function()
      local leaf = certs.leaf(root, { cn = "worker" })
      upload { ca = true, certificates = root.pem, name = "first" }
      gate.control.clock = gate.control.clock + 1
      upload { ca = false, certificates = leaf.pem, private_key = leaf.key, name = "second" }
      gate.control.clock = gate.control.clock + 1
      upload { ca = true, certificates = issuing.pem, name = "third" }
    end)

    it("shows the newest first, everything by default", function()
      assert.same({ "third", "second", "first" }, names "")
      assert.same({ "third", "second", "first" }, names "?")
    end)

    for query, expected in pairs {
      ["?ca=true"] = { "third", "first" }, ["?ca=false"] = { "second" }, ["?name=second"] = { "second" },
      ["?name=none"] = {}, ["?ca=false&name=first"] = {}, ["?type=custom"] = { "third", "second", "first" },
      ["?type=gateway_managed&type=access_managed"] = {}, ["?type=custom,gateway_managed"] = { "third", "second", "first" },
      ["?page=1&per_page=2"] = { "third", "second" }, ["?page=2&per_page=2"] = { "first" }, ["?page=3&per_page=2"] = {},
      ["?limit=1&offset=1"] = { "second" },
    } do
      it("answers " .. query, function() assert.same(expected, names(query)) end)
    end

    it("has all five numbers in result_info", function()
      assert.same({ page = 2, per_page = 2, count = 1, total_count = 3, total_pages = 2 },
        gate:call("GET", path .. "?page=2&per_page=2").body.result_info)
    end)

    it("gives an empty array and unchanged totals past the end", function()
      local answer = gate:call("GET", path .. "?page=9&per_page=2")
      assert.equal(200, answer.status)
      assert.truthy(answer.raw:find('"result":[]', 1, true))
      assert.equal(3, answer.body.result_info.total_count)
      assert.equal(0, answer.body.result_info.count)
    end)

    for _, query in ipairs { "page=0", "page=x", "per_page=x", "ca=maybe" } do
      it("refuses ?" .. query .. " with 10002", function()
        local answer = gate:call("GET", path .. "?" .. query)
        assert.equal(400, answer.status)
        assert.equal(10002, first(answer).code)
      end)
    end
  end)

  describe("get and delete", function()
    it("give the object, and 404 with 1472 afterwards", function()
      local made = gate:upload_ca(root.pem, "x")
      local got = gate:call("GET", path .. "/" .. made.id)
      made.updated_at = nil
      assert.same(made, got.body.result)
      local gone = gate:call("DELETE", path .. "/" .. made.id)
      assert.equal(200, gone.status)
      assert.same(made, gone.body.result)
      for _, method in ipairs { "GET", "DELETE" } do
        local answer = gate:call(method, path .. "/" .. made.id)
        assert.equal(404, answer.status)
        assert.equal(1472, first(answer).code)
      end
    end)

    for _, id in ipairs { "x", "5D1C0F0A-77A3-4A53-9C3F-0A9B1C2D3E4F", ("0"):rep(32), "5d1c0f0a-77a3-4a53-9c3f-0a9b1c2d3e4f" } do
      it("answer 404 with 1472 to " .. id, function()
        local answer = gate:call("GET", path .. "/" .. id)
        assert.equal(404, answer.status)
        assert.equal(1472, first(answer).code)
      end)
    end

    it("take the id without its hyphens, too", function()
      local made = upload { ca = true, certificates = root.pem }.body.result
      local bare = path .. "/" .. made.id:gsub("-", "")
      assert.equal(made.id, gate:call("GET", bare).body.result.id)
      assert.equal(made.id, gate:call("DELETE", bare).body.result.id)
      assert.equal(404, gate:call("GET", path .. "/" .. made.id).status)
    end)

    it("do not reach into another account", function()
      local made = gate:upload_ca(root.pem)
      local foreign = gate:account "other"
      local answer = gate:call("GET", ("/accounts/%s/mtls_certificates/%s"):format(foreign, made.id))
      assert.equal(404, answer.status)
      assert.equal(1472, first(answer).code)
      assert.equal(404, gate:call("DELETE", ("/accounts/%s/mtls_certificates/%s"):format(foreign, made.id)).status)
      assert.equal(200, gate:call("GET", path .. "/" .. made.id).status)
    end)

    it("refuse to delete a CA in use, until it is not", function()
      local made, zone = gate:upload_ca(root.pem), gate:zone "heron.test"
      local list = "/zones/" .. zone.id .. "/certificate_authorities/hostname_associations"
      gate:call("PUT", list, { hostnames = { "a.heron.test" }, mtls_certificate_id = made.id })
      local answer = gate:call("DELETE", path .. "/" .. made.id)
      assert.equal(400, answer.status)
      assert.equal(1485, first(answer).code)
      gate:call("PUT", list, { hostnames = {}, mtls_certificate_id = made.id })
      assert.equal(200, gate:call("DELETE", path .. "/" .. made.id).status)
    end)
  end)

  describe("associations", function()
    it("are empty, then name api_shield while a hostname is associated", function()
      local made, zone = gate:upload_ca(root.pem), gate:zone "heron.test"
      local one = path .. "/" .. made.id .. "/associations"
      assert.truthy(gate:call("GET", one).raw:find('"result":[]', 1, true))
      gate:call("PUT", "/zones/" .. zone.id .. "/certificate_authorities/hostname_associations",
        { hostnames = { "a.heron.test" }, mtls_certificate_id = made.id })
      assert.same({ { service = "api_shield", status = "active" } }, gate:call("GET", one).body.result)
    end)

    it("answer 404 with 1472 for an unknown certificate", function()
      assert.equal(1472, first(gate:call("GET", path .. "/5d1c0f0a-77a3-4a53-9c3f-0a9b1c2d3e4f/associations")).code)
    end)
  end)
end)
