local cli = require "spec.support.cli"

describe("moongate zone", function()
  local line

  before_each(function() line = cli.start() end)
  after_each(function() line:close() end)

  it("makes, lists, shows and deletes zones", function()
    assert.truthy(line:ok({ "zone", "create", "heron.test" }):find("^made the zone heron%.test %(%x+%)\n$"))
    assert.truthy(line:ok({ "zone", "list" }):find("\nheron%.test  %x+"))
    assert.truthy(line:ok({ "zone", "show", "HERON.test." }):find("name +heron%.test\n"))
    assert.equal("deleted the zone heron.test\n", (line:ok { "zone", "delete", "heron.test", "--yes" }))
    assert.equal(0, #line:json { "zone", "list" })
  end)

  it("prints what the API answers with -o json, and reads every page", function()
    for index = 1, 60 do line.gate:zone(("z%02d.test"):format(index)) end
    local list = line:json { "zone", "list" }
    assert.equal(60, #list)
    assert.same(line.gate:call("GET", "/zones?name=z07.test").body.result[1], list[7])
  end)

  it("finds a zone by its id", function()
    local zone = line.gate:zone "heron.test"
    assert.equal("heron.test", line:json({ "zone", "show", zone.id }).name)
  end)

  it("lists the zones of one account only, when it is named", function()
    line.gate:zone "heron.test"
    local other = line.gate:account "other"
    line.gate:call("POST", "/zones", { name = "stork.test", account = { id = other } })
    assert.equal(2, #line:json { "zone", "list" })
    assert.equal("stork.test", line:json({ "zone", "list", "--account", "other" })[1].name)
    local result = line:run { "zone", "show", "stork.test", "--account", "default" }
    assert.equal(1, result.code)
    local create = line:run { "zone", "create", "crane.test" }
    assert.equal(2, create.code)
    assert.truthy(create.err:find("--account: default, other", 1, true))
  end)

  describe("delete", function()
    before_each(function() line.gate:zone "heron.test" end)

    local function is_there() return #line.gate:call("GET", "/zones").body.result == 1 end

    it("wants --yes when nobody can be asked", function()
      local result = line:run { "zone", "delete", "heron.test" }
      assert.equal(2, result.code)
      assert.truthy(result.err:find("--yes", 1, true))
      assert.is_true(is_there())
    end)

    for _, case in ipairs { { "y\n", false }, { "Yes\n", false }, { "n\n", true }, { "\n", true }, { "", true } } do
      it(("asks on a terminal and takes %q as %s"):format(case[1], case[2] and "no" or "yes"), function()
        line.terminal.stdin, line.stdin = true, case[1]
        local result = line:run { "zone", "delete", "heron.test" }
        assert.truthy(result.err:find("delete the zone heron.test with everything in it? [y/N]", 1, true))
        assert.equal(case[2] and 1 or 0, result.code)
        assert.equal(case[2], is_there())
      end)
    end
  end)

  describe("settings", function()
    before_each(function() line.gate:zone "heron.test" end)

    it("shows all of them, or one", function()
      assert.truthy(line:ok({ "zone", "settings", "get", "heron.test" }):find("\nssl +full +yes +%-\n"))
      assert.equal("full", line:json({ "zone", "settings", "get", "heron.test", "ssl" }).value)
    end)

    it("changes one, and passes on what the API says of it", function()
      local out, err = line:ok { "zone", "settings", "set", "heron.test", "min_tls_version", "1.1" }
      assert.equal("min_tls_version  1.1\n", out)
      assert.truthy(err:find("clients need TLS 1.2", 1, true))
    end)

    it("makes a list where the setting is one", function()
      line:ok { "zone", "settings", "set", "heron.test", "ciphers", "ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-RSA-AES128-GCM-SHA256" }
      assert.equal(2, #line:json({ "zone", "settings", "get", "heron.test", "ciphers" }).value)
      line:ok { "zone", "settings", "set", "heron.test", "ciphers", "" }
      assert.equal(0, #line:json({ "zone", "settings", "get", "heron.test", "ciphers" }).value)
    end)

    for _, case in ipairs {
      { "a setting that is none", { "ssll", "full" }, 1, "ssll" }, { "a value that is none", { "ssl", "maybe" }, 1, "/value" },
      { "two values", { "ssl", "full", "off" }, 2, "ssl has one value" },
    } do
      it("fails for " .. case[1], function()
        local result = line:run { "zone", "settings", "set", "heron.test", unpack(case[2]) }
        assert.equal(case[3], result.code)
        assert.truthy(result.err:find(case[4], 1, true), result.err)
      end)
    end
  end)

  for _, case in ipairs {
    { "a zone that is not there", { "zone", "show", "none.test" }, 'there is no zone "none.test"' },
    { "an account that is not there", { "zone", "list", "--account", "none" }, "it sees: default" },
    { "a name that is none", { "zone", "create", "x" }, "not a valid domain name" },
  } do
    it("fails for " .. case[1], function()
      local result = line:run(case[2])
      assert.equal(1, result.code)
      assert.equal("", result.out)
      assert.truthy(result.err:find("^moongate: "))
      assert.truthy(result.err:find(case[3], 1, true), result.err)
    end)
  end

  for _, argv in ipairs { { "zone" }, { "zone", "create" }, { "zone", "list", "-o", "xml" }, { "zone", "show" }, { "zone", "list", "--token", "x" } } do
    it("refuses `" .. table.concat(argv, " ") .. "` as wrong usage", function() assert.equal(2, line:run(argv).code) end)
  end

  it("lets no escape sequence of an answer through to the terminal", function()
    line.canned[1] = { answer = { status = 400, body = '{"success":false,"errors":[{"code":1,"message":"a\\u001b[2Jb\\r"}],"result":null}' } }
    local err = line:run({ "zone", "list" }).err
    assert.truthy(err:find("a?[2Jb? (1)", 1, true), err)
  end)

  it("is bold on a terminal, unless NO_COLOR is set", function()
    line.terminal.stdout = true
    assert.truthy(line:ok({ "zone", "list" }):find("\27[1m", 1, true))
    line.environment.NO_COLOR = "1"
    assert.is_nil(line:ok({ "zone", "list" }):find("\27", 1, true))
  end)
end)
