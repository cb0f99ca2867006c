-- Rules that read the body: held back until they have decided, whole for the origin afterwards.

local gateway = require "spec.support.gateway"
local origin = require "spec.support.origin"

describe("a rule that reads the body", function()
  local gate, behind

  setup(function()
    behind = origin.start()
    gate = gateway.start { origin = behind }
    gate:set_rules {
      'http.request.body.raw contains "attack"', 'any(http.request.body.form["role"][*] eq "admin")',
      'http.request.body.size gt 500000',
    }
  end)

  teardown(function()
    gate:stop()
    behind:stop()
  end)

  -- Sends a head and then the pieces of a body; returns the answer.
  local function send(fields, pieces)
    local session = gate:connect { host = "www.example.com" }
    local lines = { "POST /echo HTTP/1.1", "Host: www.example.com" }
    for _, field in ipairs(fields) do lines[#lines + 1] = field end
    session:send(table.concat(lines, "\r\n") .. "\r\n\r\n")
    for _, piece in ipairs(pieces) do session:send(piece) end
    local answer = session:response()
    session:close()
    return answer
  end

  local function with_length(text, more)
    local fields = { "Content-Length: " .. #text }
    for _, field in ipairs(more or {}) do fields[#fields + 1] = field end
    return fields
  end

  local function chunks(text, size)
    local out = {}
    for start = 1, #text, size do
      local piece = text:sub(start, start + size - 1)
      out[#out + 1] = ("%x\r\n%s\r\n"):format(#piece, piece)
    end
    out[#out + 1] = "0\r\n\r\n"
    return out
  end

  for name, text in pairs { ["short"] = "hello", ["of more than the rules see"] = ("x"):rep(300000), ["empty"] = "" } do
    it(("lets a harmless body pass whole: %s, with a length and in chunks"):format(name), function()
      local answer = send(with_length(text), { text })
      assert.equal(200, answer.status)
      assert.truthy(answer.body == text, #answer.body)
      answer = send({ "Transfer-Encoding: chunked" }, chunks(text, 7000))
      assert.equal(200, answer.status)
      assert.truthy(answer.body == text, #answer.body)
    end)
  end

  it("blocks what it finds, in pieces too, and the origin sees nothing", function()
    local before = #behind:requests("/echo")
    assert.equal(403, send(with_length("an attack!"), { "an at", "tack!" }).status)
    assert.equal(403, send({ "Transfer-Encoding: chunked" }, chunks("an attack!", 3)).status)
    local form = "name=x&role=admin"
    assert.equal(403, send(with_length(form, { "Content-Type: application/x-www-form-urlencoded" }), { form }).status)
    assert.equal(before, #behind:requests("/echo"))
    assert.equal(200, send(with_length(form), { form }).status) -- no form by its type
  end)

  it("knows the announced size before the body is whole", function()
    local text = ("x"):rep(600000)
    assert.equal(403, send(with_length(text), { text:sub(1, 140000) }).status)
  end)

  it("does not see beyond the first 128 KiB", function()
    local text = ("x"):rep(140000) .. "attack"
    local answer = send(with_length(text), { text })
    assert.equal(200, answer.status)
    assert.equal(#text, #answer.body)
  end)

  it("asks a client that waits to go on", function()
    local session = gate:connect { host = "www.example.com" }
    session:send("POST /echo HTTP/1.1\r\nHost: www.example.com\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n")
    assert.equal(100, session:response({ interim = true }).status)
    session:send("hello")
    local answer = session:response()
    assert.equal(200, answer.status)
    assert.equal("hello", answer.body)
    session:close()
  end)

  it("leaves the connection in order for the next request", function()
    local session = gate:connect { host = "www.example.com" }
    session:send("POST /echo HTTP/1.1\r\nHost: www.example.com\r\nContent-Length: 5\r\n\r\nhelloGET /after HTTP/1.1\r\nHost: www.example.com\r\n\r\n")
    assert.equal("hello", session:response().body)
    assert.equal(200, session:response().status)
    assert.equal(1, #behind:requests("/after"))
    session:close()
  end)
end)
