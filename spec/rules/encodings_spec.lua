local encodings = require "moongate.rules.encodings"

describe("moongate.rules.encodings", function()
  describe("encode_base64() and decode_base64()", function()
    for _, case in ipairs { { "", "" }, { "f", "Zg==" }, { "fo", "Zm8=" }, { "foo", "Zm9v" }, { "foob", "Zm9vYg==" }, { "fooba", "Zm9vYmE=" },
      { "foobar", "Zm9vYmFy" }, { "\251\255\254", "+//+" }, { "\0\0\0", "AAAA" } } do
      it(("turn %q into %s and back"):format(case[1], case[2]), function()
        assert.equal(case[2], encodings.encode_base64(case[1], true, false))
        assert.equal((case[2]:gsub("=", "")), encodings.encode_base64(case[1], false, false))
        assert.equal(case[1], encodings.decode_base64(case[2]))
        assert.equal(case[1], encodings.decode_base64((case[2]:gsub("=", ""))))
      end)
    end

    it("keeps every byte", function()
      math.randomseed(14)
      for length = 0, 70 do
        local bytes = {}
        for i = 1, length do
          bytes[i] = string.char(math.random(0, 255))
        end
        bytes = table.concat(bytes)
        assert.equal(bytes, encodings.decode_base64(encodings.encode_base64(bytes, true, false)))
      end
    end)

    it("has a URL-safe alphabet", function()
      assert.equal("-__-", encodings.encode_base64("\251\255\254", false, true))
    end)

    for _, text in ipairs { "A", "AAAAA", "AA=", "AAA==", "A===", "====", "AA==AA", "A A=", "AA\n", "-_", "AAAA=" } do
      it(("refuses %q"):format(text), function() assert.is_nil(encodings.decode_base64(text)) end)
    end
  end)

  describe("url_decode()", function()
    -- Until nothing changes, as it is defined: round after round.
    local function slowly(text)
      while true do
        local following = encodings.url_decode(text, false, true)
        if following == text then
          return text
        end
        text = following
      end
    end

    it("comes to the same repeatedly in one pass as round after round", function()
      math.randomseed(15)
      local pieces = { "%", "2", "5", "u", "0", "4", "1", "+", "B", "2B", "%25", "%2", "u00", "a", "%u0025", "%ud83d", "%ude00" }
      for _ = 1, 20000 do
        local text = {}
        for i = 1, math.random(1, 9) do
          text[i] = pieces[math.random(#pieces)]
        end
        text = table.concat(text)
        assert.equal(slowly(text), encodings.url_decode(text, true, true), text)
      end
    end)

    it("takes time in proportion to a value that was encoded over and over", function()
      local text = "%" .. ("25"):rep(100000) .. "41"
      local start = os.clock()
      assert.equal("A", encodings.url_decode(text, true, false))
      assert.is_true(os.clock() - start < 1)
    end)
  end)
end)
