local config = require "moongate.config"
local shell = require "spec.support.shell"
local target = require "moongate.cli.target"

describe("moongate.cli.target", function()
  local directory, environment, stdin

  before_each(function()
    directory, environment, stdin = shell.directory("target"), { MOONGATE_TOKEN = "abc" }, nil
  end)
  after_each(function() shell.remove_directory(directory) end)

  local function find(args)
    return target.find(args, {
      environment = function(name) return environment[name] end,
      find_config = function(path) return path end,
      read_file = function(path)
        if path == "-" then return stdin end
        local text = shell.read(path)
        if not text then return nil, path .. ": No such file or directory" end
        return text
      end,
    })
  end

  local function configured(text)
    local path = directory .. "/moongate.lua"
    shell.write(path, text)
    return path
  end

  for given, base in pairs {
    ["http://127.0.0.1:8444"] = "http://127.0.0.1:8444/client/v4",
    ["http://localhost:8444/"] = "http://localhost:8444/client/v4",
    ["http://[::1]:8444"] = "http://[::1]:8444/client/v4",
    ["https://gate.example.com"] = "https://gate.example.com/client/v4",
    ["https://gate.example.com:8444/client/v4/"] = "https://gate.example.com:8444/client/v4",
    ["https://proxy.example.com/edge/client/v4"] = "https://proxy.example.com/edge/client/v4",
  } do
    it("understands " .. given, function() assert.equal(base, assert(find { url = given }).base) end)
  end

  for given, reason in pairs {
    ["http://gate.example.com:8444"] = "readable for everybody",
    ["http://127.0.0.1.example.com"] = "readable for everybody",
    ["ftp://127.0.0.1"] = "no address", ["127.0.0.1:8444"] = "no address", ["https://"] = "no address",
    ["https://me:secret@gate.example.com"] = "no address", ["https://a b"] = "no address",
    ["https://gate.example.com/x?y"] = "no address", ["http://127.0.0.1:0"] = "has no port",
  } do
    it("refuses " .. given, function()
      local found, text = find { url = given }
      assert.is_nil(found)
      assert.truthy(text:find(reason, 1, true), text)
    end)
  end

  it("goes by --url before MOONGATE_URL before the configuration file", function()
    local path = configured 'return { data_dir = "x", admin = { listen = "127.0.0.1:7001" } }'
    assert.equal("http://127.0.0.1:7001/client/v4", find({ config = path }).base)
    environment.MOONGATE_URL = "http://127.0.0.1:7002"
    assert.equal("http://127.0.0.1:7002/client/v4", find({ config = path }).base)
    assert.equal("http://127.0.0.1:7003/client/v4", find({ config = path, url = "http://127.0.0.1:7003" }).base)
  end)

  it("trusts the certificate that the configuration names, unless told of a CA", function()
    local path = configured 'return { data_dir = "x", admin = { listen = "0.0.0.0:7001", certificate = "a.pem", key = "a.key" } }'
    local found = find { config = path }
    assert.equal("https://127.0.0.1:7001/client/v4", found.base)
    assert.equal(directory .. "/a.pem", found.ca_file)
    assert.equal("ca.pem", find({ config = path, cacert = "ca.pem" }).ca_file)
  end)

  it("says what is wrong with the configuration file", function()
    local _, diag = config.load(configured "return { data_dir = 1 }")
    local _, text = find { config = directory .. "/moongate.lua" }
    assert.equal(diag.text, text)
  end)

  it("wants an address when the port is chosen at start", function()
    local _, text = find { config = configured 'return { data_dir = "x", admin = { listen = "127.0.0.1:0" } }' }
    assert.truthy(text:find("--url", 1, true))
  end)

  it("says how to name a gateway when none is named", function()
    local _, text = find {}
    assert.truthy(text:find("MOONGATE_URL", 1, true))
  end)

  describe("the token", function()
    local URL = "http://127.0.0.1:1"

    it("comes from MOONGATE_TOKEN", function() assert.equal("abc", find({ url = URL }).token) end)

    it("comes from a file, which goes first, without the blanks around it", function()
      shell.write(directory .. "/token", "  xyz_-123\n")
      assert.equal("xyz_-123", find({ url = URL, token_file = directory .. "/token" }).token)
    end)

    it("comes from standard input", function()
      stdin = "from-stdin\n"
      assert.equal("from-stdin", find({ url = URL, token_file = "-" }).token)
    end)

    for title, text in pairs { ["an empty file"] = "\n", ["a line break inside"] = "abc\r\nX-Evil: 1", ["a blank inside"] = "a b" } do
      it("is refused with " .. title .. ", and not shown", function()
        shell.write(directory .. "/token", text)
        local found, reason = find { url = URL, token_file = directory .. "/token" }
        assert.is_nil(found)
        assert.is_nil(reason:find("Evil", 1, true))
      end)
    end

    it("is asked for when there is none", function()
      environment.MOONGATE_TOKEN = nil
      local _, text = find { url = URL }
      assert.truthy(text:find("--token-file", 1, true))
      _, text = find { url = URL, token_file = directory .. "/none" }
      assert.truthy(text:find("No such file", 1, true))
    end)
  end)

  for _, seconds in ipairs { "0", "-1", "abc", "3601" } do
    it("refuses --timeout " .. seconds, function()
      local _, text = find { url = "http://127.0.0.1:1", timeout = seconds }
      assert.truthy(text:find("--timeout", 1, true))
    end)
  end
end)
