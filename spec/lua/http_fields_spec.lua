-- What the rules see of a request's head, in the forms that the language documents.

require("spec.support.unit").load()
local bridge = require "moongate.ffi"
local http_fields = require "moongate.http_fields"

local ffi = bridge.ffi

describe("moongate.http_fields", function()
  local facts, head, kept, get

  before_each(function()
    facts, kept = ffi.new("struct moon_facts"), {}
    head = http_fields.head(facts, bridge)
    local getters = {}
    for _, row in ipairs(http_fields.list) do getters[row.name] = row.get end
    get = function(name) return getters[name](head) end
  end)

  local function set(view, text)
    kept[#kept + 1] = text
    view.data, view.len = text, #text
  end

  -- A new request with these parts.
  local function request(parts)
    facts.serial = facts.serial + 1
    set(facts.http_host, parts.host or "shop.example")
    set(facts.path, parts.path or "/")
    set(facts.raw_path, parts.raw_path or parts.path or "/")
    set(facts.query, parts.query or "")
    set(facts.uri, (parts.path or "/") .. (parts.query and "?" .. parts.query or ""))
    set(facts.raw_uri, (parts.raw_path or parts.path or "/") .. (parts.query and "?" .. parts.query or ""))
    facts.ssl = parts.ssl ~= false
    local list = parts.headers or {}
    local fields = ffi.new("struct moon_http_field[?]", #list + 1)
    for i, field in ipairs(list) do
      set(fields[i - 1].name, field[1])
      set(fields[i - 1].value, field[2])
    end
    kept[#kept + 1] = fields
    facts.fields, facts.field_count = fields, #list
  end

  describe("headers", function()
    it("are a map by lower-case name, repeats in order, values untouched", function()
      request { headers = { { "Accept", "a" }, { "X-Two", "1" }, { "x-two", " 2 " } } }
      assert.same({ accept = { "a", n = 1 }, ["x-two"] = { "1", " 2 ", n = 2 } }, get "http.request.headers")
      assert.same({ "Accept", "X-Two", "x-two", n = 3 }, get "http.request.headers.names")
      assert.same({ "a", "1", " 2 ", n = 3 }, get "http.request.headers.values")
      assert.is_false(get "http.request.headers.truncated")
    end)

    it("are empty, not missing, when there are none", function()
      request {}
      assert.same({}, get "http.request.headers")
      assert.same({ n = 0 }, get "http.request.headers.names")
      for _, name in ipairs { "http.cookie", "http.referer", "http.x_forwarded_for" } do assert.equal("", get(name)) end
    end)

    it("are those of the present request", function()
      request { headers = { { "Referer", "one" } } }
      assert.equal("one", get "http.referer")
      request { headers = { { "Referer", "two" } } }
      assert.equal("two", get "http.referer")
    end)
  end)

  describe("cookies", function()
    for _, case in ipairs {
      { { "a=1; b=2" }, { a = { "1", n = 1 }, b = { "2", n = 1 } } },
      { { "a=1; a=2" }, { a = { "1", "2", n = 2 } } },
      { { "a=1", "b=x=y" }, { a = { "1", n = 1 }, b = { "x=y", n = 1 } } },
      { { "na%6De=v%20w; lone" }, { name = { "v%20w", n = 1 }, lone = { "", n = 1 } } },
    } do
      it("of " .. table.concat(case[1], " and "), function()
        local headers = {}
        for i, value in ipairs(case[1]) do headers[i] = { "Cookie", value } end
        request { headers = headers }
        assert.same(case[2], get "http.request.cookies")
        assert.equal(table.concat(case[1], "; "), get "http.cookie")
      end)
    end
  end)

  describe("arguments", function()
    for _, case in ipairs {
      { "x=1&y=2&x=3", { x = { "1", "3", n = 2 }, y = { "2", n = 1 } }, { "x", "y", "x", n = 3 }, { "1", "2", "3", n = 3 } },
      { "a+b=%20&A=", { ["a+b"] = { "%20", n = 1 }, A = { "", n = 1 } }, { "a+b", "A", n = 2 }, { "%20", "", n = 2 } },
      { "lone&&=v", { lone = { "", n = 1 }, [""] = { "v", n = 1 } }, { "lone", "", n = 2 }, { "", "v", n = 2 } },
      { "", {}, { n = 0 }, { n = 0 } },
    } do
      it(("of %q are not decoded"):format(case[1]), function()
        request { query = case[1] }
        for _, prefix in ipairs { "", "raw." } do
          assert.same(case[2], get(prefix .. "http.request.uri.args"))
          assert.same(case[3], get(prefix .. "http.request.uri.args.names"))
          assert.same(case[4], get(prefix .. "http.request.uri.args.values"))
        end
      end)
    end
  end)

  describe("extension()", function()
    for _, case in ipairs {
      { "/a.tar.GZ", "gz" }, { "/.env", "" }, { "/.env.bak", "bak" }, { "/a.", "" }, { "/a", "" }, { "/a.b/c", "" }, { "/", "" },
      { "/dir.d/index.HTML", "html" },
    } do
      it(("of %s is %q"):format(case[1], case[2]), function()
        assert.equal(case[2], http_fields.extension(case[1]))
        request { path = case[1] }
        assert.equal(case[2], get "http.request.uri.path.extension")
      end)
    end
  end)

  it("stays linear for cookies full of blanks and paths of one long segment", function()
    local begun = os.clock()
    for _ = 1, 20 do
      request { path = "/" .. ("a"):rep(8000) .. "/x.html", headers = { { "Cookie", "a" .. (" "):rep(16000) .. "b=1" } } }
      assert.equal("html", get "http.request.uri.path.extension")
      assert.equal("1", get("http.request.cookies")["a" .. (" "):rep(16000) .. "b"][1])
    end
    assert.is_true(os.clock() - begun < 1)
  end)

  it("puts the whole URI together, before and after normalisation", function()
    request { path = "/a/b", raw_path = "/%61/b", query = "x=1" }
    assert.equal("https://shop.example/a/b?x=1", get "http.request.full_uri")
    assert.equal("https://shop.example/%61/b?x=1", get "raw.http.request.full_uri")
    request { ssl = false }
    assert.equal("http://shop.example/", get "http.request.full_uri")
  end)

  it("orders languages by weight", function()
    request { headers = { { "Accept-Language", "da;q=0.5, en-GB, *;q=0.1, en;q=0.8, xx;q=0" } } }
    assert.same({ "en-GB", "en", "da", n = 3 }, get "http.request.accepted_languages")
  end)
end)
