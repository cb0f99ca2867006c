-- The time in which a path is valid: its edges, its odd forms, and the interval that is told.

local certs = require "spec.support.certs"
local chains = require "spec.support.chains"
local tls = require "spec.support.cdef_tls"

describe("the validity of a path", function() -- X-7
  local DAY = 86400
  local Y1960, Y2049, Y2050, Y9999 = -315619200, 2524607999, 2524608000, 253402300799
  local now = 1800000000

  -- Anchor, intermediate (nil: none) and leaf, each { not_before, not_after }.
  local function path(anchor, between, leaf)
    local function dated(validity, more)
      more.not_before, more.not_after = validity[1], validity[2]
      return more
    end
    local root = certs.ca("Clock", dated(anchor, {}))
    local ca = between and certs.ca("Hour", dated(between, { issuer = root }))
    return tls.trust(root.pem), certs.leaf(ca or root, dated(leaf, {})), ca and { ca }
  end

  local WIDE = { now - 1000 * DAY, now + 1000 * DAY }

  for _, case in ipairs {
    -- title, anchor, intermediate, leaf, moment, result, from, to (as the interval is told)
    { "the first second", WIDE, nil, { now, now + DAY }, now, "OK", now, now + DAY },
    { "the second before", WIDE, nil, { now, now + DAY }, now - 1, "NOT_YET" },
    { "the last second", WIDE, nil, { now - DAY, now }, now - 1, "OK", now - DAY, now },
    { "the end itself", WIDE, nil, { now - DAY, now }, now, "EXPIRED" },
    { "an hour and no more", WIDE, nil, { now - 1800, now + 1800 }, now, "OK", now - 1800, now + 1800 },
    { "a leaf that outlives its CA, within both", { now - DAY, now + DAY }, nil, { now - DAY, now + 9 * DAY }, now, "OK", now - DAY, now + DAY },
    { "a leaf that outlives its CA, after that", { now - 9 * DAY, now - DAY }, nil, { now - 9 * DAY, now + DAY }, now, "EXPIRED" },
    { "a leaf older than its CA, before that", { now + DAY, now + 9 * DAY }, nil, { now - DAY, now + 9 * DAY }, now, "NOT_YET" },
    { "an intermediate that ends first", WIDE, { now - DAY, now + 60 }, { now - DAY, now + DAY }, now, "OK", now - DAY, now + 60 },
    { "an intermediate that has ended", WIDE, { now - 9 * DAY, now - 60 }, { now - DAY, now + DAY }, now, "EXPIRED" },
    { "an intermediate of the future", WIDE, { now + 60, now + DAY }, { now - DAY, now + DAY }, now, "NOT_YET" },
    { "an anchor that begins last", { now - 60, now + DAY }, { now - DAY, now + 2 * DAY }, { now - 2 * DAY, now + 3 * DAY }, now, "OK", now - 60, now + DAY },
    { "an end before its beginning", WIDE, nil, { now + DAY, now - DAY }, now, "NOT_YET" },
    { "an end before its beginning, later", WIDE, nil, { now + DAY, now - DAY }, now + 2 * DAY, "EXPIRED" },
    { "the last moment of 2049", { Y1960, Y9999 }, nil, { now, Y2049 }, Y2049 - 1, "OK", now, Y2049 },
    { "the first moment of 2050", { Y1960, Y9999 }, nil, { Y2050, Y9999 }, Y2050, "OK", Y2050, Y9999 },
    { "the year 9999", { Y1960, Y9999 }, nil, { now, Y9999 }, Y9999 - 1, "OK", now, Y9999 },
    { "from before 1970", { Y1960, now + DAY }, nil, { Y1960, now + DAY }, now, "OK", Y1960, now + DAY },
    { "from before 1970, then", { Y1960, now + DAY }, nil, { Y1960, now + DAY }, -1, "OK", Y1960, now + DAY },
    { "a clock at 1970", WIDE, nil, { now - DAY, now + DAY }, 0, "NOT_YET" },
    { "a clock far ahead", WIDE, nil, { now - DAY, now + DAY }, Y9999, "EXPIRED" },
  } do
    it(("%s: %s"):format(case[1], case[6]), function()
      local trust, leaf, presented = path(case[2], case[3], case[4])
      local result, from, to = chains.verify(trust, leaf, presented, case[5])
      assert.same({ case[6], case[7], case[8] }, { result, from, to })
    end)
  end

  it("is no longer than that of every certificate of the path, wherever it is asked", function()
    local trust, leaf, presented = path({ now - 500, now + 700 }, { now - 300, now + 900 }, { now - 400, now + 800 })
    for _, case in ipairs { { -301, "NOT_YET" }, { -300, "OK" }, { 0, "OK" }, { 699, "OK" }, { 700, "EXPIRED" } } do
      assert.equal(case[2], (chains.verify(trust, leaf, presented, now + case[1])), case[1])
    end
  end)
end)
