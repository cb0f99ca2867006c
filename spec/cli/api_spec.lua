local api_of = require "moongate.cli.api"
local json = require "moongate.json"

describe("moongate.cli.api", function()
  local answers, requests, notes, slept, api

  before_each(function()
    answers, requests, notes, slept = {}, {}, {}, {}
    api = api_of.new({ base = "http://127.0.0.1:1/client/v4", token = "s3cret" }, {
      request = function(_, request)
        requests[#requests + 1] = request
        local answer = table.remove(answers, 1)
        if answer.kind then return nil, answer end
        return answer
      end,
    }, {
      note = function(text) notes[#notes + 1] = text end,
      sleep = function(seconds) slept[#slept + 1] = seconds end,
    })
  end)

  local function answer(status, body, more)
    local one = { status = status, body = type(body) == "table" and json.encode(body) or body }
    for key, value in pairs(more or {}) do one[key] = value end
    answers[#answers + 1] = one
  end

  local function success(result, info)
    answer(200, { success = true, errors = json.array {}, messages = json.array {}, result = result, result_info = info })
  end

  local function refused(status, code, message, more)
    local one = { code = code, message = message }
    for key, value in pairs(more or {}) do one[key] = value end
    answer(status, { success = false, errors = json.array { one }, messages = json.array {}, result = json.null })
  end

  it("sends method, path, token and body", function()
    success { id = "x" }
    assert.equal("x", api:ask("POST", "/zones", { name = "a.test" }).id)
    assert.equal("POST", requests[1].method)
    assert.equal("http://127.0.0.1:1/client/v4/zones", requests[1].url)
    assert.equal('{"name":"a.test"}', requests[1].body)
    assert.equal("Authorization: Bearer s3cret", requests[1].headers[1])
  end)

  it("escapes what stands in a query", function()
    success(json.array {})
    api:list("/zones", { name = "a b&c=d\r\n" })
    assert.truthy(requests[1].url:find("?name=a%20b%26c%3Dd%0D%0A&per_page=500", 1, true))
  end)

  it("takes an answer without a body", function()
    answer(204, "")
    assert.same({}, api:call("DELETE", "/x"))
  end)

  it("passes messages on", function()
    answer(200, { success = true, errors = json.array {}, messages = json.array { { code = 1, message = "mind this" } }, result = 1 })
    api:ask("PUT", "/x")
    assert.same({ "mind this" }, notes)
  end)

  describe("list()", function()
    it("asks for page after page", function()
      success(json.array { 1, 2 }, { page = 1, total_pages = 2 })
      success(json.array { 3 }, { page = 2, total_pages = 2 })
      assert.same({ 1, 2, 3 }, { unpack(api:list "/zones") })
      assert.truthy(requests[2].url:find("page=2", 1, true))
    end)

    it("follows cursors of both forms", function()
      success(json.array { 1 }, { cursor = "c1" })
      success(json.array { 2 }, { cursors = { after = "c2" } })
      success(json.array { 3 })
      assert.same({ 1, 2, 3 }, { unpack(api:list "/rulesets") })
      assert.truthy(requests[2].url:find("cursor=c1", 1, true))
      assert.truthy(requests[3].url:find("cursor=c2", 1, true))
    end)

    it("refuses what is no list", function()
      success { a = 1 }
      local list, failure = api:list "/zones"
      assert.is_nil(list)
      assert.truthy(failure.text:find("no list", 1, true))
    end)
  end)

  describe("a failure", function()
    local function failure_text()
      local result, failure = api:ask("GET", "/zones")
      assert.is_nil(result)
      assert.is_nil(failure.text:find("s3cret", 1, true))
      return failure.text, failure
    end

    for _, case in ipairs {
      { 403, 9109, "does not accept this token" }, { 401, 1000, "does not accept this token" },
      { 403, 10000, "this token may not do GET /zones" }, { 404, 1472, "not found: GET /zones" },
      { 400, 1004, "GET /zones was refused" }, { 503, 21001, "cannot do GET /zones now" }, { 429, 971, "too many requests" },
    } do
      it(("of status %d and code %d says what it means"):format(case[1], case[2]), function()
        refused(case[1], case[2], "the reason")
        local text, failure = failure_text()
        assert.truthy(text:find(case[3], 1, true), text)
        assert.truthy(text:find(("the reason (%d)"):format(case[2]), 1, true), text)
        assert.equal(case[1], failure.status)
        assert.equal(case[2], failure.code)
      end)
    end

    it("names the place in the body and the reasons behind it", function()
      refused(400, 1408, "Unable to parse certificate", {
        source = { pointer = "/certificates" }, error_chain = json.array { { code = 1408, message = "no PEM" } },
      })
      assert.truthy(failure_text():find("Unable to parse certificate (1408) at /certificates: no PEM", 1, true))
    end)

    it("says how long to wait", function()
      answer(429, { success = false, errors = json.array {}, result = json.null }, { retry_after = 17 })
      assert.truthy(failure_text():find("wait 17 seconds", 1, true))
    end)

    for kind, text in pairs {
      unreachable = "is it running?", late = "did not answer in time", untrusted = "--cacert", other = "failed: x",
    } do
      it("of the kind " .. kind .. " says what could be done", function()
        answers[1] = { kind = kind, text = "x" }
        assert.truthy(failure_text():find(text, 1, true))
      end)
    end

    for title, body in pairs { ["no JSON"] = "<html>", ["no envelope"] = "{}", ["no object"] = "[]" } do
      it("with " .. title .. " says that this is something else", function()
        answer(200, body)
        assert.truthy(failure_text():find("is not the admin API: status 200", 1, true))
      end)
    end
  end)

  describe("with patience", function()
    local BUSY = { success = false, errors = json.array {}, result = json.null }

    it("waits as long as the gateway says, and asks again", function()
      api:be_patient()
      answer(429, BUSY, { retry_after = 3 })
      success { id = "x" }
      assert.equal("x", api:ask("GET", "/x").id)
      assert.same({ 3 }, slept)
      assert.same({ "the gateway asks to wait 3 seconds" }, notes)
    end)

    it("does not wait forever", function()
      api:be_patient()
      for _ = 1, 21 do answer(429, BUSY, { retry_after = 1 }) end
      assert.is_nil((api:ask("GET", "/x")))
      assert.equal(20, #slept)
    end)

    it("does not wait for long", function()
      api:be_patient()
      answer(429, BUSY, { retry_after = 3600 })
      assert.is_nil((api:ask("GET", "/x")))
      assert.same({}, slept)
    end)
  end)
end)
