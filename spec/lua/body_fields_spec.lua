-- Forms and multipart bodies as the rules see them.

local body_fields = require "moongate.body_fields"

describe("moongate.body_fields", function()
  describe("form()", function()
    for _, case in ipairs {
      { "a=1&b=2&a=3", { a = { "1", "3", n = 2 }, b = { "2", n = 1 } }, { "a", "b", "a", n = 3 }, { "1", "2", "3", n = 3 } },
      { "x%20y=+&lone", { ["x%20y"] = { "+", n = 1 }, lone = { "", n = 1 } }, { "x%20y", "lone", n = 2 }, { "+", "", n = 2 } },
      { "", {}, { n = 0 }, { n = 0 } },
    } do
      it(("reads %q without decoding"):format(case[1]), function()
        local form = body_fields.form(case[1])
        assert.same(case[2], form.map)
        assert.same(case[3], form.names)
        assert.same(case[4], form.values)
      end)
    end
  end)

  describe("multipart()", function()
    local text = table.concat({
      "--XX", 'Content-Disposition: form-data; name="note"', "", "hello", "--XX",
      'Content-Disposition: form-data; name="file"; filename="a.bin"', "Content-Type: application/octet-stream",
      "Content-Transfer-Encoding: binary", "", "line one\r\nline two", "--XX--", "epilogue",
    }, "\r\n")

    it("reads parts as columns", function()
      local parts = body_fields.multipart(text, 'multipart/form-data; boundary="XX"')
      assert.same({ note = { "hello", n = 1 }, file = { "line one\r\nline two", n = 1 } }, parts.map)
      assert.same({ "hello", "line one\r\nline two", n = 2 }, parts.values)
      assert.same({ { "note", n = 1 }, { "file", n = 1 }, n = 2 }, parts.names)
      assert.same({ { n = 0 }, { "a.bin", n = 1 }, n = 2 }, parts.filenames)
      assert.same({ { n = 0 }, { "application/octet-stream", n = 1 }, n = 2 }, parts.content_types)
      assert.same({ { n = 0 }, { "binary", n = 1 }, n = 2 }, parts.content_transfer_encodings)
    end)

    it("reads nothing out of another type, without a boundary, or out of noise", function()
      for _, case in ipairs {
        { text, "text/plain" }, { text, "multipart/form-data" }, { text, "multipart/form-data; boundary=YY" }, { "", "multipart/form-data; boundary=XX" },
        { "--XX\r\nno end of the head", "multipart/form-data; boundary=XX" }, { "--XX--", "multipart/form-data; boundary=XX" },
      } do
        assert.same({ n = 0 }, body_fields.multipart(case[1], case[2]).values)
      end
    end)

    it("stays linear for a head without colons", function()
      local begun = os.clock()
      local noise = "--XX\r\n" .. ("a"):rep(60000) .. "\r" .. ("b"):rep(60000) .. "\r\n\r\nbody\r\n--XX--"
      assert.equal("body", body_fields.multipart(noise, "multipart/form-data; boundary=XX").values[1])
      assert.is_true(os.clock() - begun < 1)
    end)

    it("reads a part that was cut off as far as it goes", function()
      local parts = body_fields.multipart(text:sub(1, 70), "multipart/form-data; boundary=XX")
      assert.equal(1, parts.values.n)
    end)
  end)
end)
