-- What a client may present, through a whole handshake: too much, too large, somebody else's. Others are served meanwhile.

local certs = require "spec.support.certs"
local gateway = require "spec.support.gateway"
local origin = require "spec.support.origin"

local HOST = "api.example.com"

describe("a client that presents", function()
  local gate, behind, root, issuing, device

  setup(function()
    behind = origin.start()
    gate = gateway.start { origin = behind }
    root = certs.ca("Presented")
    issuing = certs.ca("Presented 1", { issuer = root })
    device = certs.leaf(issuing, { cn = "device" })
    gate:protect(HOST, root)
  end)
  teardown(function()
    gate:stop()
    behind:stop()
  end)

  -- A leaf with these texts behind it, as connect() takes it.
  local function with(leaf, ...)
    local chain = leaf.pem .. table.concat { ... }
    return { chain_path = certs.write(chain, ".chain.pem"), path = leaf.path, key_path = leaf.key_path }
  end

  -- The status, or "no handshake".
  local function answer(cert, path)
    local ok, status = pcall(function() return (gate:status { host = HOST, cert = cert, path = path }) end)
    return ok and status or "no handshake"
  end

  after_each(function() assert.equal(200, answer(device, "/good")) end)

  it("its chain in another order, with strangers in it, is verified", function()
    assert.equal(200, answer(with(device, root.pem, certs.ca("Stranger").pem, issuing.pem), "/order"))
  end)

  it("a self-signed certificate before a genuine one is not", function()
    assert.equal(403, answer(with(certs.leaf(nil, { cn = "device" }), device.pem, issuing.pem), "/stuffed"))
    assert.equal("self-signed certificate", gate:wait_log({ path = "/stuffed" }).verify_error)
  end)

  it("another CA's certificate before a genuine one is not", function()
    assert.equal(403, answer(with(certs.leaf(certs.ca "Presented", { cn = "device" }), device.pem, issuing.pem, root.pem), "/foreign"))
  end)

  it("the CA's own certificate is not", function()
    -- The CA's key is in the wrong hands then, and yet it is no client.
    assert.equal(403, answer({ chain_path = root.path, path = root.path, key_path = root.key_path }, "/ca"))
  end)

  it("a hundred certificates is not verified, or not even heard", function()
    assert.not_equal(200, answer(with(device, issuing.pem:rep(99)), "/hundred"))
    assert.same({}, behind:requests("/hundred"))
  end)

  for title, size in pairs { ["70 KiB"] = 70 * 1024, ["a MiB"] = 1024 * 1024 } do
    it("a certificate of " .. title .. " is not heard", function()
      local lines = {}
      for index = 1, math.ceil(size / 60000) do lines[index] = ("1.2.3.%d=ASN1:FORMAT:UTF8,UTF8:%s"):format(index, ("x"):rep(60000)) end
      local large = certs.leaf(root, { cn = "large", extensions = lines })
      assert.is_true(#large.pem > size)
      assert.equal("no handshake", answer(with(large), "/large"))
      assert.same({}, behind:requests("/large"))
    end)
  end
end)
