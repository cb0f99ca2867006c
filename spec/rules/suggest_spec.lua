local suggest = require "moongate.rules.suggest"

describe("moongate.rules.suggest", function()
  local schema = { fields = { ["http.host"] = {}, ["http.request.method"] = {}, ssl = {}, ["ip.src"] = {} }, functions = { lower = {}, len = {} } }

  for _, case in ipairs {
    { "http.hots", "http.host" }, { "http.hosts", "http.host" }, { "HTTP.HOST", "http.host" }, { "http.request.methods", "http.request.method" },
    { "sll", "ssl" }, { "ss", "ssl" }, { "lowr", "lower" }, { "leng", "len" }, { "ipsrc", "ip.src" }, { "zzz", nil },
    { ("x"):rep(65), nil }, { "http.request.xxxxxx", nil },
  } do
    it(("offers %s for %s"):format(tostring(case[2]), case[1]), function()
      assert.equal(case[2] and ("did you mean %s?"):format(case[2]), suggest.name(case[1], schema))
    end)
  end
end)
