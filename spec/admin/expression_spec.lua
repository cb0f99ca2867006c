local expression = require "moongate.admin.expression"

local function lists(known)
  return function(name, type_name) return known[name] == type_name end
end

describe("moongate.admin.expression", function()
  for _, case in ipairs {
    { "a plain one", "ssl", {}, true },
    { "the whole expression true", "true", {}, true },
    { "4096 characters", 'http.host eq "' .. ("é"):rep(4081) .. '"', {}, true },
    { "a list of its type", "ip.src in $office", { office = "IP" }, true },
    { "a dollar inside a string", 'http.host eq "$office"', {}, true },
    { "a blank", " \n\t", {}, false, "blank" },
    { "nothing", "", {}, false, "blank" },
    { "4097 characters", 'http.host eq "' .. ("é"):rep(4082) .. '"', {}, false, "long" },
    { "a mistake", "http.hst", {}, false, "wrong", 1 },
    { "a list that is not there", "ssl and ip.src in $office", {}, false, "wrong", 9 },
    { "a list of another type", "http.host in $office", { office = "IP" }, false, "wrong", 1 },
  } do
    it(("%s %s"):format(case[4] and "accepts" or "refuses", case[1]), function()
      local fine, why, diagnostic = expression.check(case[2], lists(case[3]))
      assert.equal(case[4], fine)
      assert.equal(case[5], why)
      assert.equal(case[6], diagnostic and diagnostic.column)
    end)
  end

  for _, case in ipairs {
    { "ssl", "" }, { 'http.host eq "$a"', "" }, { "ip.src in $a or http.host in $b and ip.src in $a", "a b" }, { "false and ip.src in $a", "" },
    { 'any(http.request.headers["x"][*] in $a)', "a" },
  } do
    it(("finds the lists in %s"):format(case[1]), function()
      local names = {}
      for name in pairs(expression.lists_in(case[1])) do names[#names + 1] = name end
      table.sort(names)
      assert.equal(case[2], table.concat(names, " "))
    end)
  end
end)
