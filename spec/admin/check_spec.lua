describe("moongate.admin.check", function()
  local check = require "moongate.admin.check"
  local json = require "moongate.json"

  describe("hostname()", function()
    for text, expected in pairs {
      ["a.test"] = "a.test", ["A.Test"] = "a.test", ["a.test."] = "a.test", ["xn--bcher-kva.test"] = "xn--bcher-kva.test",
      ["a_b.test"] = "a_b.test", ["1.test"] = "1.test", ["localhost"] = "localhost", [("a"):rep(63) .. ".test"] = ("a"):rep(63) .. ".test",
    } do
      it("reads " .. text, function() assert.equal(expected, (check.hostname(text))) end)
    end

    for _, text in ipairs {
      "", ".", "..", ".a", "a..b", "a..", "a b", "a\tb", "a/b", "a:1", "a@b", "a%41", "*.a", "-a.test", "a-.test", ("a"):rep(64),
      ("a."):rep(127) .. "a", "a\0b", "é.test", "\255", "192.0.2.1", "[::1]", "a.test\n",
    } do
      it(("refuses %q"):format(text):gsub("[%c\127-\255]", "?"), function()
        local name, reason = check.hostname(text)
        assert.is_nil(name)
        assert.is_string(reason)
      end)
    end
  end)

  describe("is_within()", function()
    it("is true for the name itself and for names below", function()
      assert.is_true(check.is_within("heron.test", "heron.test"))
      assert.is_true(check.is_within("a.b.heron.test", "heron.test"))
      assert.is_false(check.is_within("xheron.test", "heron.test"))
      assert.is_false(check.is_within("test", "heron.test"))
      assert.is_false(check.is_within("heron.test", "a.heron.test"))
    end)
  end)

  describe("reversed()", function()
    it("puts names below a name behind its prefix", function()
      assert.equal("com.example.a.", check.reversed "a.example.com")
      assert.equal(1, (check.reversed("a.example.com"):find(check.reversed "example.com", 1, true)))
      assert.is_nil((check.reversed("a.xexample.com"):find(check.reversed "example.com", 1, true)))
    end)
  end)

  describe("object()", function()
    local fields = {
      { name = "text", type = "string", min = 2, max = 4 }, { name = "must", type = "boolean", required = true },
      { name = "number", type = "integer", min = 1, max = 9, default = 5 }, { name = "list", type = "array", of = "string", max = 2 },
      { name = "word", type = "string", one_of = { "a", "b" } }, { name = "empty", type = "string", empty_is_value = true },
      { name = "any", type = "any" },
    }

    for _, case in ipairs {
      { '{"must":true}', { must = true, number = 5 } },
      { '{"must":false,"text":null,"number":null}', { must = false, number = 5 } },
      { '{"must":true,"text":"","empty":""}', { must = true, number = 5, empty = "" } },
      { '{"must":true,"unknown":1,"text":"abcd","number":9,"word":"b"}', { must = true, text = "abcd", number = 9, word = "b" } },
      { '{"must":true,"any":false}', { must = true, number = 5, any = false } },
    } do
      it("reads " .. case[1], function() assert.same(case[2], (check.object(json.decode(case[1]), fields))) end)
    end

    for _, case in ipairs {
      { "[]", "" }, { '"x"', "" }, { "{}", "/must" }, { '{"must":null}', "/must" }, { '{"must":"true"}', "/must" }, { '{"must":1}', "/must" },
      { '{"must":true,"text":7}', "/text" }, { '{"must":true,"text":"a"}', "/text" }, { '{"must":true,"text":"abcde"}', "/text" },
      { '{"must":true,"number":"5"}', "/number" }, { '{"must":true,"number":0}', "/number" }, { '{"must":true,"number":1.5}', "/number" },
      { '{"must":true,"number":1e300}', "/number" }, { '{"must":true,"list":{}}', "/list" }, { '{"must":true,"list":["a",1]}', "/list" },
      { '{"must":true,"list":["a","b","c"]}', "/list" }, { '{"must":true,"word":"c"}', "/word" }, { '{"must":true,"text":[]}', "/text" },
    } do
      it("refuses " .. case[1], function()
        local values, mistakes = check.object(json.decode(case[1]), fields)
        assert.is_nil(values)
        assert.equal(case[2], mistakes[1].pointer)
      end)
    end
  end)

  describe("has_nul()", function()
    it("finds a NUL in any string, keys included", function()
      assert.is_true(check.has_nul(json.decode '{"a":[{"b":"x\\u0000"}]}'))
      assert.is_true(check.has_nul(json.decode '{"a\\u0000":1}'))
      assert.is_false(check.has_nul(json.decode '{"a":["\\\\u0000",null,1,true]}'))
    end)
  end)
end)
