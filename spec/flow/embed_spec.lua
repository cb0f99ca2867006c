-- libmoongate as somebody else's program has it: installed, found, linked, and on the program's own loop.

local certs = require "spec.support.certs"
local embed = require "spec.support.embed"
local origin = require "spec.support.origin"
local shell = require "spec.support.shell"

local HEADER = "core/include/moongate.h"

local function declared()
  local names = {}
  for name in shell.read(HEADER):gmatch("\nMOON_API [^;(]-(moon_gate_[%w_]+)%(") do names[name] = true end
  return names
end

describe("the installed library", function()
  local installed

  setup(function() installed = embed.install() end)
  teardown(function() shell.remove_directory(installed.prefix) end)

  for _, file in ipairs { "libmoongate.so", "libmoongate.a" } do
    it(("shows the functions of moongate.h and nothing else of ours in %s"):format(file), function()
      local names = embed.exported(installed.libraries .. "/" .. file)
      for name in pairs(declared()) do assert.is_true(names[name], name .. " is not there") end
      for name in pairs(names) do
        -- Copies of the C++ library's templates are every program's own; sanitizers count what they see.
        local foreign = name:find("^_Z") or name:find("^__odr_asan") or name:find("^__[au][sb]san") or name:find("^_GLOBAL_")
        assert.is_true(declared()[name] or foreign ~= nil, name .. " is visible")
      end
    end)
  end

  it("has a soname with the version that its interface is of", function()
    local text = embed.run({ "readelf", "-d", installed.libraries .. "/libmoongate.so" }).stdout
    local version = embed.run({ "env", "PKG_CONFIG_PATH=" .. installed.pkgconfig, "pkg-config", "--modversion", "moongate" }).stdout
    assert.equal("libmoongate.so." .. version:match("^%d+%.%d+"), text:match("soname: %[([^%]]+)%]"))
  end)

  it("has headers that stand alone, in C and in C++", function()
    for _, language in ipairs { "c", "c++" } do
      embed.run { "cc", "-x", language, "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-I" .. installed.prefix .. "/include",
        "-include", "moongate.h", "-fsyntax-only", "/dev/null" }
    end
  end)

  -- ---- the example ----

  local ca, own, stranger, server, behind

  setup(function()
    ca = certs.ca("Embed CA")
    server = certs.leaf(ca, { cn = "www", eku = "serverAuth", san = "DNS:www.example.com" })
    own = certs.leaf(ca, { cn = "own" })
    stranger = certs.leaf(certs.ca("Other CA"), { cn = "stranger" })
    behind = origin.start()
  end)
  teardown(function() behind:stop() end)

  local function configuration(rules)
    local to = { url = behind.url }
    return { zones = { {
      name = "example.com",
      certificates = { { certificate = server.pem, private_key = server.key } },
      hosts = { { name = "api.example.com", trust = { ca.pem }, origin = to }, { name = "*", origin = to } },
      rules = rules or {
        { id = "verified", action = "block",
          expression = 'http.host eq "api.example.com" and not cf.tls_client_auth.cert_verified' },
        { id = "gold", action = "block", expression = 'http.request.uri.path eq "/gold" and not tenant.plan eq "gold"' },
      },
    } } }
  end

  for _, way in ipairs {
    { "pkg-config", function() return embed.build_by_pkgconfig(installed, "moongate") end },
    { "pkg-config, static,", function() return embed.build_by_pkgconfig(installed, "moongate-static") end },
    { "CMake", function() return embed.build_by_cmake(installed, {}) end },
    { "CMake, static,", function() return embed.build_by_cmake(installed, { static = true }) end },
  } do
    describe(("a program that found it by %s"):format(way[1]), function()
      local program

      setup(function() program = embed.start(way[2](), configuration()) end)
      teardown(function() program:close() end)

      it("asks a host's clients for a certificate of its CA", function()
        assert.equal(403, program:curl({ host = "api.example.com" }).status)
        assert.equal(403, program:curl({ host = "api.example.com", cert = stranger }).status)
        local answer = program:curl { host = "api.example.com", cert = own, path = "/hello" }
        assert.equal(200, answer.status)
        assert.equal("/hello", behind:requests("/hello")[1].target)
        assert.equal(200, program:curl({ host = "www.example.com" }).status)
      end)

      it("presents the certificate that it was given, under its name only", function()
        assert.equal(200, program:curl({ host = "www.example.com", ca = ca }).status)
        assert.has_error(function() program:curl { host = "other.example.com", ca = ca } end)
        assert.equal(200, program:curl({ host = "other.example.com" }).status)
      end)

      it("answers content of its own, after the rules", function()
        assert.equal(403, program:curl({ host = "api.example.com", path = "/embed/status" }).status)
        local answer = program:curl { host = "api.example.com", path = "/embed/status", cert = own }
        assert.equal(200, answer.status)
        assert.truthy(answer.body:find('"host":"api.example.com","verified":true', 1, true), answer.body)
        assert.same({}, behind:requests("/embed/status"))
      end)

      for _, case in ipairs {
        { "the right value", { "X-Tenant: acme-7" }, 200 }, { "another value", { "X-Tenant: other" }, 403 },
        { "no value", {}, 403 },
      } do
        it(("has a field in C in a rule: %s"):format(case[1]), function()
          assert.equal(case[3], program:curl({ host = "www.example.com", path = "/gold", headers = case[2] }).status)
        end)
      end

      it("serves on its own port beside it", function()
        local result = embed.run { "sh", "-c", ("printf 'hello\\n' | curl -s --max-time 1 telnet://127.0.0.1:%s || true")
          :format(program.tcp) }
        assert.equal("HELLO\n", result.stdout)
      end)

      it("publishes another configuration while it runs, and keeps what it has when one is wrong", function()
        local wrong = configuration { { action = "block", expression = 'tenant.plan gt 3' } }
        local said = program:publish(wrong)
        assert.truthy(said:find("zones[0].rules[0].expression", 1, true), said)
        assert.equal(403, program:curl({ host = "api.example.com" }).status)
        assert.equal("embed: published", program:publish(configuration { }))
        assert.equal(200, program:curl({ host = "api.example.com" }).status)
        assert.equal("embed: published", program:publish(configuration()))
        assert.equal(403, program:curl({ host = "api.example.com" }).status)
      end)

      it("lets a request end when it is told to stop, and leaves nothing on the loop", function()
        local slow = shell.spawn({ "curl", "-sk", "--max-time", "30", "--noproxy", "*", "--connect-to",
          ("www.example.com:%s:127.0.0.1:%s"):format(program.port, program.port), "-w", "%{http_code}", "-o", "/dev/null",
          ("https://www.example.com:%s/wait/1500?%s"):format(program.port, program.port) },
          { stdout = program.directory .. "/slow" })
        behind:wait_request("/wait/1500?" .. program.port)
        assert.equal(0, program:stop())
        assert.equal(0, shell.wait(slow))
        assert.equal("200", shell.read(program.directory .. "/slow"))
        assert.is_nil(program:stderr():find("something is left", 1, true))
        assert.is_nil(program:reports())
      end)
    end)
  end
end)
