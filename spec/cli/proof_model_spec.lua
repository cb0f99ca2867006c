-- The model is the measure of `moongate prove`; each row is a sentence about what a gateway must do.

local model = require "moongate.cli.proof_model"

describe("moongate.cli.proof_model", function()
  local A, B, TWIN = { name = "a's", good_under = "a" }, { name = "b's", good_under = "b" }, { name = "twin's", good_under = "twin" }
  local BAD = { name = "bad" }
  local world

  before_each(function()
    world = {
      zone = "z.test", revoked = {}, enforced = { ["a.z.test"] = true, ["a2.z.test"] = true, ["b.z.test"] = true },
      hosts = { ["a.z.test"] = { a = true }, ["a2.z.test"] = { a = true }, ["b.z.test"] = { b = true } },
    }
  end)

  for _, case in ipairs {
    { "its own certificate passes", "a", "a", A, 530 },
    { "another CA's certificate is blocked", "a", "a", B, 403 },
    { "that of a CA of the same name is blocked", "a", "a", TWIN, 403 },
    { "no certificate is blocked", "a", "a", nil, 403 },
    { "a bad certificate is blocked", "a", "a", BAD, 403 },
    { "another name with the same CAs may share the connection", "a", "a2", A, 530 },
    { "a name with other CAs may not", "a", "b", A, 421 },
    { "nor from a name without CAs", "open", "a", A, 421 },
    { "nor to a name without CAs", "a", "open", A, 421 },
    { "nor without a server name", nil, "a", A, 421 },
    { "nor from a name that nobody serves", "x.invalid", "a", A, 421 },
    { "names without CAs share connections", "open", "other", nil, 530 },
    { "a name that nobody serves is unknown", "open", "x.invalid", nil, 404 },
    { "a name that only ends like the zone is unknown", "open", "xz.test", nil, 404 },
  } do
    it(case[1], function()
      local function name(label) return label and (label:find(".", 1, true) and label or label .. ".z.test") end
      assert.equal(case[5], model.status(world, { server_name = name(case[2]), host = name(case[3]), specimen = case[4] }))
    end)
  end

  it("blocks what was revoked", function()
    world.revoked["a's"] = true
    assert.equal(403, model.status(world, { server_name = "a.z.test", host = "a.z.test", specimen = A }))
  end)

  it("lets everybody pass without the rule, and still ties names to connections", function()
    world.enforced = nil
    assert.equal(530, model.status(world, { server_name = "a.z.test", host = "a.z.test" }))
    assert.equal(421, model.status(world, { server_name = "b.z.test", host = "a.z.test" }))
  end)

  it("blocks protected hosts over plain HTTP, whatever the certificate", function()
    assert.equal(403, model.status(world, { host = "a.z.test", plain = true, specimen = A }))
    assert.equal(530, model.status(world, { host = "open.z.test", plain = true }))
  end)

  it("asks for a certificate where there are CAs", function()
    world.hosts["a.z.test"].b = true
    assert.equal(2, model.asked(world, "a.z.test"))
    assert.equal(0, model.asked(world, "open.z.test"))
    assert.equal(0, model.asked(world, nil))
  end)
end)
