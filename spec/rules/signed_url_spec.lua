local sha256 = require "moongate.rules.sha256"
local encodings = require "moongate.rules.encodings"
local signed_url = require "moongate.rules.signed_url"

local NOW = 1700000000

local function sign(message, separator, url_safe)
  local mac = encodings.encode_base64(sha256.hmac("key", message .. NOW), not url_safe, url_safe)
  if not url_safe then
    mac = mac:gsub("[+/=]", function(c) return ("%%%02X"):format(c:byte()) end)
  end
  return message .. separator .. NOW .. "-" .. mac
end

local function is_valid(text, options)
  options = options or {}
  return signed_url.is_valid(sha256.hmac, options.key or "key", text, options.lifetime or 60, options.now or NOW,
    options.separator or 0, options.url_safe or false)
end

describe("moongate.rules.signed_url", function()
  it("accepts what was signed, in both spellings", function()
    assert.is_true(is_valid(sign("/cat.jpg", "", false)))
    assert.is_true(is_valid(sign("/cat.jpg", "?v=", false), { separator = 3 }))
    assert.is_true(is_valid(sign("/cat-2.jpg", "", true), { url_safe = true }))
  end)

  it("takes plain and encoded Base64 alike", function()
    assert.is_true(is_valid((encodings.percent_decode(sign("/cat.jpg", "", false)))))
  end)

  it("ends with the lifetime", function()
    local text = sign("/a", "", false)
    assert.is_true(is_valid(text, { now = NOW + 59 }))
    assert.is_false(is_valid(text, { now = NOW + 60 }))
    assert.is_false(is_valid(text, { lifetime = 0 }))
  end)

  it("refuses another key, another spelling and another separator", function()
    local text = sign("/a", "", false)
    assert.is_false(is_valid(text, { key = "other" }))
    assert.is_false(is_valid(text, { url_safe = true }))
    assert.is_false(is_valid(text, { separator = 1 }))
  end)

  it("refuses every text that differs in one byte", function()
    local text = sign("/cat.jpg", "", false)
    for i = 1, #text do
      local other = text:sub(1, i - 1) .. string.char((text:byte(i) + 1) % 256) .. text:sub(i + 1)
      assert.is_false(is_valid(other), "byte " .. i)
    end
  end)

  for _, text in ipairs { "", "-", "1700000000-", "x1700000000-", "x170000000-AAAA", "x-AAAA" } do
    it(("refuses %q"):format(text), function()
      assert.is_false(is_valid(text))
      assert.is_false(is_valid(text, { url_safe = true }))
      assert.is_false(is_valid(text, { separator = 5 }))
    end)
  end
end)
