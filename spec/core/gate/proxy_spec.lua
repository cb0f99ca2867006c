local ffi = require "ffi"
local gate = require "spec.support.gate"
local wait = require "spec.support.wait"

local GET = "GET /x HTTP/1.1\r\nHost: a.test\r\n\r\n"

describe("an exchange with an origin", function()
  local origin, gateway
  local short = { head = 1500, idle = 1500, connect = 1500 }

  before_each(function()
    origin = gate.origin()
    gateway = gate.start {
      hosts = { ["a.test"] = { origin = origin.port } },
      options = function(options)
        options.timeouts.origin_head, options.timeouts.origin_idle = short.head, short.idle
        options.timeouts.origin_connect, options.timeouts.body_idle = short.connect, 1500
        options.timeouts.write_idle = 3000
      end,
    }
  end)
  after_each(function()
    gateway:close()
    origin:close()
  end)

  --- A client that has sent `bytes`, and the origin's side of it.
  local function begin(bytes, options)
    local client = gateway:connect(options)
    client:send(bytes or GET)
    local peer = origin:accept()
    return client, peer, peer:request()
  end

  -- A warm connection in the pool, as the origin sees it.
  local function warm()
    local client, peer = begin()
    peer:answer(200, "first")
    assert.equal("first", client:response().body)
    return client, peer
  end

  describe("whose origin fails", function()
    for _, case in ipairs {
      { "closes at once", "", 502 },
      { "closes within the head", "HTTP/1.1 200 OK\r\nContent-Le", 502 },
      { "closes behind an interim answer", "HTTP/1.1 103 Early\r\n\r\n", 502 },
      { "sends no HTTP", "SSH-2.0-OpenSSH\r\n\r\n", 502 },
      { "sends a bare LF", "HTTP/1.1 200 OK\nContent-Length: 0\r\n\r\n", 502 },
      { "folds a field", "HTTP/1.1 200 OK\r\nA: b\r\n c\r\nContent-Length: 0\r\n\r\n", 502 },
      { "says two lengths", "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab", 502 },
      { "says length and chunked", "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 502 },
      { "sends too many interim answers", ("HTTP/1.1 103 Early\r\n\r\n"):rep(9), 502 },
      { "sends an endless head", "HTTP/1.1 200 OK\r\n" .. ("A: " .. ("b"):rep(1000) .. "\r\n"):rep(200), 502 },
    } do
      for _, how in ipairs { "close", "reset" } do
        it(("and %s is answered %d (%s)"):format(case[1], case[3], how), function()
          local client, peer = begin()
          peer:send(case[2])
          peer[how](peer)
          local answer = client:response()
          assert.equal(case[3], answer.status)
          assert.is_nil(answer.incomplete)
          -- The client's connection is none the worse.
          client:send(GET)
          local again = origin:accept()
          again:request()
          again:answer(200, "fine")
          assert.equal("fine", client:response().body)
          client:close()
        end)
      end
    end

    for _, options in ipairs { { tls = false }, { tls = true, sni = "a.test" } } do
      for _, how in ipairs { "close", "reset" } do
        for _, case in ipairs {
          { "a length", "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf", "half" },
          { "chunks", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n64\r\nmore", "halfmore" },
          { "malformed chunks", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalfXX", "half" },
        } do
          it(("is seen to be cut short within %s (%s, %s)"):format(case[1], how, options.tls and "TLS" or "plain"), function()
            local client, peer = begin(GET, options)
            peer:send(case[2])
            -- The piece must have left the origin before a reset could overtake it.
            local answer = client:response { body = false }
            assert.equal(200, answer.status)
            local piece = client:receive()
            peer[how](peer)
            local rest = {}
            while true do
              local bytes, err = client:receive()
              if not bytes then
                assert.is_truthy(err)
                break
              end
              rest[#rest + 1] = bytes
            end
            local all = piece .. table.concat(rest)
            assert.is_nil(all:find("0\r\n\r\n", 1, true))
            assert.truthy(all:find("half", 1, true))
            client:close()
            gateway:await("origin_failed", 1)
          end)
        end
      end
    end

    it("resets the client when an answer without framing is cut, so that it does not look complete", function()
      local client, peer = begin("GET / HTTP/1.0\r\nHost: a.test\r\n\r\n")
      peer:send "HTTP/1.1 200 OK\r\n\r\nhalf"
      local answer = client:response { body = false }
      assert.equal(200, answer.status)
      client:receive()
      peer:reset()
      local bytes, err = client:receive()
      assert.is_nil(bytes)
      assert.equal("reset", err)
    end)

    it("resets it also when the reset was noticed by sending", function()
      for _ = 1, 20 do -- whether the gateway first reads or first writes is a matter of luck
        local client, peer = begin("POST / HTTP/1.0\r\nHost: a.test\r\nContent-Length: 1000000\r\n\r\n" .. ("u"):rep(1000))
        peer:send "HTTP/1.1 200 OK\r\n\r\nhalf"
        assert.equal(200, client:response({ body = false }).status)
        client:receive()
        client:send(("u"):rep(10000))
        peer:reset()
        if client:send(("u"):rep(10000)) then -- else the reset was told here, and is not a second time
          local bytes, err
          repeat bytes, err = client:receive() until not bytes
          assert.equal("reset", err)
        end
        client:close()
      end
    end)

    it("ends an unframed answer cleanly when the origin does", function()
      local client, peer = begin("GET / HTTP/1.0\r\nHost: a.test\r\n\r\n")
      peer:send "HTTP/1.1 200 OK\r\n\r\nwhole"
      peer:close()
      local answer = client:response()
      assert.equal("whole", answer.body)
      assert.equal("closed", answer.ended)
    end)

    it("answers 504 when the head does not come in time", function()
      local client, peer = begin()
      local began = wait.now()
      assert.equal(504, client:response().status)
      assert.is_true(wait.now() - began > 1.4)
      assert.equal("closed", select(2, peer:receive_all()))
    end)

    it("does not take interim answers for the head when it waits", function()
      local client, peer = begin()
      for _ = 1, 3 do
        peer:send "HTTP/1.1 102 Processing\r\n\r\n"
        wait.pause(0.7)
      end
      peer:answer(200, "late")
      assert.equal("late", client:response().body)
    end)

    it("cuts the answer when the next piece does not come in time", function()
      local client, peer = begin()
      peer:send "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf"
      local answer = client:response()
      assert.equal("half", answer.body)
      assert.is_truthy(answer.incomplete)
      assert.equal("closed", select(2, peer:receive_all()))
    end)

    it("answers 502 when nobody listens", function()
      origin:close()
      local client = gateway:connect()
      client:send(GET)
      assert.equal(502, client:response().status)
    end)

    it("answers 502 when the name does not resolve", function()
      gateway:publish { ["a.test"] = { origin = { url = "http://nobody.invalid:80" } } }
      local client = gateway:connect()
      client:send(GET)
      local status = client:response().status
      assert.is_true(status == 502 or status == 504) -- where no resolver answers at all the deadline comes first
    end)

    it("answers 525 when TLS meets plain HTTP", function()
      gateway:publish { ["a.test"] = { origin = { url = "https://127.0.0.1:" .. origin.port } } }
      local client = gateway:connect()
      client:send(GET)
      local peer = origin:accept()
      peer:receive()
      peer:send "HTTP/1.1 400 Bad Request\r\n\r\n"
      assert.equal(525, client:response().status)
    end)
  end)

  describe("over a connection that was used before", function()
    it("is tried again on a fresh one when the origin has closed in the meantime", function()
      local client, peer = warm()
      client:send(GET)
      peer:request() -- the origin closes instead of answering
      peer:close()
      local again = origin:accept()
      again:request()
      again:answer(200, "second")
      assert.equal("second", client:response().body)
    end)

    it("is tried again only once", function()
      local client, peer = warm()
      client:send(GET)
      peer:request()
      peer:reset()
      local again = origin:accept()
      again:request()
      again:close()
      assert.equal(502, client:response().status)
      assert.is_false(origin:is_called())
    end)

    for _, case in ipairs {
      { "POST", "POST /x HTTP/1.1\r\nHost: a.test\r\n\r\n" },
      { "PATCH", "PATCH /x HTTP/1.1\r\nHost: a.test\r\n\r\n" },
      { "PUT with a body", "PUT /x HTTP/1.1\r\nHost: a.test\r\nContent-Length: 1\r\n\r\nx" },
      { "GET with a body", "GET /x HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" },
    } do
      it("is not tried again for a " .. case[1], function()
        local client, peer = warm()
        client:send(case[2])
        peer:request()
        peer:close()
        assert.equal(502, client:response().status)
        assert.is_false(origin:is_called())
      end)
    end

    for _, case in ipairs {
      { "part of a head", "HTTP/1.1 200" }, { "an interim answer", "HTTP/1.1 103 Early\r\n\r\n" },
    } do
      it(("is not tried again behind %s"):format(case[1]), function()
        local client, peer = warm()
        client:send(GET)
        peer:request()
        peer:send(case[2])
        wait.pause(0.05)
        peer:close()
        assert.equal(502, client:response().status)
        assert.is_false(origin:is_called())
      end)
    end

    it("is not tried again when the origin is silent", function()
      local client, peer = warm()
      client:send(GET)
      peer:request()
      assert.equal(504, client:response().status)
      assert.is_false(origin:is_called())
    end)

    for _, case in ipairs {
      { "bytes behind the length", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil" },
      { "bytes behind the last chunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\nHTTP/1.1 200 OK\r\n\r\n" },
      { "Connection: close", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok" },
      { "HTTP/1.0", "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok" },
    } do
      it(("never goes over one that answered with %s"):format(case[1]), function()
        local client, peer = begin()
        peer:send(case[2])
        assert.equal("ok", client:response().body)
        client:send(GET)
        local again = origin:accept()
        again:request()
        again:answer(200, "clean")
        assert.equal("clean", client:response().body)
        local rest = peer:receive_all()
        assert.equal("", rest)
      end)
    end

    it("never goes over one that sent bytes while it was idle", function()
      local client, peer = warm()
      peer:send "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"
      assert.equal("", (peer:receive_all()))
      client:send(GET)
      local again = origin:accept()
      again:request()
      again:answer(200, "clean")
      assert.equal("clean", client:response().body)
    end)

    it("gives nobody the body of an answer to HEAD", function()
      local client, peer = begin("HEAD /x HTTP/1.1\r\nHost: a.test\r\n\r\n")
      peer:send "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"
      local answer = client:response { head = true }
      assert.equal("4", answer:field "content-length")
      client:send(GET)
      local again = origin:accept()
      again:request()
      again:answer(200, "clean")
      assert.equal("clean", client:response().body)
    end)

    it("is shared by clients one after the other, not at a time", function()
      local client, peer = warm()
      local other = gateway:connect()
      client:send(GET)
      peer:request()
      other:send(GET)
      local second = origin:accept()
      second:request()
      second:answer(200, "for the other")
      peer:answer(200, "for the first")
      assert.equal("for the other", other:response().body)
      assert.equal("for the first", client:response().body)
    end)
  end)

  describe("whose answer comes before the request is complete", function()
    local UPLOAD = "POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 5000000\r\n\r\n"

    it("reaches the client, and closes", function()
      local client, peer = begin(UPLOAD .. ("u"):rep(1000))
      peer:answer(401, "who are you?")
      local answer = client:response()
      assert.equal("who are you?", answer.body)
      assert.equal("close", answer:field "connection")
      assert.is_true(client:is_closed())
      assert.is_not.equal("silent", select(2, peer:receive_all()))
    end)

    it("reaches the client although the origin resets behind it", function()
      for _ = 1, 10 do -- which of the gateway's senses notices first is a matter of luck
        local client, peer = begin(UPLOAD)
        client:send(("u"):rep(300000))
        wait.pause(0.02) -- so that the origin has unread bytes: closing is a reset then
        peer:answer(413, "too much")
        peer:close()
        local answer = client:response()
        assert.equal(413, answer.status)
        assert.equal("too much", answer.body)
        client:close()
      end
    end)

    it("reaches a client that goes on sending", function()
      local client, peer = begin(UPLOAD)
      peer:answer(413, "too much")
      peer:close()
      pcall(client.send, client, ("u"):rep(60000))
      assert.equal(413, client:response().status)
    end)

    it("never lets the rest of the body become a request", function()
      local client, peer = begin("POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 100\r\n\r\n")
      peer:answer(401, "no")
      assert.equal(401, client:response().status)
      client:send "GET /smuggled HTTP/1.1\r\nHost: a.test\r\n\r\n"
      assert.is_true(client:is_closed())
      assert.equal(1, gateway:counters().requests)
      assert.is_false(origin:is_called())
    end)

    it("goes both ways at once", function()
      local client, peer = begin("POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 8\r\n\r\n")
      peer:send "HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\n"
      assert.equal(200, client:response({ body = false }).status)
      for i = 1, 4 do
        client:send("c" .. i)
        assert.equal("c" .. i, peer:receive_until("c" .. i))
        peer:send("o" .. i)
        assert.equal("o" .. i, client:receive())
      end
      assert.is_true(client:is_closed()) -- the head said so: the body was not complete then
    end)
  end)

  describe("whose client goes away", function()
    for _, how in ipairs { "close", "reset" } do
      for _, case in ipairs {
        { "within a length", "POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 100\r\n\r\nhalf", "half" },
        { "within chunks", "POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n", "half" },
      } do
        it(("%s ends the origin's connection soon (%s)"):format(case[1], how), function()
          local client, peer = begin(case[2])
          peer:receive_until(case[3])
          if how == "close" then client:close() else gate.reset(client) end
          local rest, err = peer:receive_all(1)
          assert.is_not.equal("silent", err)
          assert.is_nil(rest:find("0\r\n\r\n", 1, true)) -- the origin must not take it for whole
          gateway:await("open", 0)
          assert.truthy(gateway:await_log '"status":499')
        end)
      end
    end

    it("while the origin connects", function()
      local client = gateway:connect()
      client:send(GET)
      gate.reset(client)
      gateway:await("open", 0)
    end)

    it("while it waits for the answer: nothing is left over", function()
      local client, peer = begin()
      gate.reset(client)
      gateway:await("open", 0)
      assert.is_not.equal("silent", select(2, peer:receive_all()))
    end)

    it("within a large answer", function()
      local client, peer = begin()
      peer:send("HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n" .. ("d"):rep(1000000))
      client:response { body = false }
      gate.reset(client)
      gateway:await("open", 0)
      peer:send(("d"):rep(1000000))
      assert.is_not.equal("silent", select(2, peer:receive_all()))
    end)

    it("is not a reason to give up when it only has nothing more to send", function()
      local client, peer = begin()
      client:end_sending()
      assert.equal("silent", select(2, peer:receive(0.3)))
      peer:answer(200, "still here")
      local answer = client:response()
      assert.equal("still here", answer.body)
      assert.is_true(client:is_closed())
      gateway:await("open", 0)
    end)

    it("is not a reason to drop the requests that it pipelined before", function()
      local client = gateway:connect()
      client:send(GET:rep(3))
      client:end_sending()
      for i = 1, 3 do
        local peer = origin:accept()
        peer:request()
        peer:answer(200, "answer " .. i, "Connection: close\r\n")
        assert.equal("answer " .. i, client:response().body)
      end
      assert.is_true(client:is_closed())
    end)
  end)

  describe("with one slow side", function()
    it("makes the origin wait for the client, and loses nothing", function()
      local client, peer = begin("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n")
      local total = 24 * 1024 * 1024
      peer:send("HTTP/1.1 200 OK\r\nContent-Length: " .. total .. "\r\n\r\n")
      local piece, sent, stalled, waited = ("0123456789abcdef"):rep(4096), 0, wait.now(), false
      assert.equal(200, client:response({ body = false }).status)
      while sent < total do
        local count = tonumber(ffi.C.send(peer.fd, piece, math.min(#piece, total - sent), 0x4040))
        if count > 0 then
          sent, stalled = sent + count, wait.now()
        elseif wait.now() - stalled > 0.2 then
          waited = true
          assert.equal(4194304, client:skip(4194304))
          stalled = wait.now()
        end
      end
      assert.is_true(waited)
      while true do
        local bytes = client:skip(65536)
        if bytes < 65536 then break end
        total = total - bytes
        if total <= 1024 * 1024 then break end
      end
      assert.equal(1, gateway:counters().open)
    end)

    it("is patient with a client that takes the answer slowly but steadily", function()
      local client, peer = begin()
      local body, got = ("d"):rep(8 * 1024 * 1024), 0
      peer:send("HTTP/1.1 200 OK\r\nContent-Length: " .. #body .. "\r\n\r\n" .. body)
      assert.equal(200, client:response({ body = false }).status)
      local began = wait.now()
      while wait.now() - began < 7 do -- more than twice the time that it may stand still
        local piece = client:skip(40960) -- a kernel opens a full window again only after a sixteenth of it was read
        assert.equal(40960, piece)
        got = got + piece
        wait.pause(0.05)
      end
      assert.equal(#body - got, client:skip(#body - got))
    end)

    it("cuts a client that takes nothing at all for too long", function()
      local client, peer = begin()
      peer:send "HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n"
      local piece, began = ("x"):rep(65536), wait.now()
      repeat
        local count = tonumber(ffi.C.send(peer.fd, piece, #piece, 0x4040))
        if count < 0 and ffi.errno() ~= 11 then break end -- the gateway has let go
        if count < 0 then ffi.C.usleep(10000) end
      until wait.now() - began > 15
      assert.is_true(wait.now() - began < 10)
      gateway:await("open", 0)
      assert.truthy(gateway:await_log "the client took nothing for too long")
      client:close()
    end)

    it("answers 504 when the origin does not take the body", function()
      origin:close()
      origin = gate.origin { receive_buffer = 4096 }
      gateway:publish { ["a.test"] = { origin = origin.port } }
      local client = gateway:connect()
      client.timeout = 1
      local limit = ffi.new("struct moon_spec_timeval", 1, 0)
      ffi.C.setsockopt(client.fd, 1, 21, limit, ffi.sizeof(limit))
      client:send "POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 90000000\r\n\r\n"
      pcall(client.send, client, ("u"):rep(60000000))
      local peer = origin:accept()
      assert.equal(504, client:response().status)
      peer:close()
      client:close()
    end)

    it("is patient with an origin that takes the body slowly but steadily", function()
      origin:close()
      origin = gate.origin { receive_buffer = 4096 }
      gateway:publish { ["a.test"] = { origin = origin.port } }
      local client = gateway:connect()
      local body = ("u"):rep(6 * 1024 * 1024)
      client:send("POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: " .. #body .. "\r\n\r\n" .. body)
      local peer = origin:accept()
      peer:request()
      local got, began, last = #peer.input, wait.now(), wait.now()
      peer.input = ""
      while got < #body do
        local bytes = assert(peer:receive())
        got = got + #bytes
        if wait.now() - began < 3.5 then wait.pause(0.02) end -- for longer than its deadline: a few bytes at a time
        assert.is_true(wait.now() - last < 1)
        last = wait.now()
      end
      peer:answer(200, "all of it")
      assert.equal("all of it", client:response().body)
    end)

    it("cuts a client whose body comes too slowly", function()
      local client, peer = begin("POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 100\r\n\r\nhalf")
      local began = wait.now()
      assert.is_true(client:is_closed())
      assert.is_true(wait.now() - began > 1.4 and wait.now() - began < 4)
      assert.is_not.equal("silent", select(2, peer:receive_all()))
      assert.truthy(gateway:await_log "the body came too slowly")
    end)
  end)

  describe("with Expect: 100-continue", function()
    local EXPECT = "POST / HTTP/1.1\r\nHost: a.test\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n"

    it("says 100 once and passes no Expect on", function()
      local client, peer, head = begin(EXPECT)
      assert.is_nil(head:lower():find("expect", 1, true))
      local interim = client:response { interim = true }
      assert.equal(100, interim.status)
      client:send "body"
      assert.equal("body", peer:receive_until "body")
      peer:send "HTTP/1.1 100 Continue\r\n\r\n" -- the origin's own is not passed on
      peer:answer(200, "done")
      local answer = client:response { interim = true }
      assert.equal(200, answer.status)
      assert.is_nil(answer:field "connection")
    end)

    it("asks for no body when the answer does not depend on it", function()
      local client = gateway:connect()
      client:send((EXPECT:gsub("a.test", "b.test")))
      local answer = client:response { interim = true }
      assert.equal(530, answer.status)
      assert.equal("close", answer:field "connection")
    end)
  end)

  it("answers in the order of the requests, whatever the origins do", function()
    local client = gateway:connect()
    client:send("POST /1 HTTP/1.1\r\nHost: a.test\r\nContent-Length: 3\r\n\r\nabc"
      .. "POST /2 HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n3\r\ndef\r\n0\r\n\r\n"
      .. "GET /3 HTTP/1.1\r\nHost: b.test\r\n\r\nGET /4 HTTP/1.1\r\nHost: a.test\r\n\r\n")
    local first = origin:accept()
    assert.truthy(first:request():find("POST /1 ", 1, true))
    assert.equal("abc", first:receive_until "abc")
    assert.is_false(origin:is_called())
    first:answer(200, "one")
    local second = origin:accept()
    assert.truthy(second:request():find("POST /2 ", 1, true))
    assert.equal("3\r\ndef\r\n0\r\n\r\n", second:receive_until "0\r\n\r\n")
    second:answer(200, "two")
    assert.equal("one", client:response().body)
    assert.equal("two", client:response().body)
    assert.equal(530, client:response().status)
    assert.truthy(first:request():find("GET /4 ", 1, true))
    first:answer(200, "four")
    assert.equal("four", client:response().body)
    assert.equal(4, gateway:counters().requests)
  end)
end)
