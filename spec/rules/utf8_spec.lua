local utf8 = require "moongate.rules.utf8"
local utf8_ranges = require "moongate.rules.utf8_ranges"

describe("moongate.rules.utf8", function()
  describe("is_valid()", function()
    for _, s in ipairs { "", "abc", "\0\127", "é", "\194\128", "\223\191", "\224\160\128", "\237\159\191", "\238\128\128", "\239\191\191",
      "\240\144\128\128", "\244\143\191\191", "aé☁🌙" } do
      it(("accepts %q"):format(s), function() assert.is_true(utf8.is_valid(s)) end)
    end
    for _, s in ipairs { "\128", "\191", "\192\128", "\193\191", "\194", "\194a", "\224\159\191", "\224\160", "\237\160\128", "\237\191\191",
      "\240\143\191\191", "\240\144\128", "\244\144\128\128", "\245\128\128\128", "\255", "a\255b" } do
      it(("refuses %q"):format(s), function() assert.is_false(utf8.is_valid(s)) end)
    end
  end)

  describe("encode()", function()
    for _, case in ipairs { { 0x41, "A" }, { 0xE9, "é" }, { 0x2601, "☁" }, { 0x1F319, "🌙" }, { 0, "\0" }, { 0x10FFFF, "\244\143\191\191" } } do
      it(("writes U+%04X"):format(case[1]), function() assert.equal(case[2], utf8.encode(case[1])) end)
    end
  end)
end)

describe("moongate.rules.utf8_ranges", function()
  local function matches(sequences, bytes)
    for _, sequence in ipairs(sequences) do
      local fits = #sequence == #bytes
      for i, range in ipairs(sequence) do
        local b = bytes:byte(i)
        fits = fits and b ~= nil and b >= range[1] and b <= range[2]
      end
      if fits then
        return true
      end
    end
    return false
  end

  for _, set in ipairs { { { 0, 0x10FFFF } }, { { 0x61, 0x7A }, { 0xE0, 0x3FF } }, { { 0x7FF, 0x800 } }, { { 0xD7FF, 0xE000 } },
    { { 0xFFFE, 0x10001 } }, { { 0x1234, 0x56789 } }, { { 0x2601, 0x2601 } } } do
    local names = {}
    for _, range in ipairs(set) do
      names[#names + 1] = ("%X-%X"):format(range[1], range[2])
    end
    it("encodes exactly " .. table.concat(names, " "), function()
      local sequences = utf8_ranges.sequences(set)
      local function expected(code)
        if code >= 0xD800 and code <= 0xDFFF then
          return false
        end
        for _, range in ipairs(set) do
          if code >= range[1] and code <= range[2] then
            return true
          end
        end
        return false
      end
      for _, near in ipairs { 0, 0x61, 0x7A, 0x7F, 0xE0, 0x3FF, 0x7FF, 0x1234, 0x2601, 0xD7FF, 0xE000, 0xFFFF, 0x10000, 0x56789, 0x10FFFF } do
        for code = math.max(0, near - 70), math.min(0x10FFFF, near + 70) do
          assert.equal(expected(code), matches(sequences, utf8.encode(code)))
        end
      end
    end)
  end

  it("has nothing for surrogates", function()
    assert.same({}, utf8_ranges.sequences { { 0xD800, 0xDFFF } })
  end)
end)
