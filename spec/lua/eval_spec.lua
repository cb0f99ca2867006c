local eval = require "moongate.eval"
local json = require "moongate.json"

-- A stream over a string to read from, and one that remembers what is written.
local function input(text)
  return {
    read = function() return text end,
    lines = function() return text:gmatch("([^\n]*)\n?") end,
  }
end

local function output()
  local stream = { text = "" }
  function stream:write(...)
    self.text = self.text .. table.concat({ ... })
    return self
  end
  return stream
end

local function run(options)
  options.stdout, options.stderr = output(), output()
  options.stdin = options.stdin and input(options.stdin)
  local code = eval.run(options)
  return code, options.stdout.text, options.stderr.text
end

local function file(text)
  local path = os.tmpname()
  local handle = assert(io.open(path, "wb"))
  handle:write(text)
  handle:close()
  return path
end

describe("moongate.eval", function()
  describe("run()", function()
    it("prints true or false for one expression", function()
      assert.same({ 0, "false\n", "" }, { run { expression = "ssl" } })
      assert.same({ 0, "true\n", "" }, { run { expression = 'not ssl and http.host eq ""' } })
    end)

    it("takes field values from a request file", function()
      local path = file '{"http.host": "a.example", "ip.src": "192.0.2.7", "ssl": true}'
      finally(function() os.remove(path) end)
      assert.same({ 0, "true\n", "" },
        { run { expression = 'ssl and http.host eq "a.example" and ip.src in {192.0.2.0/24}', request = path } })
    end)

    it("takes the request from standard input as -", function()
      assert.same({ 0, "true\n", "" }, { run { expression = "ssl", request = "-", stdin = '{"ssl": true}' } })
    end)

    for _, case in ipairs {
      { "cf.waf.score lt 20", false }, { "cf.waf.score ne 20", false }, { 'any(cf.waf.content_scan.obj_types[*] ne "x")', false },
      { "cf.edge.client_tcp", true }, { 'cf.zone.plan eq "ENT"', true },
    } do
      it(("knows %s as the gateway does"):format(case[1]), function()
        assert.same({ 0, tostring(case[2]) .. "\n", "" }, { run { expression = case[1] } })
      end)
    end

    it("takes a value for a field that no request of the gateway has", function()
      assert.same({ 0, "true\n", "" }, { run { expression = "cf.waf.score lt 20", request = "-", stdin = '{"cf.waf.score": 5}' } })
    end)

    it("shows a bad expression with line, column and a caret and exits 1", function()
      local code, out, err = run { expression = 'http.hots eq "a"' }
      assert.equal(1, code)
      assert.equal("", out)
      assert.equal('Filter parsing error (1:1):\nhttp.hots eq "a"\n^^^^^^^^^ unknown identifier\ndid you mean http.host?\n', err)
    end)

    for _, case in ipairs {
      { '{"ssl": "yes"}', "no Boolean" }, { '{"http.host": 1}', "no String" }, { '{"ip.src": "1.2.3"}', "no IP" },
      { '{"nope": 1}', "unknown field" }, { "[]", "expected an object" }, { "{", "member name" },
    } do
      it("refuses the request " .. case[1], function()
        local code, out, err = run { expression = "ssl", request = "-", stdin = case[1] }
        assert.same({ 1, "" }, { code, out })
        assert.matches(case[2], err)
      end)
    end

    it("exits 2 without an expression and 1 for a file that is not there", function()
      assert.equal(2, (run {}))
      assert.equal(2, (run { expression = "ssl", batch = true }))
      assert.equal(1, (run { expression = "ssl", request = "/nonexistent/request.json" }))
      assert.equal(1, (run { expression = "ssl", scheme = "/nonexistent/scheme.json" }))
    end)

    it("shows generated code that a person can read: what stands in each constant and accessor, one test a line", function()
      local _, out = run {
        expression = 'lower(http.user_agent) eq "x" and http.host in {"a" "b"} and ip.src in $office', show_code = true,
      }
      for _, line in ipairs {
        "-- K[1]: function, lower", '-- K[2]: "x"', "-- K[3]: table, a set of 2", "-- K[4]: function, in $office",
        "-- A1: http.user_agent", "-- A2: http.host", "  v1 = K[1](v2)", "  t1 = (v1 == K[2])", "    t1 = K[3][v3] ~= nil", "return function()", "  if t1 then return O[1] end",
      } do
        assert.truthy(("\n" .. out):find("\n" .. line .. "\n", 1, true), line .. "\n" .. out)
      end
      assert.truthy(loadstring((out:gsub("\nfalse\n$", "\n"))))
    end)

    it("shows the generated code on request", function()
      local _, out = run { expression = "ssl", show_code = true }
      assert.matches("return function", out)
      assert.matches("false\n$", out)
    end)
  end)

  describe("run() with batch", function()
    local scheme
    setup(function()
      scheme = file [[{"fields": {"host": "String", "n": "Integer", "m": "Map<Array<String>>", "a": "Array<Integer>", "addr": "IP", "b": "Boolean",
        "bytes": "Bytes"}}]]
    end)
    teardown(function() os.remove(scheme) end)

    local function answers(lines)
      local code, out, err = run { batch = true, scheme = scheme, stdin = table.concat(lines, "\n") .. "\n" }
      assert.equal("", err)
      assert.equal(0, code)
      local list = {}
      for line in out:gmatch("[^\n]+") do
        list[#list + 1] = assert(json.decode(line))
      end
      return list
    end

    for _, case in ipairs {
      { '{"expr": "b", "fields": {"b": true}}', true },
      { '{"expr": "b", "fields": {}}', false },
      { '{"expr": "n eq 9007199254740993", "fields": {"n": 9007199254740993}}', true },
      { '{"expr": "n eq 9007199254740993", "fields": {"n": 9007199254740992}}', false },
      { '{"expr": "n lt -9223372036854775807", "fields": {"n": -9223372036854775808}}', true },
      { '{"expr": "any(m[\\"k\\"][*] eq \\"v\\")", "fields": {"m": {"k": ["u", "v"]}}}', true },
      { '{"expr": "any(a[*] gt 3)", "fields": {"a": [1, 4]}}', true },
      { '{"expr": "addr in $office", "fields": {"addr": "2001:db8::7"}, "lists": {"office": ["192.0.2.1", "2001:db8::/32"]}}', true },
      { '{"expr": "host in $names", "fields": {"host": "a"}, "lists": {"names": ["b"]}}', false },
      { '{"expr": "n in $ports", "fields": {"n": 80}, "lists": {"ports": [80, "443"]}}', true },
      { '{"expr": "n in $ports", "fields": {"n": 80}}', false },
      { '{"expr": "bytes eq 61:62", "fields": {"bytes": "ab"}}', true },
    } do
      it("answers " .. case[1], function()
        assert.same({ json.object { result = case[2] } }, answers { case[1] })
      end)
    end

    it("only checks where no fields are given", function()
      assert.same({ json.object { ok = true } }, answers { '{"expr": "b"}' })
    end)

    it("answers every line in its place, whatever stands before it", function()
      local list = answers {
        '{"expr": "host eq"}', "nonsense", '{"expr": 5}', '{"expr": "b", "fields": {"b": 1}}', '{"expr": "b", "fields": {"b": true}}',
      }
      assert.equal("unrecognised input", list[1].error.message)
      assert.same({ 1, 8, 1 }, { list[1].error.line, list[1].error.column, list[1].error.length })
      for i = 2, 4 do
        assert.is_string(list[i].error.message)
      end
      assert.is_true(list[5].result)
    end)

    it("refuses a scheme with an unknown type", function()
      local bad = file '{"x": "Float"}'
      finally(function() os.remove(bad) end)
      local code, _, err = run { batch = true, scheme = bad, stdin = "" }
      assert.equal(1, code)
      assert.matches('field "x": unknown type "Float"', err)
    end)
  end)
end)
