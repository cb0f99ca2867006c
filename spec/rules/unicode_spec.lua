local codeset = require "moongate.rules.codeset"
local regex = require "moongate.rules.regex"
local unicode = require "moongate.rules.unicode"

describe("moongate.rules.unicode", function()
  describe("property()", function()
    for _, case in ipairs {
      { "L", 0x41, true }, { "Letter", 0x3B1, true }, { "L", 0x31, false }, { "Lu", 0x391, true }, { "Lu", 0x3B1, false }, { "uppercase letter", 0x41, true },
      { "Greek", 0x3B1, true }, { "greek", 0x61, false }, { "Script=Greek", 0x1F00, true }, { "sc=Grek", 0x3B1, true }, { "Cyrillic", 0x416, true },
      { "Han", 0x4E2D, true }, { "Hiragana", 0x3042, true }, { "gc:Nd", 0x661, true }, { "N", 0x2160, true }, { "P", 0x21, true }, { "S", 0x20AC, true },
      { "Zs", 0xA0, true }, { "Cn", 0x378, true }, { "Cn", 0x41, false }, { "C", 0x378, true }, { "Assigned", 0x378, false }, { "Any", 0x10FFFF, true },
      { "ASCII", 0x80, false }, { "Alphabetic", 0x24B6, true }, { "White_Space", 0x2003, true }, { "isGreek", 0x3B1, true }, { "LC", 0x1C5, true },
    } do
      it(("has U+%04X in %s: %s"):format(case[2], case[1], tostring(case[3])), function()
        assert.equal(case[3], codeset.has(unicode.property(case[1]), case[2]))
      end)
    end

    for _, name in ipairs { "Klingon", "", "sc=Lu", "gc=Greek", "age=3.0", "is" } do
      it(("knows no %q"):format(name), function() assert.is_nil(unicode.property(name)) end)
    end

    it("divides all code points among the categories", function()
      local seen = {}
      for _, name in ipairs { "C", "L", "M", "N", "P", "S", "Z" } do
        assert.same({}, codeset.intersect(seen, unicode.property(name)))
        seen = codeset.union(seen, unicode.property(name))
      end
      assert.same({ { 0, 0x10FFFF } }, seen)
    end)
  end)

  describe("fold()", function()
    for _, case in ipairs { { 0x6B, { 0x4B, 0x6B, 0x212A } }, { 0xE9, { 0xC9, 0xE9 } }, { 0x3C3, { 0x3A3, 0x3C2, 0x3C3 } }, { 0x31, { 0x31 } }, { 0x416, { 0x416, 0x436 } } } do
      it(("of U+%04X"):format(case[1]), function()
        local codes = {}
        for _, range in ipairs(unicode.fold { { case[1], case[1] } }) do
          for code = range[1], range[2] do
            codes[#codes + 1] = code
          end
        end
        assert.same(case[2], codes)
      end)
    end
  end)

  for _, case in ipairs {
    { [[(?u)^\p{Greek}+$]], "αβγ", "abc" }, { [[(?u)^\P{Greek}$]], "a", "α" }, { [[(?u)^\pL\p{Nd}$]], "é٣", "é" }, { [[(?u)^\p{^L}$]], "1", "a" },
    { [[(?u)^\w+$]], "naïve_Ж中1", "a b" }, { [[(?u)^\W$]], "—", "é" }, { [[(?u)^\d{2}$]], "٣4", "a4" }, { [[(?u)^\D$]], "é", "٣" },
    { "(?u)^[\\p{Greek}&&\\p{Lu}]$", "Α", "α" }, { "(?u)^[\\p{L}--[a-z]]+$", "éÉA", "a" }, { [[(?iu)^É$]], "é", "e" }, { [[(?iu)straße]], "STRAßE", "STRASSE" },
    { "(?iu)^[à-ý]+$", "ÀÝ", "A" }, { "(?iu)^[^é]$", "e", "É" }, { [[(?iu)σς]], "ΣΣ", "SS" }, { [[(?u)^.\s.$]], "é a", "\255 a" },
    { [[(?u)^(\w+ ){3}$]], "é ü 中 ", "é ü" },
  } do
    it(("matches %s"):format(case[1]), function()
      local matcher = assert(regex.compile(case[1]))
      assert.is_true(matcher(case[2]))
      assert.is_false(matcher(case[3]))
    end)
  end
end)
